"""Calls the library: chat and embeddings, in OpenAI's format on both sides."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import AsyncIterator
from typing import Any

import litellm

from .failure import LaneError, Unsupported
from .fields import check_media, chosen

litellm.telemetry = False
litellm.suppress_debug_info = True
litellm.turn_off_message_logging = True
litellm.drop_params = False
litellm.modify_params = False
litellm.success_callback = []
litellm.failure_callback = []
litellm.callbacks = []
litellm.cache = None


class Answer:
    """A whole answer, or a stream's events; `dropped` are fields of the request that were left out."""

    def __init__(self, body: bytes | AsyncIterator[Any], dropped: list[str]) -> None:
        self._body = body
        self._id: str | None = None
        self.dropped = dropped
        self.whole = isinstance(body, bytes)

    async def first(self) -> bytes:
        """The whole body, or the first event: what fails before it fails as a status."""
        if isinstance(self._body, bytes):
            return self._body
        return self._event(await anext(aiter(self._body)))

    async def rest(self) -> AsyncIterator[bytes]:
        """The other events."""
        if not isinstance(self._body, bytes):
            async for chunk in self._body:
                yield self._event(chunk)

    def _event(self, chunk: Any) -> bytes:
        document = _document(chunk)
        # The library gives some providers' chunks an id each; OpenAI's clients take the id for the answer's.
        self._id = document["id"] = self._id or document.get("id")
        if document.get("usage") and not any(choice.get("finish_reason") for choice in document["choices"]):
            document["choices"] = []
        return b"data: %b\n\n" % _json(document)


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _document(answer: Any) -> dict[str, Any]:
    """In OpenAI's format, without what the library adds of its own: empty lists, and its idea of the price."""
    document: dict[str, Any] = answer.model_dump(mode="json", exclude_none=True)
    for name in [name for name, value in document.items() if value == [] and name.startswith("vertex_ai_")]:
        del document[name]
    for choice in document.get("choices") or ():
        message = choice.get("message") or {}
        for name in [name for name, value in message.items() if value == []]:
            del message[name]
    usage = document.get("usage")
    if isinstance(usage, dict):
        usage.pop("cost", None)
        written = usage.get("cache_creation_input_tokens")
        if written:
            usage.setdefault("prompt_tokens_details", {}).setdefault("cache_write_tokens", written)
    return document


async def chat(request: dict[str, Any], account: dict[str, Any]) -> Answer:
    """Raises LaneError, or what the library raises."""
    model, vendor = request["model"], _vendor(account)
    check_media(request["messages"])
    supported = litellm.get_supported_openai_params(model, custom_llm_provider=vendor) or []
    fields, dropped = chosen(request, set(supported))
    if request.get("stream"):
        fields |= {"stream": True, "stream_options": request.get("stream_options")}
    # Its handler of MCP tools would call other servers by itself, and needs packages that the library does not ask for.
    fields["_skip_mcp_handler"] = True
    answer = await litellm.acompletion(model=model, messages=request["messages"], **fields, **account)
    if request.get("stream"):
        return Answer(answer, dropped)
    return Answer(_json(_document(answer)), dropped)


async def embeddings(request: dict[str, Any], account: dict[str, Any]) -> Answer:
    """As `chat`; base64 is made here where it is asked for, since few providers know it."""
    model, vendor = request["model"], _vendor(account)
    texts = request["input"] if isinstance(request["input"], list) else [request["input"]]
    if not all(isinstance(text, str) for text in texts):
        raise Unsupported("Texts for this model's provider must be sent as text, not as tokens.", "input")
    supported = litellm.get_supported_openai_params(model, custom_llm_provider=vendor, request_type="embeddings") or []
    coding = request.pop("encoding_format", None)
    fields, dropped = chosen(request, set(supported) - {"encoding_format"})
    answer = await litellm.aembedding(model=model, input=texts, **fields, **account)
    if coding == "base64":
        for item in answer.data:
            item["embedding"] = _base64(item["embedding"])
    return Answer(_json(_document(answer)), dropped)


def _base64(vector: list[float] | str) -> str:
    return vector if isinstance(vector, str) else base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _vendor(account: dict[str, Any]) -> str:
    vendor: str = account["custom_llm_provider"]
    if vendor not in litellm.provider_list:
        raise LaneError("provider_misconfigured", f"LiteLLM knows no provider “{vendor}”.")
    return vendor
