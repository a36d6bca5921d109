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


class BudgetExceeded(Payload, frozen=True, tag="budget.exceeded"):
    """A period's spending has passed the soft cap, `soft_percent` of the amount, or has reached the hard one.

    `name` is whose the budget is, None for everybody's.
    """

    cap: Literal["soft", "hard"]
    budget_id: str
    scope: str
    name: str | None
    period: str
    since: str
    until: str
    amount_usd: str
    spent_usd: str
    soft_percent: int


class LicenseActivated(Payload, frozen=True, tag="license.activated"):
    """`former_tier` is None where there was no licence before."""

    tier: str
    company: str
    expires_at: str
    former_tier: str | None


class LicenseExpiring(Payload, frozen=True, tag="license.expiring"):
    """Told 14, 7 and 1 days before the end."""

    tier: str | None
    company: str | None
    expires_at: str | None
    days_remaining: int | None
    message: str


class LicenseExpired(LicenseExpiring, frozen=True, tag="license.expired"):
    """Traffic goes on."""


class LicenseMissing(Payload, frozen=True, tag="license.missing"):
    message: str


class LicenseInvalid(Payload, frozen=True, tag="license.invalid"):
    """The licence in force cannot be verified any more."""

    message: str


class ClockSetBack(Payload, frozen=True, tag="license.clock_set_back"):
    """The host's clock shows an earlier time than one that was seen before."""

    seen_at: str
    now: str
    message: str


class AuditTampered(Payload, frozen=True, tag="audit.tampered"):
    """The chain of an org's audit rows was broken: `seq` to `last_seq` were changed, removed or inserted."""

    kind: str
    org_id: str | None
    seq: int | None
    last_seq: int | None
    id: str | None
    detail: str


class ConfigDrifted(Payload, frozen=True, tag="config.drifted"):
    """The install is not as the file says that was applied last; `objects` names the first of `count`."""

    sha256: str
    objects: list[str]
    count: int


class ArchiveDone(Payload, frozen=True, tag="archive.done"):
    """A month's rows went from the table into the object store at `url`."""

    table: str
    month: str
    rows: int
    bytes: int
    url: str


class ArchiveFailed(Payload, frozen=True, tag="archive.failed"):
    """A month, or None: every one that was due, stays in the database."""

    table: str | None
    month: str | None
    error: str


class RetentionUnconfirmed(Payload, frozen=True, tag="archive.retention_unconfirmed"):
    """The licence gives fewer days than rows are kept for; they are until somebody confirms it."""

    days: int
    licensed: int


class PartitionsMissing(Payload, frozen=True, tag="partitions.missing"):
    """The coming months have no place in the database yet: without one, changes and usage cannot be written then."""

    error: str


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
