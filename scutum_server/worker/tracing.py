"""Spans on their way to the collector, in a thread of its own: usage records never wait for it.

What the collector cannot take for now is tried again, with longer and longer pauses, while further records gather in a
queue of bounded length; beyond that they are dropped and counted. A record that comes twice gives the same span twice.
"""

from __future__ import annotations

import http.client
import logging
import random
import ssl
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from scutum_server import __version__
from scutum_server.trace_settings import TraceSettings
from scutum_server.usage.ingest import Row
from scutum_server.worker import otlp
from scutum_server.worker.spans import Place, spans_of

log = logging.getLogger(__name__)

QUEUE: Final = 8192
"""Records, of about 1 kB each."""
BATCH: Final = 512
GATHER_S: Final = 1.0
TIMEOUT_S: Final = 10.0
PAUSE_S: Final = (1.0, 30.0)
LONGEST_WAIT_S: Final = 300.0
"""However long the collector asks us to wait."""
_PASSING: Final = {408, 429, 502, 503, 504}
_MOST_ANSWER: Final = 65_536


class TraceState(msgspec.Struct, kw_only=True):
    """Spans since the start; `failing` says why the last try failed, and is None after one that did not."""

    exported: int = 0
    dropped: int = 0
    waiting: int = 0
    failing: str | None = None


class _LaterError(Exception):
    """Worth another try, after `wait` seconds if the collector said so."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


class _RefusedError(Exception):
    """The collector will never take this."""


class Exporter:
    """`offer` never blocks and never fails; `places` are the providers by name."""

    def __init__(self, settings: TraceSettings, places: Callable[[], Mapping[str, Place]]) -> None:
        self._settings = settings
        self._places = places
        self._queue: deque[Row] = deque()
        self._state = TraceState()
        self._overflow = 0
        self._full = threading.Event()
        self._stop = threading.Event()
        self._connection: http.client.HTTPConnection | None = None
        self._thread = threading.Thread(target=self._run, name="traces", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """Sends what is left, each batch once, for at most that long."""
        self._stop.set()
        self._full.set()
        self._thread.join(seconds)
        if self._queue or self._thread.is_alive():
            log.warning("Spans were not exported before the stop", extra={"spans": len(self._queue)})

    def offer(self, rows: Sequence[Row]) -> None:
        """Takes the traced ones among stored records."""
        for row in rows:
            if row[1].trace is None:
                continue
            if len(self._queue) >= QUEUE:
                self._overflow += 1
            else:
                self._queue.append(row)
        if len(self._queue) >= BATCH:
            self._full.set()

    @property
    def state(self) -> TraceState:
        dropped = self._state.dropped + self._overflow
        return msgspec.structs.replace(self._state, dropped=dropped, waiting=len(self._queue))

    def _run(self) -> None:
        while not self._stop.is_set():
            self._full.wait(GATHER_S)
            self._full.clear()
            self._send_all()
        self._send_all()
        self._hang_up()

    def _send_all(self) -> None:
        while self._queue:
            rows = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
            try:
                self._deliver(rows)
            except Exception as error:
                log.exception("Spans cannot be made")
                self._lost(len(rows), f"{type(error).__name__} in the worker")

    def _deliver(self, rows: list[Row]) -> None:
        places = self._places()
        spans = [span for ts, record in rows for span in spans_of(ts, record, places)]
        body = otlp.request(spans, self._settings.resource, __version__)
        pause, longest = PAUSE_S
        while True:
            try:
                rejected = otlp.rejected(self._post(body))
            except _RefusedError as error:
                self._lost(len(spans), str(error))
                return
            except _LaterError as later:
                self._fails(str(later))
                wait = pause * (0.5 + random.random() / 2) if later.wait is None else later.wait  # noqa: S311 - spreads
                if self._stop.wait(wait):
                    self._lost(len(spans), str(later))
                    return
                pause = min(longest, pause * 2)
            else:
                self._state.exported += len(spans) - rejected
                self._state.dropped += rejected
                self._works()
                return

    def _fails(self, reason: str) -> None:
        if self._state.failing is None:
            log.warning("Traces do not reach the collector: %s", reason)
        self._state.failing = reason

    def _lost(self, spans: int, reason: str) -> None:
        self._fails(reason)
        self._state.dropped += spans

    def _works(self) -> None:
        if self._state.failing is not None:
            log.info("Traces reach the collector again", extra={"dropped": self.state.dropped})
            self._state.failing = None

    def _post(self, body: bytes) -> bytes:
        """The collector's answer; raises _LaterError or _RefusedError."""
        try:
            status, wait, answer = self._exchange(body)
        except (OSError, http.client.HTTPException) as error:
            self._hang_up()
            raise _LaterError(_reason(error)) from error
        if status == 200:
            return answer
        if status in _PASSING:
            raise _LaterError(f"it answers {status}", wait)
        raise _RefusedError(f"it answers {status}")

    def _exchange(self, body: bytes) -> tuple[int, float | None, bytes]:
        headers = {"Content-Type": "application/x-protobuf", "User-Agent": f"scutum/{__version__}"}
        kept = self._connection is not None
        connection = self._connection = self._connection or self._connect()
        try:
            connection.request("POST", self._settings.path, body, headers | dict(self._settings.headers))
            response = connection.getresponse()
        except (ConnectionError, http.client.BadStatusLine):
            # A kept connection may have been closed meanwhile, which says nothing of the collector.
            self._hang_up()
            if kept:
                return self._exchange(body)
            raise
        answer = response.read(_MOST_ANSWER)
        if response.will_close or not response.isclosed():
            self._hang_up()
        return response.status, _seconds(response.getheader("Retry-After")), answer

    def _connect(self) -> http.client.HTTPConnection:
        where = self._settings
        if not where.tls:
            return http.client.HTTPConnection(where.host, where.port, timeout=TIMEOUT_S)
        context = ssl.create_default_context(cafile=where.certificate)
        return http.client.HTTPSConnection(where.host, where.port, timeout=TIMEOUT_S, context=context)

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _seconds(text: str | None) -> float | None:
    return min(float(text), LONGEST_WAIT_S) if text is not None and text.isdecimal() else None


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it does not answer in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return type(error).__name__
