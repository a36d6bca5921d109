"""The services' log files as one stream of entries in time order."""

from __future__ import annotations

import datetime as dt
import json
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scutum_cli.host.layout import Layout

_POSTGRES = re.compile(r"^(?P<ts>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+) UTC \[\d+\] (?P<level>[A-Z]+): +(?P<msg>.*)$")
_VALKEY = re.compile(r"^\d+:[A-Z] (?P<ts>\d\d \w{3} \d{4} \d\d:\d\d:\d\d\.\d+) (?P<level>[.*#-]) (?P<msg>.*)$")
_CIRCUS = re.compile(r"^(?P<ts>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) \S+\[\d+\] \[(?P<level>\w+)\] (?P<msg>.*)$")
_VALKEY_LEVELS = {".": "debug", "-": "debug", "*": "info", "#": "warning"}
_POSTGRES_LEVELS = {"LOG": "info", "FATAL": "error", "PANIC": "error"}
_POLL_SECONDS = 0.2
_KNOWN = ("ts", "level", "msg", "process", "pid", "traceback", "service")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line; `at` is in seconds since the epoch, `fields` what a JSON line holds besides."""

    service: str
    at: float
    level: str
    message: str
    fields: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        stamp = dt.datetime.fromtimestamp(self.at, dt.UTC).isoformat(timespec="milliseconds")
        return {**self.fields, "service": self.service, "ts": stamp, "level": self.level, "msg": self.message}

    def extras(self) -> str:
        """The other fields as name=value, for people."""
        shown = {name: value for name, value in self.fields.items() if name not in _KNOWN}
        return " ".join(f"{name}={value}" for name, value in shown.items())


def parse(service: str, line: str, before: float) -> Entry:
    """One line of a service's log; a line without a time, such as one of a traceback, takes that of the line before."""
    if line.startswith("{"):
        try:
            entry = json.loads(line)
            at = dt.datetime.fromisoformat(entry["ts"]).timestamp()
            return Entry(service, at, str(entry.get("level", "info")), str(entry.get("msg", "")), entry)
        except (ValueError, KeyError, TypeError):
            return Entry(service, before, "info", line)
    if match := _POSTGRES.match(line):
        at = dt.datetime.strptime(match["ts"] + "+0000", "%Y-%m-%d %H:%M:%S.%f%z").timestamp()
        return Entry(service, at, _POSTGRES_LEVELS.get(match["level"], match["level"].lower()), match["msg"])
    if match := _VALKEY.match(line):
        at = time.mktime(time.strptime(match["ts"].partition(".")[0], "%d %b %Y %H:%M:%S"))
        return Entry(service, at, _VALKEY_LEVELS[match["level"]], match["msg"])
    if match := _CIRCUS.match(line):
        at = time.mktime(time.strptime(match["ts"], "%Y-%m-%d %H:%M:%S"))
        return Entry(service, at, match["level"].lower(), match["msg"])
    level, colon, rest = line.partition(": ")
    if colon and level in {"error", "hint"}:
        return Entry(service, before, "error", rest if level == "error" else line)
    return Entry(service, before, "info", line)


def files_of(layout: Layout, service: str) -> list[Path]:
    """A service's log files, oldest first."""
    rotated = sorted(layout.logs.glob(f"{service}.log.[0-9]*"), key=lambda path: -int(path.suffix[1:]))
    current = layout.logs / f"{service}.log"
    return [*rotated, *([current] if current.exists() else [])]


def read(layout: Layout, services: Sequence[str], since: float | None, lines: int) -> list[Entry]:
    """All entries after `since`, or the last `lines` ones, in time order."""
    entries: list[Entry] = []
    for service in services:
        found: list[Entry] = []
        for path in reversed(files_of(layout, service)):
            found = _entries(service, path) + found
            if found and (found[0].at < since if since is not None else len(found) >= lines):
                break
        entries += found if since is not None else found[-lines:]
    entries.sort(key=lambda entry: entry.at)
    return [entry for entry in entries if entry.at >= since] if since is not None else entries[-lines:]


def _entries(service: str, path: Path) -> list[Entry]:
    entries: list[Entry] = []
    before = path.stat().st_mtime
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.strip():
            entries.append(parse(service, line, before))
            before = entries[-1].at
    return entries


class Follower:
    """Reads what is appended to log files from now on, also when they are rotated."""

    def __init__(self, layout: Layout, services: Sequence[str]) -> None:
        self._paths = {service: layout.logs / f"{service}.log" for service in services}
        self._places = {service: self._end(path) for service, path in self._paths.items()}

    def __iter__(self) -> Iterator[Entry]:
        while True:
            new = [entry for service in self._paths for entry in self._poll(service)]
            yield from sorted(new, key=lambda entry: entry.at)
            if not new:
                time.sleep(_POLL_SECONDS)

    @staticmethod
    def _end(path: Path) -> tuple[int, int]:
        try:
            status = path.stat()
        except OSError:
            return (0, 0)
        return (status.st_ino, status.st_size)

    def _poll(self, service: str) -> list[Entry]:
        inode, offset = self._places[service]
        try:
            with self._paths[service].open("rb") as file:
                status = self._paths[service].stat()
                if status.st_ino != inode or status.st_size < offset:
                    offset = 0
                file.seek(offset)
                whole, newline, _ = file.read().rpartition(b"\n")
        except OSError:
            return []
        self._places[service] = (status.st_ino, offset + len(whole) + len(newline))
        now = time.time()
        lines = whole.decode("utf-8", errors="replace").splitlines()
        return [parse(service, line, now) for line in lines if line.strip()]
