"""The provider `sim`: answers in OpenAI's wire without a network, a key or a cost, and fails on request.

Equal bodies and seeds give equal answers but for `created`. Usage: four bytes are a token, three more a message.
"""

from __future__ import annotations

import asyncio
import base64
import random
import struct
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec

from scutum_server.upstream import sim_content
from scutum_server.upstream.errors import UpstreamDisconnected, UpstreamRefused, UpstreamTimeout
from scutum_server.upstream.options import SimOptions
from scutum_server.upstream.sim_request import (
    BadRequest,
    ChatRequest,
    EmbeddingsRequest,
    decode_chat,
    decode_embeddings,
    input_texts,
    last_words,
    prompt_tokens,
    tools_to_call,
)

HANG_SECONDS = 30.0
"""How long `error_kind: timeout` hangs when no `latency_ms` is set."""
DIMENSIONS = 256

_FAILURES: dict[str, tuple[int, str, str, str]] = {
    "rate_limit": (429, "Simulated: too many requests.", "rate_limit_error", "rate_limit_exceeded"),
    "server_error": (500, "Simulated: the provider failed.", "server_error", "server_error"),
    "overloaded": (503, "Simulated: the provider is overloaded.", "server_error", "overloaded"),
}
_encode = msgspec.json.encode


class SimReply(msgspec.Struct, frozen=True):
    """`body` is whole JSON, or for streams an iterator of SSE bytes, one event each, which may raise UpstreamError."""

    status: int
    body: bytes | AsyncIterator[bytes]


class _Choice(msgspec.Struct):
    """What one choice says: `pieces` of a token each, or `calls` as (id, name, arguments in JSON)."""

    index: int
    pieces: list[str]
    calls: list[tuple[str, str, str]]
    finish: str
    logprobs: list[dict[str, Any]] | None

    def tokens(self) -> int:
        called = sum(sim_content.count_tokens(name + arguments) for _, name, arguments in self.calls)
        return len(self.pieces) + called


class Simulator:
    """One simulated provider; replace it when its options change."""

    def __init__(self, options: SimOptions) -> None:
        self._options = options
        self._luck = random.Random(options.seed)  # noqa: S311 - repeatable is the point

    async def chat(self, body: dict[str, Any], stream: bool) -> SimReply:
        """Answers a chat completion; raises UpstreamRefused, UpstreamTimeout and UpstreamDisconnected when told to."""
        failure = await self._begin()
        if failure is not None and failure.status != 200:
            return failure
        try:
            request = decode_chat(body)
        except BadRequest as error:
            return _failed(400, str(error), "invalid_request_error", "invalid_request", error.param)
        digest = self._digest(body)
        choices = [self._choice(request, digest, index) for index in range(request.n or 1)]
        usage = _usage(prompt_tokens(request), sum(choice.tokens() for choice in choices))
        frame = _frame(request.model, "chatcmpl-sim-" + digest, "chat.completion")
        if stream:
            return SimReply(200, self._stream(request, choices, frame, usage, failure))
        if failure is not None:
            return self._broken(failure)
        if self._options.shape == "changed":
            return SimReply(200, _encode({**frame, "output": ["".join(choices[0].pieces)], "usage": usage}))
        answers = [_whole(choice) for choice in choices]
        return SimReply(200, _encode({**frame, "choices": answers, "usage": usage}))

    async def embeddings(self, body: dict[str, Any]) -> SimReply:
        """Answers an embeddings request with unit vectors; raises as `chat` does."""
        failure = await self._begin()
        if failure is not None:
            return self._broken(failure)
        try:
            request = decode_embeddings(body)
            texts = input_texts(request)
        except BadRequest as error:
            return _failed(400, str(error), "invalid_request_error", "invalid_request", error.param)
        tokens = sum(max(1, sim_content.count_tokens(text)) for text in texts)
        data = [self._vector(request, index, text) for index, text in enumerate(texts)]
        name = "embeddings" if self._options.shape == "changed" else "data"
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return SimReply(200, _encode({"object": "list", name: data, "model": request.model, "usage": usage}))

    def _broken(self, failure: SimReply) -> SimReply:
        if failure.status == 200 and self._options.error_kind == "truncated":
            raise UpstreamDisconnected("Simulated: the provider hung up in the middle of its answer.")
        return failure

    def _vector(self, request: EmbeddingsRequest, index: int, text: str) -> dict[str, Any]:
        vector = sim_content.embedding(text, request.dimensions or DIMENSIONS, self._options.seed)
        packed: str | list[float] = vector
        if request.encoding_format == "base64":
            packed = base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
        return {"object": "embedding", "index": index, "embedding": packed}

    def _digest(self, body: dict[str, Any]) -> str:
        """Of all that changes the answer: streamed or not, it is the same one."""
        asked = {name: value for name, value in body.items() if name not in {"stream", "stream_options"}}
        text = msgspec.json.encode(asked, order="deterministic").decode()
        return f"{sim_content.generator(self._options.seed, text).getrandbits(96):024x}"

    async def _begin(self) -> SimReply | None:
        """Waits as the options say; None when this call succeeds, and status 200 for an answer that will break."""
        options = self._options
        fails = self._luck.random() < options.error_rate
        if fails and options.error_kind == "refused":
            raise UpstreamRefused("Simulated: the provider refuses connections.")
        if fails and options.error_kind == "timeout":
            await asyncio.sleep(options.latency_ms / 1000 or HANG_SECONDS)
            raise UpstreamTimeout("Simulated: the provider did not answer in time.")
        if options.latency_ms:
            await asyncio.sleep(options.latency_ms / 1000)
        if not fails:
            return None
        if options.error_kind in {"garbage", "truncated"}:
            return SimReply(200, b"<html>Simulated: this is no JSON.</html>")
        return _failed(*_FAILURES[options.error_kind])

    def _choice(self, request: ChatRequest, digest: str, index: int) -> _Choice:
        rng = sim_content.generator(digest, index)
        limit = request.max_completion_tokens or request.max_tokens
        called = tools_to_call(request, eager=self._options.shape == "tools")
        if called:
            calls = []
            for tool in called:
                arguments = sim_content.instance(tool.parameters or {"type": "object"}, rng)
                calls.append((f"call_sim{rng.getrandbits(64):016x}", tool.name, _encode(arguments).decode()))
            return _Choice(index, [], calls, "tool_calls", None)
        text = self._text(request, rng)
        stops = [request.stop] if isinstance(request.stop, str) else request.stop or []
        cuts = [at for stop in stops if stop and (at := text.find(stop)) >= 0]
        if cuts:
            text = text[: min(cuts)]
        pieces, finish = sim_content.split_tokens(text), "stop"
        if limit is not None and len(pieces) > limit:
            pieces, finish = pieces[:limit], "length"
        asked = None
        if request.logprobs:
            asked = list(sim_content.logprobs(pieces, request.top_logprobs or 0, rng))
        return _Choice(index, pieces, [], finish, asked)

    def _text(self, request: ChatRequest, rng: random.Random) -> str:
        asked = request.response_format
        words = last_words(request)
        if asked is not None and asked.type == "json_schema" and asked.json_schema is not None:
            return _encode(sim_content.instance(asked.json_schema.schema or {}, rng)).decode()
        text = sim_content.answer_text(words, self._options.completion_tokens, rng)
        if asked is not None and asked.type == "json_object":
            return _encode({"simulated": True, "answer": text}).decode()
        return text

    async def _stream(
        self,
        request: ChatRequest,
        choices: list[_Choice],
        frame: dict[str, Any],
        usage: dict[str, Any],
        failure: SimReply | None,
    ) -> AsyncIterator[bytes]:
        options = self._options
        if options.ttft_ms:
            await asyncio.sleep(options.ttft_ms / 1000)
        if failure is not None and options.error_kind == "garbage":
            yield b"data: {Simulated: this is no JSON\n\n"
            return
        frame = {**frame, "object": "chat.completion.chunk"}
        wants_usage = request.stream_options is not None and request.stream_options.include_usage
        if wants_usage:
            frame["usage"] = None
        name = "output" if options.shape == "changed" else "choices"
        half = sum(choice.tokens() for choice in choices) // 2
        for sent, chunk in enumerate(_chunks(choices)):
            if failure is not None and sent > half:
                raise UpstreamDisconnected("Simulated: the provider hung up in the middle of its answer.")
            if sent and options.chunk_ms:
                await asyncio.sleep(options.chunk_ms / 1000)
            yield b"data: " + _encode({**frame, name: [chunk]}) + b"\n\n"
        if failure is not None:
            raise UpstreamDisconnected("Simulated: the provider hung up at the end of its answer.")
        if wants_usage:
            yield b"data: " + _encode({**frame, "choices": [], "usage": usage}) + b"\n\n"
        yield b"data: [DONE]\n\n"


def _frame(model: str, identity: str, kind: str) -> dict[str, Any]:
    return {
        "id": identity,
        "object": kind,
        "created": int(time.time()),
        "model": model,
        "system_fingerprint": "scutum-sim",
    }


def _usage(tokens_in: int, tokens_out: int) -> dict[str, Any]:
    return {
        "prompt_tokens": tokens_in,
        "completion_tokens": tokens_out,
        "total_tokens": tokens_in + tokens_out,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def _failed(status: int, message: str, kind: str, code: str, param: str | None = None) -> SimReply:
    return SimReply(status, _encode({"error": {"message": message, "type": kind, "param": param, "code": code}}))


def _logprobs(entries: list[dict[str, Any]] | None) -> dict[str, Any] | None:
    return None if entries is None else {"content": entries, "refusal": None}


def _whole(choice: _Choice) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": "".join(choice.pieces), "refusal": None}
    if choice.calls:
        message["content"] = None
        message["tool_calls"] = [
            {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
            for call_id, name, arguments in choice.calls
        ]
    return {
        "index": choice.index,
        "message": message,
        "logprobs": _logprobs(choice.logprobs),
        "finish_reason": choice.finish,
    }


def _chunks(choices: list[_Choice]) -> Iterator[dict[str, Any]]:
    """The roles, then every choice's tokens, then why each of them ended."""
    for choice in choices:
        opening: dict[str, Any] = {"role": "assistant", "content": None if choice.calls else "", "refusal": None}
        yield {"index": choice.index, "delta": opening, "logprobs": None, "finish_reason": None}
    for choice in choices:
        for at, piece in enumerate(choice.pieces):
            logprobs = _logprobs(choice.logprobs and [choice.logprobs[at]])
            yield {"index": choice.index, "delta": {"content": piece}, "logprobs": logprobs, "finish_reason": None}
        for call in _call_deltas(choice):
            yield {"index": choice.index, "delta": {"tool_calls": [call]}, "logprobs": None, "finish_reason": None}
    for choice in choices:
        yield {"index": choice.index, "delta": {}, "logprobs": None, "finish_reason": choice.finish}


def _call_deltas(choice: _Choice) -> Iterator[dict[str, Any]]:
    for number, (call_id, name, arguments) in enumerate(choice.calls):
        yield {"index": number, "id": call_id, "type": "function", "function": {"name": name, "arguments": ""}}
        for piece in sim_content.split_tokens(arguments):
            yield {"index": number, "function": {"arguments": piece}}
