"""Calls the deployments behind a model's name until one answers: retries, fallbacks, breakers, deadlines.

Only before the first byte has gone to the client. Each attempt has the request anew in the format that its provider
takes. What a failure leads to:

* the request itself is wrong (400, 404, 413, 422, …): the client is told, nobody else is asked;
* the provider's format has no way to say it, or a limit of that model or a budget for its price is reached: the next
  one; the client is told when there is none;
* passing (429, 408, 5xx, no connection): the same deployment again after a pause, as often as `retries` says, then the
  next; at once the next if there is one and the provider asked for patience or could not be reached;
* about the key (429, 401, 403), and the provider has another key: the same deployment with that one, at once;
* anything else (time-out, hung up, refused key, no proper answer): the next one. The provider may have done the work
  already, so it is not asked to do it twice.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Final

from scutum_server.errors import InvalidInput, ScutumError, Unavailable, UpstreamError
from scutum_server.proxy.call import Call
from scutum_server.proxy.config.snapshot import Deployment, Plan
from scutum_server.proxy.forward import forward
from scutum_server.proxy.limits.refusals import LimitReached
from scutum_server.proxy.telemetry.tracing import tried
from scutum_server.proxy.ways import Way, way_of
from scutum_server.upstream.errors import UpstreamBadAnswer, UpstreamRefused, UpstreamTimeout
from scutum_server.upstream.native import COUNT_TOKENS, ProviderMisconfigured
from scutum_server.wire.errors import ProviderError

PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 5.0
PATIENCE_S: Final = 10.0
"""A Retry-After beyond this is the client's to wait for."""
TOTAL_S: Final = 600.0
MOST_KEYS: Final = 10
"""How often a request may change to another key of a provider."""

NEVER: Final = 0
NEXT: Final = 1
AGAIN: Final = 2


class CircuitOpen(Unavailable):
    """Every deployment behind the name has failed too often a moment ago."""

    code = "circuit_open"

    def __init__(self, detail: str, *, retry_after: int) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


async def answer(call: Call, plan: Plan) -> None:
    """Answers the request with the first deployment that can; raises the last failure when none did."""
    routing = plan.routing
    candidates = plan.candidates if plan.order is None else plan.order(call.stream)
    deployment = candidates[0]
    if not deployment.health.usable or routing.first_byte_ms is not None or routing.total_ms is not None:
        await _Run(call, plan, candidates).go(0)
        return
    try:
        await _attempt(call, deployment, _way(call, deployment))
    except ScutumError as error:
        run = _Run(call, plan, candidates)
        at = await run.after(error, 0)
        if at is None:
            raise
        await run.go(at, error)


def _way(call: Call, deployment: Deployment) -> Way:
    """The request for this deployment; raises InvalidInput when it cannot be asked, which no call was made to learn."""
    try:
        return way_of(call, deployment)
    except InvalidInput:
        call.path.append(deployment.label + b":unsupported")
        raise


async def _attempt(call: Call, deployment: Deployment, way: Way) -> None:
    """One call, and what the deployment's health and the counters learn from it."""
    call.deployment = deployment
    try:
        await call.gateway.admission.admit(call, deployment)
    except LimitReached:
        call.path.append(deployment.label + b":limited")
        raise
    call.attempts += 1
    health, metrics = deployment.health, call.gateway.metrics
    health.begin()
    metrics.attempt(deployment.name, deployment.provider.name)
    try:
        await forward(call, deployment, way)
    except ScutumError as error:
        word, blame = _outcome(error)
        metrics.failed(deployment.provider.name, error.code)
        call.path.append(b"%b:%b" % (deployment.label, word))
        tried(call, deployment, word.decode())
        if blame:
            if not (_about_the_key(error) and deployment.provider.spare_key):
                health.failed(word.decode())
        else:
            health.answered()
            if _about_the_key(error) and not deployment.provider.spare_key:
                health.rest(_retry_after(error))
        raise
    except BaseException:
        health.abandon_probe()
        raise
    finally:
        health.end()
    if way.wire == COUNT_TOKENS:
        # Nothing was generated: its time would pass for that of an answer.
        health.answered()
        return
    seconds = (call.first_byte or call.provider_done) - call.provider_sent
    health.succeeded(seconds, call.tokens.input + call.tokens.output, stream=call.stream)


class _Run:
    """The long way: more than one attempt, or deadlines of the alias's own."""

    def __init__(self, call: Call, plan: Plan, candidates: Sequence[Deployment]) -> None:
        self._call = call
        self._routing = plan.routing
        ready = [each for each in candidates if not each.health.resting]
        # Those that asked for patience come last, and are asked all the same before the request fails.
        self._candidates = [*ready, *(each for each in candidates if each.health.resting)]
        first = candidates[0]
        if call.attempts and self._candidates[0] is not first:
            self._candidates.remove(first)
            self._candidates.insert(0, first)
        self._deadline = call.started + (self._routing.total_ms or TOTAL_S * 1000) / 1000
        self._tries = call.attempts
        self._keys = 0

    async def go(self, at: int, failure: ScutumError | None = None) -> None:
        """Attempts from candidate `at` on; `failure` is that of an attempt before."""
        call = self._call
        while at < len(self._candidates):
            deployment = self._candidates[at]
            try:
                way = _way(call, deployment)
                if not await self._let_through(deployment):
                    call.path.append(deployment.label + b":open")
                    at, self._tries = at + 1, 0
                    continue
                self._tries += 1
                if call.attempts:
                    call.try_again()
                await self._timed(deployment, way)
                return
            except ScutumError as error:
                # That a further provider could not be asked says less than how one that was asked failed.
                if failure is None or _weight(error) >= _weight(failure):
                    failure = error
                following = await self.after(error, at)
                if following is None:
                    raise failure from None
                at = following
        raise failure or self._all_open()

    async def after(self, error: ScutumError, at: int) -> int | None:
        """Which candidate is next, after the pause that is due; None when the failure is the client's to know."""
        call, verdict = self._call, _verdict(error)
        self._tries = max(self._tries, 1)
        if call.exchange.response_started or call.exchange.disconnected or verdict == NEVER:
            return None
        if perf_counter() >= self._deadline:
            return None
        if _about_the_key(error) and self._keys < MOST_KEYS and self._candidates[at].provider.spare_key:
            self._keys, self._tries = self._keys + 1, self._tries - 1
            return at
        others = self._others(at)
        if verdict == NEXT or (others is not None and _moves_on(error)):
            self._tries = 0
            return others
        if self._tries > self._routing.retries:
            self._tries = 0
            return others
        pause = self._pause(error)
        if pause is None:
            self._tries = 0
            return others
        slept_from = perf_counter()
        await asyncio.sleep(pause)
        call.waited += perf_counter() - slept_from
        return at

    def _others(self, at: int) -> int | None:
        """The next candidate that is not shut; None when the last failure should stand."""
        for place in range(at + 1, len(self._candidates)):
            health = self._candidates[place].health
            if health.ready() or health.due:
                return place
        return None

    def _pause(self, error: ScutumError) -> float | None:
        """Seconds to wait before asking the same deployment again; None when that is too long to wait."""
        asked = _retry_after(error)
        if asked is None:
            ceiling = min(PAUSE_S * 2 ** (self._tries - 1), LONGEST_PAUSE_S)
            pause = ceiling * (0.5 + random.random() / 2)  # noqa: S311 - spreads retries, hides nothing
        elif asked > PATIENCE_S:
            return None
        else:
            pause = asked + random.random() * PAUSE_S / 2  # noqa: S311 - as above
        return pause if perf_counter() + pause < self._deadline else None

    async def _let_through(self, deployment: Deployment) -> bool:
        health = deployment.health
        if health.ready():
            return True
        return health.due and await self._call.gateway.breakers.take_probe(health)

    async def _timed(self, deployment: Deployment, way: Way) -> None:
        """One attempt within what is left of the request's time, and of the time to the first byte."""
        call, first_byte, health = self._call, self._routing.first_byte_ms, deployment.health
        loop = asyncio.get_running_loop()
        left = self._deadline - perf_counter()
        wait = left if first_byte is None else min(left, first_byte / 1000)
        end = loop.time() + left
        try:
            async with asyncio.timeout(wait) as limit:

                def begun() -> None:
                    limit.reschedule(end)
                    health.begun()

                call.on_start = begun
                await _attempt(call, deployment, way)
        except TimeoutError:
            # The loop's timers may be a little early: by the clock alone there would be time for one more attempt.
            late = wait == left or perf_counter() >= self._deadline
            if late:
                self._deadline = perf_counter()
            what = "answer" if late else "begin to answer"
            health.failed("timeout")
            call.path.append(deployment.label + b":timeout")
            tried(call, deployment, "timeout")
            call.gateway.metrics.failed(deployment.provider.name, UpstreamTimeout.code)
            raise UpstreamTimeout(f"The provider did not {what} in the time that the alias allows.") from None
        finally:
            call.on_start = None

    def _all_open(self) -> CircuitOpen:
        wait = min(each.health.wait_s() for each in self._candidates)
        name = self._call.requested_model
        return CircuitOpen(
            f"Every deployment of the model `{name[:100]}` has just failed too often: try again in {wait:.0f} s.",
            retry_after=max(1, round(wait)),
        )


def _weight(error: ScutumError) -> int:
    """How much the client has from hearing of this failure rather than of another."""
    return 0 if isinstance(error, InvalidInput) else 1 if isinstance(error, LimitReached) else 2


@contextmanager
def watched(call: Call, deployment: Deployment) -> Iterator[None]:
    """A call that is made once, whatever comes of it: what the deployment's health and the counters learn."""
    call.attempts = 1
    health, metrics = deployment.health, call.gateway.metrics
    health.begin()
    metrics.attempt(deployment.name, deployment.provider.name)
    try:
        yield
    except (UpstreamError, ProviderError) as error:
        word, blame = _outcome(error)
        metrics.failed(deployment.provider.name, error.code)
        call.path.append(b"%b:%b" % (deployment.label, word))
        if blame:
            health.failed(word.decode())
        else:
            health.answered()
        raise
    except BaseException:
        health.abandon_probe()
        raise
    else:
        health.answered()
    finally:
        health.end()


def _verdict(error: ScutumError) -> int:
    if isinstance(error, ProviderError):
        status = error.provider_status
        if status in {408, 429} or status >= 500:
            return AGAIN
        return NEXT if status in {401, 403} or status < 400 else NEVER
    if isinstance(error, UpstreamRefused):
        return AGAIN
    return NEXT if isinstance(error, UpstreamError | InvalidInput | LimitReached) else NEVER


def _about_the_key(error: ScutumError) -> bool:
    """Whether the same deployment may answer at once when it is called with another key."""
    return isinstance(error, ProviderError) and error.provider_status in {401, 403, 429}


def _moves_on(error: ScutumError) -> bool:
    """Whether another deployment is the better bet than this one a moment later."""
    return isinstance(error, UpstreamRefused) or (
        isinstance(error, ProviderError) and (error.provider_status == 429 or error.retry_after is not None)
    )


def _outcome(error: ScutumError) -> tuple[bytes, bool]:
    """The failure in a word, and whether it speaks against the deployment's health."""
    if isinstance(error, ProviderError):
        status = error.provider_status
        return b"%d" % status, status in {401, 403, 408} or status >= 500 or status < 400
    if isinstance(error, UpstreamTimeout):
        return b"timeout", True
    if isinstance(error, UpstreamRefused):
        return b"unreachable", True
    if isinstance(error, UpstreamBadAnswer):
        return b"bad_answer", True
    ours = isinstance(error, ProviderMisconfigured) or not isinstance(error, UpstreamError)
    return error.code.removeprefix("upstream_").encode(), not ours


def _retry_after(error: ScutumError) -> float | None:
    """Seconds that the provider asked for; None when it did not, or in a form that we do not read."""
    value = error.retry_after if isinstance(error, ProviderError) else None
    try:
        return None if value is None else max(0.0, float(value))
    except ValueError:
        return None
