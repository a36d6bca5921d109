"""What one request changes: collected while the services work, written at the end of its transaction."""

from __future__ import annotations

import datetime as dt
import ipaddress
import itertools
from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

from scutum_server.access.models import Actor, Principal, Role, Session
from scutum_server.audit.models import GLOBAL, AuditEntry, Outcome, Source, diff
from scutum_server.audit.store import AuditStore
from scutum_server.errors import Stale
from scutum_server.events import models as events
from scutum_server.events import store as outbox
from scutum_server.gateway.store import config_changed
from scutum_server.infra.changes import NEVER
from scutum_server.infra.db import Connection

_CONFIG_KIND = {
    "team": "team", "key": "key", "provider": "provider", "model": "deployment", "alias": "alias", "setting": "setting",
    "limit": "limit", "budget": "budget",
}  # fmt: skip
"""Which configuration of the proxies a resource is; what is not here changes nothing for them."""
SYSTEM = Actor("system", "system")


class Context(Struct, frozen=True, kw_only=True):
    """Who asks, from where, in which request; `org_id` is the one org that the session is for, None for all."""

    actor: Actor
    role: Role
    source: Source
    org_id: str | None = None
    session: Session | None = None
    ip: str | None = None
    request_id: str | None = None

    @property
    def holder(self) -> Principal:
        return Principal(self.actor, self.role, self.org_id)


def source_of(header: str | None) -> Source:
    """The audit source that a client claims in X-Scutum-Source; anything unknown is the API."""
    known: dict[str | None, Literal["cli", "tui"]] = {"cli": "cli", "tui": "tui"}
    return known.get(header, "api")


def tag_of(version: dt.datetime) -> str:
    """What an ETag holds for an object that was last changed then: microseconds in base 36."""
    micros, digits = (version - NEVER) // dt.timedelta(microseconds=1), ""
    while micros:
        micros, digit = divmod(micros, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits or "0"


def address_of(host: str | None) -> str | None:
    """The client's address, or None for what is not one (a Unix socket)."""
    try:
        return str(ipaddress.ip_address(host or ""))
    except ValueError:
        return None


class Changes:
    """Audit rows go last: each holds the end of its org's chain until the transaction is over."""

    def __init__(self, context: Context, expected: frozenset[str] | None = None) -> None:
        """`expected` are the tags of If-Match, one of which an object that is changed must have."""
        self.context = context
        self._expected = expected
        self._entries: list[AuditEntry] = []
        self._config: list[tuple[str, str]] = []
        self._events: list[events.Event] = []

    @property
    def actor_id(self) -> str:
        return self.context.actor.id

    def note(
        self,
        action: str,
        resource: str,
        resource_id: str,
        *,
        org_id: str | None = None,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
        outcome: Outcome = "success",
    ) -> None:
        """Takes note of one change; nothing is written before `write()`."""
        who = self.context
        self._entries.append(
            AuditEntry(
                org_id=org_id or GLOBAL,
                actor_id=who.actor.id,
                actor_kind=who.actor.kind,
                actor_email=who.actor.email,
                ip=who.ip,
                action=action,
                resource_type=resource,
                resource_id=resource_id,
                diff=diff(before, after),
                request_id=who.request_id,
                outcome=outcome,
                source=who.source,
            )
        )
        if outcome == "success" and resource in _CONFIG_KIND:
            self._config.append((_CONFIG_KIND[resource], resource_id))
        payload = _payload(action, resource_id, before or {}, after or {}, who.ip)
        if payload is not None:
            self._events.append(
                events.Event(payload=payload, origin="admin", dedup_key=f"{resource}:{resource_id}", org_id=org_id)
            )

    def expect(self, version: dt.datetime | None) -> None:
        """Raises Stale unless the caller means the object as it was last changed then (None: as there is none)."""
        expected = self._expected
        if expected is None:
            return
        if version is None or (tag_of(version) not in expected and "*" not in expected):
            raise Stale(
                "It has been changed since you read it." if version else "There is no such object to change.",
                hint="Read it again, and repeat the change with its new ETag.",
            )

    def touch(self, kind: str, object_id: str) -> None:
        """Lets the proxies read this configuration anew, though it is not itself what changed."""
        self._config.append((_CONFIG_KIND[kind], object_id))

    async def write(self, conn: Connection) -> None:
        """Outbox, configuration version, then the audit rows in the order of their orgs."""
        if self._events:
            await outbox.append_all(conn, self._events)
        if self._config:
            await config_changed(conn, self._config)
        trail = AuditStore(conn)
        by_org = itertools.groupby(sorted(self._entries, key=_org), _org)
        for org_id, entries in by_org:
            await trail.append(org_id, list(entries))


def _org(entry: AuditEntry) -> str:
    return entry.org_id


def _payload(
    action: str, resource_id: str, before: Mapping[str, Any], after: Mapping[str, Any], ip: str | None
) -> events.Payload | None:
    match action:
        case "key.create":
            return events.KeyCreated(
                key_id=resource_id, name=after["name"], team=after["team"], expires_at=after["expires_at"]
            )
        case "key.revoke":
            return events.KeyRevoked(key_id=resource_id, name=after["name"], team=after["team"])
        case "key.rotate":
            return events.KeyRotated(
                key_id=resource_id,
                name=after["name"],
                team=after["team"],
                previous_valid_until=after["previous_valid_until"],
            )
        case "team.create":
            return events.TeamCreated(team_id=resource_id, name=after["name"])
        case "provider.create":
            return events.ProviderCreated(provider_id=resource_id, name=after["name"], kind=after["kind"])
        case "provider.delete":
            return events.ProviderDeleted(provider_id=resource_id, name=before["name"])
        case "license.activate":
            return events.LicenseActivated(
                tier=after["tier"],
                company=after["company"],
                expires_at=after["expires_at"],
                former_tier=before.get("tier"),
            )
        case "auth.refuse":
            return events.LoginRefused(ip=ip)
        case _:
            return None
