"""The pipeline's call: hands the request to a provider's lane and its answer to the client."""

from __future__ import annotations

import logging
from time import perf_counter
from typing import Final

import msgspec

from scutum_server.errors import UpstreamError
from scutum_server.proxy.admission import capped
from scutum_server.proxy.call import Call, usd
from scutum_server.proxy.snapshot import Deployment, Reply
from scutum_server.upstream.catalog import Tokens
from scutum_server.wire.body import with_model
from scutum_server.wire.chat import BYTES_PER_TOKEN, ChatRequest, Usage, text_tokens
from scutum_server.wire.errors import provider_error
from scutum_server.wire.sse import DONE, ChatStream

log = logging.getLogger(__name__)

MAX_ERROR_BYTES: Final = 1024 * 1024
MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
JSON: Final = b"application/json"
EVENTS: Final = b"text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\nx-accel-buffering: no"


async def forward(call: Call, deployment: Deployment) -> None:
    """Calls the deployment and answers; raises UpstreamError, or ProviderError with the provider's own refusal."""
    show_usage = _wants_usage(call)
    body = with_model(call.body, deployment.upstream_model, include_usage=call.stream and not show_usage)
    body = capped(call, deployment, body)
    call.provider_sent = perf_counter()
    try:
        reply = await deployment.provider.lane.call(call.endpoint.upstream_path, body, stream=call.stream)
    finally:
        call.provider_done = perf_counter()
    try:
        if reply.status != 200:
            refusal = await reply.body(MAX_ERROR_BYTES)
            raise provider_error(deployment.provider.name, reply.status, refusal, reply.header(b"retry-after"))
        if call.stream:
            kind = reply.header(b"content-type") or b""
            if not kind.lower().startswith(b"text/event-stream"):
                raise UpstreamError(
                    f"The provider {deployment.provider.name} did not answer with a stream.", code="upstream_bad_answer"
                )
            await _stream(call, deployment, reply, show_usage=show_usage)
        else:
            _whole(call, deployment, await reply.body(MAX_ANSWER_BYTES))
    finally:
        reply.close()


def _wants_usage(call: Call) -> bool:
    parsed = call.parsed
    options = parsed.stream_options if isinstance(parsed, ChatRequest) else None
    return bool(options is not None and options.include_usage)


def _whole(call: Call, deployment: Deployment, body: bytes) -> None:
    """An answer in one piece: its bytes are passed on, its usage is read."""
    try:
        answer = call.endpoint.answer.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise UpstreamError(
            f"The provider {deployment.provider.name} answered with something that is not {call.endpoint.noun}.",
            code="upstream_bad_answer",
        ) from None
    call.first_byte = call.provider_done
    usage: Usage | None = answer.usage
    if usage is None or usage.prompt_tokens is None:
        call.charge(None, Tokens(input_estimate(call), output_estimate(body)))
    else:
        call.charge(usage, None)
    call.account(200)
    call.exchange.respond(200, call.head(JSON), body)


async def _stream(call: Call, deployment: Deployment, reply: Reply, *, show_usage: bool) -> None:
    """An answer in events. The client's head is written with the first event, so that a failure before it is a status.

    Chunks go from the provider's socket to the client's inside one callback: a task's wake-up per chunk would cost more
    than all else that is done with it.
    """
    exchange = call.exchange
    stream = ChatStream(show_usage=show_usage)
    call.provider_done = 0.0

    def feed(data: bytes) -> bool:
        if not call.first_byte:
            call.first_byte = perf_counter()
        out = stream.feed(data)
        if stream.done or stream.garbage:
            reply.stop()
        if not out:
            return True
        if not exchange.response_started:
            call.provider_done = perf_counter()
            exchange.start(200, call.head(EVENTS))
            call.provider_done = 0.0
        return exchange.write(out)

    exchange.on_writable = reply.resume
    try:
        await reply.pump(feed)
        rest = stream.finish()
        if stream.garbage:
            raise UpstreamError(
                f"The provider {deployment.provider.name} sent an event that is not JSON.", code="upstream_bad_answer"
            )
    except BaseException:
        _charge_stream(call, stream)
        raise
    finally:
        exchange.on_writable = None
        call.provider_done = perf_counter()
    _finish_stream(call, stream, rest)


def _finish_stream(call: Call, stream: ChatStream, rest: bytes) -> None:
    exchange = call.exchange
    if not exchange.response_started:
        if not stream.done and not rest:
            raise UpstreamError("The provider ended its stream before the first event.", code="upstream_bad_answer")
        exchange.start(200, call.head(EVENTS))
    if stream.error:
        call.error_kind = "upstream_stream_error"
    _charge_stream(call, stream)
    call.account(200)
    exchange.end(b"%b: x-scutum-cost=%b\n\n%b" % (rest, usd(call.cost).encode(), DONE))


def _charge_stream(call: Call, stream: ChatStream) -> None:
    """Charges what was reported, or what was generated as far as it was seen."""
    estimate = None
    if (stream.usage is None or stream.usage.prompt_tokens is None) and stream.events:
        output = stream.estimate()
        parsed = call.parsed
        if isinstance(parsed, ChatRequest):
            limit = parsed.max_completion_tokens or parsed.max_tokens
            if limit is not None and limit > 0:
                output = min(output, limit * (parsed.n or 1))
        estimate = Tokens(input_estimate(call), output)
    call.charge(stream.usage, estimate)


def input_estimate(call: Call) -> int:
    """Tokens of the request, by its texts."""
    try:
        document = msgspec.json.decode(call.body)
    except msgspec.MsgspecError:  # a number beyond all bounds in a field that the provider may have ignored
        return len(call.body) // BYTES_PER_TOKEN
    return text_tokens(document.get("messages", document.get("input")))


def output_estimate(body: bytes) -> int:
    """Tokens of a whole answer that reports none, by the texts of its choices; embeddings generate none."""
    try:
        document = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return len(body) // BYTES_PER_TOKEN
    choices = document.get("choices")
    return text_tokens([choice.get("message") for choice in choices if isinstance(choice, dict)]) if choices else 0
