"""What the rest of the house may want to hear: typed events, written in the transaction that they tell of."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Severity = Literal["info", "warning", "high", "critical"]
State = Literal["firing", "repeated", "resolved"]


class Payload(Struct, frozen=True, kw_only=True, tag_field="type"):
    """What happened; the subclass's tag is the event's type."""


class KeyCreated(Payload, frozen=True, tag="key.created"):
    key_id: str
    name: str
    team: str
    expires_at: str | None


class KeyRevoked(Payload, frozen=True, tag="key.revoked"):
    key_id: str
    name: str
    team: str


class KeyRotated(Payload, frozen=True, tag="key.rotated"):
    """`previous_valid_until` is the end of the overlap, or None without one."""

    key_id: str
    name: str
    team: str
    previous_valid_until: str | None


class TeamCreated(Payload, frozen=True, tag="team.created"):
    team_id: str
    name: str


class ProviderCreated(Payload, frozen=True, tag="provider.created"):
    provider_id: str
    name: str
    kind: str


class ProviderDeleted(Payload, frozen=True, tag="provider.deleted"):
    provider_id: str
    name: str


class LoginRefused(Payload, frozen=True, tag="login.refused"):
    ip: str | None


class BudgetSoft(Payload, frozen=True, tag="budget.soft"):
    """More than `soft_percent` of a period's budget is spent; `name` is whose it is, None for everybody's."""

    budget_id: str
    scope: str
    name: str | None
    period: str
    since: str
    until: str
    amount_usd: str
    spent_usd: str
    soft_percent: int


class Event(Struct, frozen=True, kw_only=True):
    """`dedup_key` names the entity: several events with one key are one matter."""

    payload: Payload
    origin: str
    dedup_key: str
    org_id: str | None = None
    severity: Severity = "info"
    state: State = "firing"

    @property
    def type(self) -> str:
        return str(self.payload.__struct_config__.tag)
