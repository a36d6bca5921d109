"""The pipeline's call: hands the request to a provider's lane and its answer to the client."""

from __future__ import annotations

import contextlib
import logging
from time import perf_counter
from typing import Final

import msgspec

from scutum_server.errors import UpstreamError
from scutum_server.proxy.call import Call, usd
from scutum_server.proxy.charging import asked_apart, tokens_of
from scutum_server.proxy.config.snapshot import Deployment
from scutum_server.proxy.estimates import raw_output
from scutum_server.proxy.keyring import Reply
from scutum_server.proxy.limits.admission import capped
from scutum_server.proxy.passthrough.answers import relay
from scutum_server.proxy.ways import Way, dropped_header
from scutum_server.upstream.catalog import Tokens
from scutum_server.upstream.errors import UpstreamBadAnswer
from scutum_server.upstream.native import COUNT_TOKENS
from scutum_server.wire.errors import provider_error, stream_error
from scutum_server.wire.steps import Passage

log = logging.getLogger(__name__)

MAX_ERROR_BYTES: Final = 1024 * 1024
MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
JSON: Final = b"application/json"
EVENTS: Final = b"text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\nx-accel-buffering: no"


async def forward(call: Call, deployment: Deployment, way: Way) -> None:
    """Calls the deployment and answers; raises UpstreamError, or ProviderError with the provider's own refusal."""
    way.body = capped(call, way.body, way.wire, deployment)
    call.dropped = way.dropped
    call.provider_sent = perf_counter()
    try:
        fields = way.fields + call.trace_fields
        stream = call.stream or way.passed
        reply = await deployment.provider.lane.call(way.path, way.body, stream=stream, fields=fields)
    finally:
        call.provider_done = perf_counter()
    try:
        if reply.status != 200:
            refusal = await reply.body(MAX_ERROR_BYTES)
            raise provider_error(deployment.provider.name, reply.status, refusal, reply.header(b"retry-after"))
        if deployment.provider.lane.traits.tells_dropped:
            call.dropped = dropped_header(call.dropped, reply.header(b"x-scutum-dropped"))
        if way.passed:
            await relay(call, deployment, reply)
        elif call.stream:
            kind = reply.header(b"content-type") or b""
            if not kind.lower().startswith(b"text/event-stream"):
                with contextlib.suppress(UpstreamError):  # it is none, however it ends
                    call.charge(way.reported_in(await reply.body(MAX_ANSWER_BYTES)), None)
                raise UpstreamBadAnswer(f"The provider {deployment.provider.name} did not answer with a stream.")
            await _stream(call, deployment, reply, way.passage())
        else:
            _whole(call, deployment, way, await reply.body(MAX_ANSWER_BYTES))
    finally:
        reply.close()


def _whole(call: Call, deployment: Deployment, way: Way, body: bytes) -> None:
    """An answer in one piece: its usage is read, its bytes are passed on, or translated."""
    try:
        usage = way.usage_in(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        call.charge(way.reported_in(body), None)
        raise UpstreamBadAnswer(
            f"The provider {deployment.provider.name} answered with something that is not {call.endpoint.noun}."
        ) from None
    call.first_byte = call.provider_done
    if usage is not None and usage.prompt_tokens is not None:
        call.charge(usage, None)
        call.gateway.estimates.learn(call, 0)
    elif way.wire != COUNT_TOKENS:
        estimates = call.gateway.estimates
        output = estimates.output(call, raw_output(body))
        call.charge(None, Tokens(estimates.input(call), output, apart=asked_apart(call)))
    body = way.told(body)
    call.account(200)
    call.exchange.respond(200, call.head(JSON), body)


async def _stream(call: Call, deployment: Deployment, reply: Reply, stream: Passage) -> None:
    """An answer in events. The client's head is written with the first event, so that a failure before it is a status,
    and another deployment may be asked; a stream that begins with an error is such a failure.

    Chunks go from the provider's socket to the client's inside one callback: a task's wake-up per chunk would cost more
    than all else that is done with it.
    """
    exchange = call.exchange
    call.provider_done = 0.0

    def feed(data: bytes) -> bool:
        if not call.first_byte:
            call.first_byte = perf_counter()
        out = stream.feed(data)
        if stream.done or stream.garbage:
            reply.stop()
        if stream.error and not exchange.response_started:
            _refuse_error(deployment, stream)
        if not out:
            return True
        if not exchange.response_started:
            if call.on_start is not None:
                call.on_start()
            call.provider_done = perf_counter()
            exchange.start(200, call.head(EVENTS))
            call.provider_done = 0.0
        return exchange.write(out)

    exchange.on_writable = reply.resume
    try:
        await reply.pump(feed)
        rest = stream.finish()
        if stream.garbage:
            raise UpstreamBadAnswer(f"The provider {deployment.provider.name} sent an event that is not JSON.")
        if stream.error and not exchange.response_started:
            _refuse_error(deployment, stream)
    except BaseException:
        _charge_stream(call, stream)
        raise
    finally:
        exchange.on_writable = None
        call.provider_done = perf_counter()
    _finish_stream(call, deployment, stream, rest)


def _refuse_error(deployment: Deployment, stream: Passage) -> None:
    """Raises ProviderError when nothing was generated before the error that the stream holds."""
    if not stream.estimate():
        raise stream_error(deployment.provider.name, stream.error)


def _finish_stream(call: Call, deployment: Deployment, stream: Passage, rest: bytes) -> None:
    exchange = call.exchange
    if not exchange.response_started:
        if not stream.done and not rest:
            raise UpstreamBadAnswer("The provider ended its stream before the first event.")
        exchange.start(200, call.head(EVENTS))
    if stream.error:
        call.error_kind = "upstream_stream_error"
        call.gateway.metrics.failed(deployment.provider.name, call.error_kind)
    _charge_stream(call, stream)
    call.account(200)
    exchange.end(b"%b: x-scutum-cost=%b\n\n%b" % (rest, usd(call.cost).encode(), stream.last))


def _charge_stream(call: Call, stream: Passage) -> None:
    """Charges what was reported, or what was generated as far as it was seen."""
    raw, estimates = stream.estimate(), call.gateway.estimates
    if stream.usage is not None and stream.usage.prompt_tokens is not None:
        call.charge(stream.usage, None)
        estimates.learn(call, raw)
        return
    refused = stream.error and not raw and not call.exchange.response_started
    if not stream.events or refused:
        return
    output = estimates.output(call, raw)
    limit = getattr(call.parsed, "max_completion_tokens", None) or getattr(call.parsed, "max_tokens", None)
    if limit is not None and limit > 0:
        output = min(output, limit * (getattr(call.parsed, "n", None) or 1))
    known = stream.partial
    if known is not None and known.prompt_tokens is not None:
        # What has begun is known from the provider: all but how much it has said.
        call.charge(None, msgspec.structs.replace(tokens_of(known), output=output, reasoning=0))
    else:
        call.charge(None, Tokens(estimates.input(call), output, apart=asked_apart(call)))
