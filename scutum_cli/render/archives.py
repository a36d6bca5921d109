"""Archives: months that went into the object store, and those that are next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scutum_cli.render.columns import Column
from scutum_cli.render.text import NOTHING, Face, age, count, listed, when

if TYPE_CHECKING:
    from scutum_cli.client.types import Archive, ArchiveMonth, ArchiveStatus


def month(found: Archive | ArchiveMonth) -> str:
    """`2026-03`."""
    return str(found["month"])[:7]


def size(number: int | None) -> str:
    """Bytes as people say them: `12 kB`, `3.4 MB`."""
    if number is None:
        return NOTHING
    for step, unit in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if number >= step:
            return f"{number / step:.1f} {unit}" if number < 10 * step else f"{number / step:.0f} {unit}"
    return f"{number} B"


def _rows(found: Archive | ArchiveMonth) -> str:
    return NOTHING if found["rows"] is None else count(found["rows"])


def state(found: Archive) -> str:
    """`archived` once its rows are nowhere else."""
    if found["state"] == "verified":
        return "archived" if found["dropped_at"] else "in both"
    return str(found["state"])


def _locked(found: Archive, face: Face) -> str:
    until = found["locked_until"]
    return age(until, face) if until else "no"


COLUMNS: list[Column[Archive]] = [
    Column("table", "TABLE"),
    Column("month", "MONTH", lambda found, _: month(found)),
    Column("rows", "ROWS", lambda found, _: _rows(found), right=True),
    Column("bytes", "SIZE", lambda found, _: size(found["bytes"]), right=True),
    Column("state", "STATE", lambda found, _: state(found), value=state),
    Column("locked_until", "LOCK ENDS", _locked),
    Column("dropped_at", "ARCHIVED", lambda found, face: age(found["dropped_at"], face)),
    Column("id", "ID"),
    Column("part", "PART", right=True, extra=True),
    Column("error", "ERROR", extra=True),
    Column("store_url", "STORE", extra=True),
    Column("key", "KEY", extra=True),
    Column("sha256", "SHA-256", extra=True),
]

SPARE = ("LOCK ENDS", "ARCHIVED", "SIZE")

DETAILS: list[Column[Archive]] = [
    Column("table", "TABLE"),
    Column("month", "MONTH", lambda found, _: month(found)),
    Column("part", "PART"),
    Column("id", "ID"),
    Column("state", "STATE", lambda found, _: state(found)),
    Column("error", "ERROR"),
    Column("rows", "ROWS", lambda found, _: _rows(found)),
    Column("bytes", "SIZE", lambda found, _: size(found["bytes"])),
    Column("first_at", "FIRST ROW", lambda found, face: when(found["first_at"], face)),
    Column("last_at", "LAST ROW", lambda found, face: when(found["last_at"], face)),
    Column("store_url", "STORE"),
    Column("key", "KEY"),
    Column("version", "VERSION"),
    Column("sha256", "SHA-256"),
    Column("locked_until", "LOCKED UNTIL", lambda found, face: when(found["locked_until"], face)),
    Column("verified_at", "VERIFIED", lambda found, face: when(found["verified_at"], face)),
    Column("dropped_at", "LEFT THE DATABASE", lambda found, face: when(found["dropped_at"], face)),
]


def _kept(status: ArchiveStatus) -> str:
    kept = status["retention"]
    said = f"{kept['days']} days"
    if kept["to_confirm"] is not None:
        return f"{said}; the licence gives {kept['to_confirm']} now, which waits for: scutum archives confirm"
    return said


def _next(status: ArchiveStatus, face: Face) -> str:
    due = [f"{found['table']} {month(found)}" for found in status["months"] if found["due"]]
    if due:
        return listed(due)
    coming = min((found["due_at"] for found in status["months"]), default=None)
    return f"nothing is due until {when(coming, face)}" if coming else NOTHING


def _lock(status: ArchiveStatus) -> str:
    if not status["lock_days"]:
        return "off"
    kind = "for everybody" if status["lock_compliance"] else "with a bypass for those who may"
    return f"{status['lock_days']} days, {kind}, where the store keeps it"


STATUS: list[Column[ArchiveStatus]] = [
    Column("url", "STORE", lambda status, _: status["url"] or (status["problem"] or NOTHING)),
    Column("at", "EVERY NIGHT AT"),
    Column("retention", "ROWS STAY", lambda status, _: _kept(status)),
    Column("lock", "RETENTION LOCK", lambda status, _: _lock(status)),
    Column("due", "DUE NOW", _next),
    Column("running", "RUNNING"),
    Column("other_roots", "READ ALONG", lambda status, _: listed(status["other_roots"])),
]


def oldest(months: list[ArchiveMonth]) -> str:
    """Which months, in words: `audit_logs 2026-06 (21 MB) and spend_logs 2026-06 (8 MB)`."""
    names = [f"{found['table']} {month(found)} ({size(found['bytes'])})" for found in months]
    return ", ".join(names) if len(names) < 2 else f"{', '.join(names[:-1])} and {names[-1]}"
