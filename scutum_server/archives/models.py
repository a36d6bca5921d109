"""What is archived, and for how long rows stay in the database before."""

from __future__ import annotations

import datetime as dt
from typing import Final, Literal

from msgspec import Struct

from scutum_server.errors import Conflict, NotFound, ScutumError
from scutum_server.infra.archives import Table

TABLES: Final[tuple[Table, ...]] = ("audit_logs", "spend_logs")
LEAST_DAYS: Final = 30
State = Literal["writing", "verified", "failed"]


class ArchiveNotFound(NotFound):
    code = "archive_not_found"


class RetentionConflict(Conflict):
    code = "retention_conflict"


class ArchivingFailed(ScutumError):
    """A month was not archived; it is still in the database."""

    code = "archiving_failed"


class Archive(Struct, frozen=True, kw_only=True):
    """A row of `archives`. `dropped_at` None: the rows are still in the database as well."""

    id: str
    table: Table
    month: dt.date
    part: int
    state: State
    store_url: str
    key: str
    version: str | None
    rows: int | None
    bytes: int | None
    sha256: str | None
    first_at: dt.datetime | None
    last_at: dt.datetime | None
    locked_until: dt.datetime | None
    error: str | None
    started_at: dt.datetime
    verified_at: dt.datetime | None
    dropped_at: dt.datetime | None


class Partition(Struct, frozen=True, kw_only=True):
    """A month in the database. `rows` is Postgres's estimate, `bytes` with indexes."""

    table: Table
    month: dt.date
    rows: int
    bytes: int

    def due(self, days: int, now: dt.datetime) -> bool:
        """Whether its last row is older than so many days."""
        return due_at(self.month, days) <= now


class Retention(Struct, frozen=True, kw_only=True):
    """Days in the database. `days` are in force; `licensed` is what the licence says, and `confirmed` what was last in
    force or confirmed; `wanted` is the operator's own setting.
    """

    days: int
    licensed: int
    confirmed: int
    wanted: int | None

    @property
    def to_confirm(self) -> int | None:
        """The shorter time that the licence now says, while nobody has confirmed it."""
        return self.licensed if self.licensed < self.confirmed else None


def retention(*, licensed: int, confirmed: int | None, wanted: int | None, enterprise: bool) -> Retention:
    """What is in force: the licence's days, never fewer than confirmed; the operator may ask for fewer than those.

    An Enterprise licence keeps its own whatever the operator's setting is.
    """
    allowed = max(licensed, confirmed or 0)
    days = allowed if enterprise or wanted is None else min(wanted, allowed)
    return Retention(days=days, licensed=licensed, confirmed=allowed, wanted=None if enterprise else wanted)


def due_at(month: dt.date, days: int) -> dt.datetime:
    """When a month's last row is older than so many days."""
    year, number = (month.year + 1, 1) if month.month == 12 else (month.year, month.month + 1)
    return dt.datetime(year, number, 1, tzinfo=dt.UTC) + dt.timedelta(days=days)


class Granted(Struct, frozen=True):
    """What the licence says of this: days in the database, and whether the operator has no say in it."""

    days: int
    enterprise: bool


class Due(Struct, frozen=True, kw_only=True):
    """A month in the database, and since or from when it may be archived."""

    table: Table
    month: dt.date
    rows: int
    bytes: int
    due_at: dt.datetime
    due: bool


class Status(Struct, frozen=True, kw_only=True):
    """How archiving stands. `problem` says why nothing is archived, if so."""

    url: str | None
    at: str
    other_roots: list[str]
    lock_days: int
    lock_compliance: bool
    retention: Retention
    months: list[Due]
    running: bool
    problem: str | None


class Run(Struct, frozen=True, kw_only=True):
    """An order to archive; `queued` False: one is under way already."""

    queued: bool
    running: bool
    months: list[Due]


class Check(Struct, frozen=True):
    """Whether an object is the one that was archived; `detail` says what is wrong."""

    ok: bool
    detail: str | None


class Probe(Struct, frozen=True):
    url: str
    enforced: bool
    reason: str
