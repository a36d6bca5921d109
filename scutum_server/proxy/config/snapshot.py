"""Configuration as a request reads it: plain dicts in memory, changed row by row between requests.

Objects are never mutated once they are in here, so a request that holds one is not disturbed by a change.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

import msgspec
from msgspec import Struct

from scutum_server.infra.crypto import key_hash
from scutum_server.proxy.keyring import KeyRing, Lane
from scutum_server.proxy.limits.rules import Rules
from scutum_server.routing import strategy
from scutum_server.routing.health import Board, Health
from scutum_server.routing.strategy import Capacity, Order
from scutum_server.upstream.catalog import Cost, Price, Pricer, Tokens, pricer, seller, window
from scutum_server.upstream.openai import path_prefix
from scutum_server.upstream.options import BreakerOptions, Routing
from scutum_server.upstream.tariff import Tariff, tariff

log = logging.getLogger(__name__)

MASTER_KEY_ID: Final = "master"
DEFAULT: Final = "default"
MAINTENANCE_S: Final = 60
Row = Mapping[str, Any]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Key(Struct, frozen=True):
    """A client key; None in an `allowed_*` field allows everything."""

    id: str
    team_id: str | None
    owner: str | None = None
    allowed_models: frozenset[str] | None = None
    allowed_routes: frozenset[str] | None = None
    allowed_ips: tuple[Network, ...] | None = None


NOBODY: Final = Key("", None, None, frozenset(), frozenset(), ())
"""The key of a request that has not shown one."""


class Team(Struct, frozen=True):
    id: str
    org_id: str
    unit_id: str | None = None


class Provider(Struct, frozen=True):
    id: str
    name: str
    kind: str
    base_url: str | None
    lane: Lane

    @property
    def spare_key(self) -> bool:
        """Whether a call would go out with another key than one that has just been refused."""
        return isinstance(self.lane, KeyRing) and self.lane.spare


class Deployment(Struct, frozen=True):
    """One callable model at one provider; `head` are the answer's headers that name it.

    `label` names it in x-scutum-attempts, and `first_try` is that header when the first call succeeded.
    """

    id: str
    name: str
    upstream_model: str
    provider: Provider
    price: Callable[[Tokens], Cost]
    tariff: Tariff
    created: int
    head: bytes
    simulated: bool
    health: Health
    label: bytes
    first_try: bytes
    capacity: Capacity = Capacity()
    kind: str | None = None
    path_prefix: str = ""
    window: int | None = None
    """The most tokens that it reads at once, if the catalogue knows."""


class Plan(Struct, frozen=True):
    """What a model's name leads to; `order` ranks the candidates anew for a request, None means as they are listed."""

    candidates: tuple[Deployment, ...]
    routing: Routing
    order: Order[Deployment] | None

    def within(self, names: Collection[str]) -> Plan:
        """Only the deployments of models with these names."""
        return self.only(lambda each: each.name in names)

    def only(self, fits: Callable[[Deployment], bool]) -> Plan:
        """Only the deployments that fit, in the same order."""
        order = self.order
        return Plan(
            tuple(each for each in self.candidates if fits(each)),
            self.routing,
            order and (lambda stream: [each for each in order(stream) if fits(each)]),
        )


DEFAULT_ROUTING: Final = Routing()


class Snapshot:
    """All that a request needs to know. `version` is the `config_version` that it is as new as, at least."""

    def __init__(self, master_key: str, lane_of: Callable[[Row], Lane], board: Board | None = None) -> None:
        self.version = -1
        self.plans: dict[str, Plan] = {}
        self.deployments: dict[str, Deployment] = {}
        """By id."""
        self._board = board or Board()
        self.credentials: dict[bytes, tuple[Key, float]] = {}
        self.teams: dict[str, Team] = {}
        self.default_team: Team | None = None
        self.settings: dict[str, Any] = {}
        self.maintenance = 0
        """Retry-After in seconds while the operator wants no new requests, else 0."""
        self.rules = Rules()
        self._lane_of = lane_of
        self._hashes: dict[str, list[bytes]] = {}
        self._providers: dict[str, Provider] = {}
        self._deployments: dict[str, Row] = {}
        self._provider_rows: dict[str, Row] = {}
        self._aliases: dict[str, Row] = {}
        self._pricers: dict[tuple[str, str | None, str, str], tuple[Pricer, Tariff]] = {}
        self.credentials[key_hash(master_key)] = (Key(MASTER_KEY_ID, None), float("inf"))

    def team_of(self, key: Key) -> Team | None:
        return self.default_team if key.team_id is None else self.teams.get(key.team_id)

    # -- changes; `row` is None for an object that was deleted

    def put(self, kind: str, object_id: str, row: Row | None) -> None:
        """Takes over one row of `kind`; `rebuild()` must follow when providers, deployments or aliases changed."""
        if kind == "key":
            self._put_key(object_id, row)
        elif kind == "team":
            self._put_team(object_id, row)
        elif kind == "provider":
            self._put_provider(object_id, row)
        elif kind == "deployment":
            _put(self._deployments, object_id, row)
        elif kind == "alias":
            _put(self._aliases, object_id, row)
        elif kind == "setting":
            _put(self.settings, object_id, row and row["value"])
            wait = self.settings.get("maintenance.retry_after_seconds", MAINTENANCE_S)
            self.maintenance = wait if self.settings.get("maintenance.enabled") else 0
        elif kind in {"limit", "budget"}:
            self.rules.put(kind, object_id, row)

    def _put_key(self, key_id: str, row: Row | None) -> None:
        for digest in self._hashes.pop(key_id, ()):
            self.credentials.pop(digest, None)
        if row is None or row["revoked_at"] is not None:
            return
        key = Key(
            id=key_id,
            team_id=row["team_id"],
            owner=row["owner"],
            allowed_models=_names(row["allowed_models"]),
            allowed_routes=_names(row["allowed_routes"]),
            allowed_ips=_networks(key_id, row["allowed_ips"]),
        )
        expires = _moment(row["expires_at"], float("inf"))
        hashes = [bytes(row["hash"])]
        self.credentials[hashes[0]] = (key, expires)
        if row["previous_hash"] is not None:
            hashes.append(bytes(row["previous_hash"]))
            until = _moment(row["previous_valid_until"], 0.0)
            self.credentials[hashes[1]] = (key, min(expires, until))
        self._hashes[key_id] = hashes

    def _put_team(self, team_id: str, row: Row | None) -> None:
        if row is None:
            self.teams.pop(team_id, None)
            if self.default_team is not None and self.default_team.id == team_id:
                self.default_team = None
            return
        team = self.teams[team_id] = Team(team_id, row["org_id"], row["unit_id"])
        if (row["name"], row["org_name"]) == (DEFAULT, DEFAULT):
            self.default_team = team

    def _put_provider(self, provider_id: str, row: Row | None) -> None:
        if row is None:
            self._providers.pop(provider_id, None)
            self._provider_rows.pop(provider_id, None)
            return
        self._provider_rows[provider_id] = row
        self._providers[provider_id] = Provider(
            provider_id, row["name"], row["kind"], row["base_url"], self._lane_of(row)
        )

    def rebuild(self) -> None:
        """Resolves names: deployments (the oldest of a name first), then aliases to the deployments of their targets.

        An alias may bear the name of one of its targets: it then says how that model's deployments are used.
        """
        groups: dict[str, list[Deployment]] = {}
        rows = [row for row in self._deployments.values() if row["provider_id"] in self._providers]
        for row in sorted(rows, key=lambda row: (row["created_at"], row["id"])):
            groups.setdefault(row["name"], []).append(self._deployment(row))
        self._board.keep_only(row["id"] for row in rows)
        plans = {name: Plan(tuple(group), DEFAULT_ROUTING, None) for name, group in groups.items()}
        for name, row in self._aliases.items():
            if (name not in groups or name in row["targets"]) and any(target in groups for target in row["targets"]):
                plans[name] = _plan(name, row, groups)
        self.deployments = {each.id: each for group in groups.values() for each in group}
        self.plans = plans

    def _deployment(self, row: Row) -> Deployment:
        provider, account = self._providers[row["provider_id"]], self._provider_rows[row["provider_id"]]
        label = f"{_label(provider.name)}/{_label(row['name'])}"
        # A changed key or address deserves a new chance at once.
        configuration = (row["upstream_model"], row["settings"], account)
        health = self._board.health(row["id"], configuration, _breaker(account))
        price, charge = self._prices(provider, row)
        simulated = provider.kind == "sim"
        head = f"x-scutum-model: {_header(row['name'])}\r\nx-scutum-provider: {_header(provider.name)}\r\n"
        if simulated:
            head += "x-scutum-simulated: true\r\n"
        return Deployment(
            id=row["id"],
            name=row["name"],
            upstream_model=row["upstream_model"],
            provider=provider,
            price=price,
            tariff=charge,
            window=_window(seller(provider.kind, account["settings"]), provider.base_url, row),
            created=int(row["created_at"].timestamp()),
            head=head.encode("ascii"),
            simulated=simulated,
            kind=row["settings"].get("kind"),
            health=health,
            label=label.encode("ascii"),
            first_try=f"x-scutum-attempts: {label}:200\r\n".encode("ascii"),
            capacity=_capacity(row),
            path_prefix=path_prefix(account["settings"], row["upstream_model"]),
        )

    def _prices(self, provider: Provider, row: Row) -> tuple[Pricer, Tariff]:
        price, account = row["settings"].get("price"), self._provider_rows[provider.id]["settings"]
        whose = (seller(provider.kind, account), provider.base_url, row["upstream_model"])
        key = (*whose, repr(price))
        if key not in self._pricers:
            try:
                override = msgspec.convert(price, Price | None)
            except msgspec.ValidationError:
                log.exception("deployment %s has a price that cannot be read; it is ignored", row["id"])
                override = None
            by_tokens = pricer(provider_kind=whose[0], base_url=whose[1], upstream_model=whose[2], override=override)
            self._pricers[key] = by_tokens, tariff(*whose, override=override, price=by_tokens)
        return self._pricers[key]


def _window(whose: str, base_url: str | None, row: Row) -> int | None:
    if row["settings"].get("price") is not None:
        # The catalogue is not loaded for models that have their price from elsewhere.
        return None
    return window(provider_kind=whose, base_url=base_url, upstream_model=row["upstream_model"])


def _plan(name: str, row: Row, groups: Mapping[str, Sequence[Deployment]]) -> Plan:
    """A target's weight is shared by its deployments."""
    routing = DEFAULT_ROUTING
    try:
        routing = msgspec.convert(row["settings"], Routing)
    except msgspec.ValidationError:
        log.exception("alias %s has settings that cannot be read; the defaults hold", name)
    weights = routing.weights or ()
    if len(weights) != len(row["targets"]) or not any(weights):
        weights = (1,) * len(row["targets"])
    candidates: list[Deployment] = []
    shares: list[float] = []
    for target, weight in zip(row["targets"], weights, strict=True):
        group = groups.get(target, ())
        candidates += group
        shares += [weight / len(group)] * len(group) if group else []
    return Plan(tuple(candidates), routing, strategy.order(routing.strategy, candidates, shares))


def _breaker(account: Row) -> BreakerOptions:
    try:
        return msgspec.convert(account["settings"].get("breaker", {}), BreakerOptions)
    except msgspec.ValidationError:
        # The lane says so already: a provider whose settings cannot be read cannot be called.
        return BreakerOptions()


def _capacity(row: Row) -> Capacity:
    try:
        return msgspec.convert({"rpm": row["settings"].get("rpm"), "tpm": row["settings"].get("tpm")}, Capacity)
    except msgspec.ValidationError:
        log.exception("deployment %s has an rpm or tpm that cannot be read; it is ignored", row["id"])
        return Capacity()


def _put(into: dict[str, Any], key: str, value: Any) -> None:
    if value is None:
        into.pop(key, None)
    else:
        into[key] = value


def _names(values: list[str] | None) -> frozenset[str] | None:
    return None if values is None else frozenset(values)


def _moment(value: dt.datetime | None, missing: float) -> float:
    return missing if value is None else value.timestamp()


def _networks(key_id: str, values: list[str] | None) -> tuple[Network, ...] | None:
    if values is None:
        return None
    networks: list[Network] = []
    for value in values:
        try:
            networks.append(ipaddress.ip_network(value, strict=False))
        except ValueError:
            # Left out, it allows nothing: a wrong entry must not open a key to everyone.
            log.warning("key %s has an allowed address that is none: %r", key_id, value)
    return tuple(networks)


def _label(value: str) -> str:
    """For x-scutum-attempts, where commas, colons and spaces separate."""
    return quote(value, safe="/@!$&'()*+=-._~#[]{}|")


def _header(value: str) -> str:
    return quote(value, safe=" /:@!$&'()*+,;=-._~#[]{}|")
