"""Usage records on their way to the journal: what a key's requests have in common is encoded once, and the records of
one turn of the event loop are one write.

A record is on disk before the last byte of its answer leaves, since both wait for the same flush of the outbox. All of
this is 2 µs a request, where a write and a whole record to encode for each were 9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from scutum_server.infra.outbox import Outbox
from scutum_server.proxy.telemetry.metrics import Metrics
from scutum_server.usage.journal import Journal
from scutum_server.usage.models import Reading, Whose

if TYPE_CHECKING:
    from scutum_server.proxy.config.snapshot import Deployment, Key, Snapshot, Team

_MOST: Final = 5_000
"""Subjects that are kept; each has half a kilobyte."""


class Subject(Struct, frozen=True):
    """Whose requests they are: for the counters, and as the end of each record's line."""

    route: str
    model: str
    provider: str
    tail: bytes


class Records:
    """One for a worker: `keep()` per request."""

    def __init__(self, journal: Journal, metrics: Metrics, outbox: Outbox) -> None:
        self.worker = ""
        """The name under which this worker leases."""
        self._journal = journal
        self._metrics = metrics
        self._outbox = outbox
        outbox.before = self.write
        self._encoder = msgspec.json.Encoder()
        self._lines: list[bytes] = []
        self._known: dict[tuple[str, str | None, str, str | None], Subject] = {}
        self._made_for: tuple[Snapshot | None, int] = (None, 0)

    def subject(
        self, snapshot: Snapshot, key: Key, team: Team | None, route: str, asked: str | None,
        deployment: Deployment | None,
    ) -> Subject:  # fmt: skip
        """`asked` is the model's name as the client wrote it."""
        made_for = (snapshot, snapshot.version)
        if made_for != self._made_for or len(self._known) >= _MOST:
            self._known.clear()
            self._made_for = made_for
        at = (key.id, deployment.id if deployment is not None else None, route, asked)
        found = self._known.get(at)
        if found is None:
            found = self._known[at] = self._make(key, team, route, asked, deployment)
        return found

    def _make(
        self, key: Key, team: Team | None, route: str, asked: str | None, deployment: Deployment | None
    ) -> Subject:
        whose = Whose(
            key_id=key.id,
            org_id=team.org_id if team is not None else None,
            team_id=team.id if team is not None else None,
            route=route,
            requested_model=asked,
            worker=self.worker,
        )
        if deployment is not None:
            whose.deployment_id, whose.model = deployment.id, deployment.name
            whose.upstream_model, whose.provider = deployment.upstream_model, deployment.provider.name
            whose.simulated = deployment.simulated
        tail = b",%b\n" % self._encoder.encode(whose)[1:]
        return Subject(route, whose.model or "", whose.provider or "", tail)

    def keep(self, subject: Subject, reading: Reading) -> None:
        """Counts the request, and has its record on disk before anything that is put into the outbox from now on."""
        if not self._lines:
            self._outbox.soon()
        self._lines.append(self._encoder.encode(reading)[:-1] + subject.tail)
        self._metrics.observe(subject, reading)

    def write(self) -> None:
        """Puts what was kept into the journal."""
        if self._lines:
            lines, self._lines = self._lines, []
            self._journal.append(lines)
