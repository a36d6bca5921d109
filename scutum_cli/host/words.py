"""Durations, sizes and times as people say them."""

from __future__ import annotations

import datetime as dt
import time

from scutum_cli import output


def duration(seconds: float) -> str:
    """0.4 s, 12 s, 2 m 5 s, 3 h 10 m, 4 d 2 h."""
    if seconds < 10:
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    for size, unit, rest, rest_unit in ((86_400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if whole >= size:
            remainder = whole % size // rest
            return f"{whole // size} {unit}" + (f" {remainder} {rest_unit}" if remainder else "")
    return f"{whole} s"


def ago(moment: float) -> str:
    """How long ago a time in seconds since the epoch was."""
    return f"{duration(time.time() - moment)} ago"


def megabytes(size: int) -> str:
    return f"{size / 1_000_000:.0f} MB"


def clock(moment: float) -> str:
    """A time for people: local, or UTC with --utc."""
    zone = dt.UTC if output.style.utc else None
    return dt.datetime.fromtimestamp(moment, zone).strftime("%Y-%m-%d %H:%M:%S")
