"""Configuration as a request reads it: plain dicts in memory, changed row by row between requests.

Objects are never mutated once they are in here, so a request that holds one is not disturbed by a change.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol
from urllib.parse import quote

import msgspec
from msgspec import Struct

from scutum_server.infra.crypto import key_hash
from scutum_server.proxy.rules import Rules
from scutum_server.upstream.catalog import Cost, Price, Tokens, pricer
from scutum_server.upstream.native import Traits

log = logging.getLogger(__name__)

MASTER_KEY_ID: Final = "master"
DEFAULT: Final = "default"
MAINTENANCE_S: Final = 60
Row = Mapping[str, Any]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Reply(Protocol):
    """A provider's answer, whichever lane it came by; see `upstream.transport.Response`."""

    @property
    def status(self) -> int: ...
    def header(self, name: bytes) -> bytes | None: ...
    async def body(self, limit: int) -> bytes: ...
    async def pump(self, feed: Callable[[bytes], bool]) -> None: ...
    def resume(self) -> None: ...
    def stop(self) -> None: ...
    def close(self) -> None: ...


class Lane(Protocol):
    """How one provider account is called, and what it takes; `fields` are further header lines."""

    traits: Traits

    async def call(self, path: str, body: bytes, *, stream: bool, fields: bytes = b"") -> Reply: ...


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


class Deployment(Struct, frozen=True):
    """One callable model at one provider; `head` are the answer's headers that name it."""

    id: str
    name: str
    upstream_model: str
    provider: Provider
    price: Callable[[Tokens], Cost]
    created: int
    head: bytes
    simulated: bool
    kind: str | None = None


class Snapshot:
    """All that a request needs to know. `version` is the `config_version` that it is as new as, at least."""

    def __init__(self, master_key: str, lane_of: Callable[[Row], Lane]) -> None:
        self.version = -1
        self.credentials: dict[bytes, tuple[Key, float]] = {}
        self.teams: dict[str, Team] = {}
        self.default_team: Team | None = None
        self.models: dict[str, Deployment] = {}
        self.settings: dict[str, Any] = {}
        self.maintenance = 0
        """Retry-After in seconds while the operator wants no new requests, else 0."""
        self.rules = Rules()
        self._lane_of = lane_of
        self._hashes: dict[str, list[bytes]] = {}
        self._providers: dict[str, Provider] = {}
        self._deployments: dict[str, Row] = {}
        self._aliases: dict[str, list[str]] = {}
        self._pricers: dict[tuple[str, str | None, str, str], Callable[[Tokens], Cost]] = {}
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
            _put(self._aliases, object_id, row and row["targets"])
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
            return
        self._providers[provider_id] = Provider(
            provider_id, row["name"], row["kind"], row["base_url"], self._lane_of(row)
        )

    def rebuild(self) -> None:
        """Resolves names: deployments (the oldest of a name first), then aliases to their first existing target."""
        models: dict[str, Deployment] = {}
        rows = [row for row in self._deployments.values() if row["provider_id"] in self._providers]
        for row in sorted(rows, key=lambda row: (row["created_at"], row["id"])):
            if row["name"] not in models:
                models[row["name"]] = self._deployment(row)
        for name, targets in self._aliases.items():
            found = next((models[target] for target in targets if target in models), None)
            if found is not None and name not in models:
                models[name] = found
        self.models = models

    def _deployment(self, row: Row) -> Deployment:
        provider = self._providers[row["provider_id"]]
        simulated = provider.kind == "sim"
        head = f"x-scutum-model: {_header(row['name'])}\r\nx-scutum-provider: {_header(provider.name)}\r\n"
        if simulated:
            head += "x-scutum-simulated: true\r\n"
        return Deployment(
            id=row["id"],
            name=row["name"],
            upstream_model=row["upstream_model"],
            provider=provider,
            price=self._pricer(provider, row),
            created=int(row["created_at"].timestamp()),
            head=head.encode("ascii"),
            simulated=simulated,
            kind=row["settings"].get("kind"),
        )

    def _pricer(self, provider: Provider, row: Row) -> Callable[[Tokens], Cost]:
        price = row["settings"].get("price")
        key = (provider.kind, provider.base_url, row["upstream_model"], repr(price))
        if key not in self._pricers:
            try:
                override = msgspec.convert(price, Price | None)
            except msgspec.ValidationError:
                log.exception("deployment %s has a price that cannot be read; it is ignored", row["id"])
                override = None
            self._pricers[key] = pricer(
                provider_kind=provider.kind,
                base_url=provider.base_url,
                upstream_model=row["upstream_model"],
                override=override,
            )
        return self._pricers[key]


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


def _header(value: str) -> str:
    return quote(value, safe=" /:@!$&'()*+,;=-._~#[]{}|")
