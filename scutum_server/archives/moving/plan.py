"""What the archiver is told, and what it tells: between the worker and the archiver's own process."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import msgspec

from scutum_server.infra.archives import Table


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """`days`: how long rows stay, by table. `lock_days` 0: nothing is locked; `compliance`: nobody may unlock it."""

    days: Mapping[Table, int]
    lock_days: int = 0
    compliance: bool = False


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """`url` is the object store that archives go to."""

    url: str
    plan: Plan


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a month; `error` None: it is archived and out of the database."""

    table: Table
    month: dt.date
    rows: int = 0
    bytes: int = 0
    seconds: float = 0.0
    error: str | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One line: what became of a month, or why the whole run ended; `busy`: another archiver is at work."""

    outcome: Outcome | None = None
    error: str | None = None
    busy: bool = False
