"""What one worker knows of a deployment: how busy and how fast it is, and whether its breaker lets calls through.

Counts and states are this process's own. That a breaker opened or closed is told to the other processes by `Herald`;
without Redis each process finds out for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import monotonic
from typing import Final, Literal, Protocol

from scutum_server.upstream.options import BreakerOptions

State = Literal["closed", "open", "half-open"]
CLOSED: Final = 0
OPEN: Final = 1
PROBING: Final = 2

LONGEST_FACTOR: Final = 8
"""A breaker whose probes fail stays open longer each time, up to this many cooldowns."""
STALE_S: Final = 60.0
"""A measured latency that is older says nothing any more: one request goes and measures anew."""
SMOOTHING: Final = 0.3
MINUTE_S: Final = 60.0
MOST_EARLY: Final = 10_000
LONGEST_REST_S: Final = 60.0
DEFAULT_REST_S: Final = 5.0
Clock = Callable[[], float]


class Herald(Protocol):
    """Tells the other processes; must not block."""

    def opened(self, deployment_id: str, cooldown_s: float, reason: str) -> None: ...
    def closed(self, deployment_id: str) -> None: ...


class Silence:
    """Nobody to tell."""

    def opened(self, deployment_id: str, cooldown_s: float, reason: str) -> None:
        pass

    def closed(self, deployment_id: str) -> None:
        pass


class Health:
    """One deployment as this process sees it; `usable` is the one attribute that a request in good times looks at.

    `rest_until` is set by a 429: others are preferred until then. All times are seconds of `clock`.
    """

    __slots__ = (
        "_bad", "_clock", "_factor", "_good", "_herald", "_latency", "_measured", "_window", "id", "in_flight",
        "minute", "open_until", "options", "requests", "rest_until", "state", "tokens", "usable",
    )  # fmt: skip

    def __init__(self, deployment_id: str, options: BreakerOptions, herald: Herald, clock: Clock = monotonic) -> None:
        self.id = deployment_id
        self.options = options
        self.state = CLOSED
        self.usable = True
        self.open_until = 0.0
        self.rest_until = 0.0
        self.in_flight = 0
        self.minute = 0
        self.requests = 0
        self.tokens = 0
        self._herald = herald
        self._clock = clock
        self._good = 0
        self._bad = 0
        self._window = 0.0
        self._factor = 1
        self._latency = [0.0, 0.0]
        self._measured = [0.0, 0.0]

    # -- what a call did

    def begin(self) -> None:
        """A call starts; `end()` must follow."""
        self.in_flight += 1
        minute = int(self._clock() // MINUTE_S)
        if minute != self.minute:
            self.minute, self.requests, self.tokens = minute, 0, 0
        self.requests += 1

    def end(self) -> None:
        self.in_flight -= 1

    def succeeded(self, seconds: float, tokens: int, *, stream: bool) -> None:
        """`seconds` is the time to the first byte of a stream, else to the whole answer."""
        self._good += 1
        self.tokens += tokens
        now = self._clock()
        known, fresh = self._latency[stream], now - self._measured[stream] < STALE_S
        self._latency[stream] = known + SMOOTHING * (seconds - known) if known and fresh else seconds
        self._measured[stream] = now
        if self.state == PROBING:
            self._close()

    def answered(self) -> None:
        """The provider refused the request itself, or asked for patience: it is alive."""
        self._good += 1
        if self.state == PROBING:
            self._close()

    def begun(self) -> None:
        """A stream has begun: a probe need not wait for its end."""
        if self.state == PROBING:
            self._close()

    def failed(self, reason: str) -> None:
        """Counts a failure of the deployment's; opens the breaker after too many, or when the probe failed."""
        now = self._clock()
        if self.state == PROBING or self.due:
            self._factor = min(self._factor * 2, LONGEST_FACTOR)
            self._open(reason)
            return
        if now - self._window >= self.options.window_ms / 1000:
            self._window, self._good, self._bad = now, 0, 0
        self._bad += 1
        if self.state == CLOSED and self._bad >= self.options.failures and self._bad >= self._good:
            self._open(reason)

    def rest(self, seconds: float | None) -> None:
        """The provider asked for patience: other deployments are preferred for a while."""
        pause = DEFAULT_REST_S if seconds is None else seconds
        self.rest_until = self._clock() + min(max(pause, 0.0), LONGEST_REST_S)
        self.usable = False

    # -- what a call may do

    def ready(self) -> bool:
        """Whether a call may go there now without a probe; forgets a rest that is over."""
        if self.state != CLOSED:
            return False
        if self.rest_until and self._clock() >= self.rest_until:
            self.rest_until, self.usable = 0.0, True
        return True

    @property
    def resting(self) -> bool:
        return self.rest_until > self._clock()

    @property
    def due(self) -> bool:
        """Whether the cooldown is over and somebody should probe."""
        return self.state == OPEN and self._clock() >= self.open_until

    def probe(self) -> None:
        """The one probe is with this process: the next outcome decides."""
        self.state = PROBING

    def abandon_probe(self) -> None:
        """The probe told nothing (the client left): somebody else may try."""
        if self.state == PROBING:
            self.state = OPEN

    def wait_s(self) -> float:
        """Seconds until the breaker may be probed; 0 when it may be now."""
        return max(0.0, self.open_until - self._clock())

    # -- what the other processes found

    def hear_opened(self, cooldown_s: float) -> None:
        """Another process opened this breaker, or knows that it is open."""
        if self.state != PROBING:
            self.state, self.usable = OPEN, False
            self.open_until = self._clock() + cooldown_s

    def hear_closed(self) -> None:
        if self.state != CLOSED:
            self._reset()

    def close(self) -> None:
        """Sets the breaker back, as after a change of configuration, and says so if it was open."""
        if self.state != CLOSED:
            self._close()

    def latency(self, *, stream: bool) -> float:
        """The smoothed latency in seconds; 0 when nobody has measured it lately."""
        return self._latency[stream] if self._clock() - self._measured[stream] < STALE_S else 0.0

    def measuring(self, *, stream: bool) -> None:
        """A request is on its way to measure anew: until it is back, the last figure holds for the others."""
        now = self._clock()
        if now - self._measured[stream] >= STALE_S:
            self._measured[stream] = now

    def used(self) -> tuple[int, int]:
        """Requests and tokens of this minute, through this process."""
        current = int(self._clock() // MINUTE_S) == self.minute
        return (self.requests, self.tokens) if current else (0, 0)

    def _open(self, reason: str) -> None:
        cooldown = self.options.cooldown_ms / 1000 * self._factor
        self.state, self.usable = OPEN, False
        self.open_until = self._clock() + cooldown
        self._herald.opened(self.id, cooldown, reason)

    def _close(self) -> None:
        told = self.state != CLOSED
        self._reset()
        if told:
            self._herald.closed(self.id)

    def _reset(self) -> None:
        self.state, self._factor = CLOSED, 1
        self._window, self._good, self._bad = self._clock(), 0, 0
        self.usable = not self.rest_until


class Board:
    """The Health of every deployment; it outlives snapshots."""

    def __init__(self, herald: Herald | None = None, clock: Clock = monotonic) -> None:
        self.herald: Herald = herald or Silence()
        self._clock = clock
        self._known: dict[str, tuple[object, Health]] = {}
        self._early: dict[str, float] = {}

    def health(self, deployment_id: str, configuration: object, options: BreakerOptions) -> Health:
        """Starts afresh, with a closed breaker, when the deployment's `configuration` is another than before."""
        known = self._known.get(deployment_id)
        if known is not None and known[0] == configuration:
            return known[1]
        if known is not None:
            known[1].close()
        made = Health(deployment_id, options, self.herald, self._clock)
        self._known[deployment_id] = (configuration, made)
        until = self._early.pop(deployment_id, None)
        if until is not None:
            made.hear_opened(max(0.0, until - self._clock()))
        return made

    def keep_only(self, deployment_ids: Iterable[str]) -> None:
        """Forgets deployments that are gone."""
        for gone in self._known.keys() - set(deployment_ids):
            self._known.pop(gone)[1].close()

    def hear(self, deployment_id: str, *, cooldown_s: float | None) -> None:
        """Another process opened a breaker, or (None) closed it."""
        known = self._known.get(deployment_id)
        if known is None:
            # News may come before the configuration that it is about.
            self._early.pop(deployment_id, None)
            if cooldown_s is not None and len(self._early) < MOST_EARLY:
                self._early[deployment_id] = self._clock() + cooldown_s
        elif cooldown_s is None:
            known[1].hear_closed()
        else:
            known[1].hear_opened(cooldown_s)
