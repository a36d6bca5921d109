"""A text completion by way of chat, where that says the same."""

from __future__ import annotations

from typing import Final

import msgspec

from scutum_server.wire import gpt
from scutum_server.wire.events import Splitter, payload_of
from scutum_server.wire.fields import Document, impossible, is_set, items, obj
from scutum_server.wire.sse import DONE

_PASSED: Final = (
    "model", "stream", "stream_options", "temperature", "top_p", "n", "stop", "seed", "user", "presence_penalty",
    "frequency_penalty", "logit_bias",
)  # fmt: skip
_TRANSLATED: Final = frozenset({*_PASSED, "prompt", "max_tokens", "best_of", "echo", "suffix", "logprobs"})
_DEFAULT_MAX_TOKENS: Final = 16
"""What OpenAI's completions generate when no bound is set."""


def to_chat(request: Document, cap_field: str) -> tuple[Document, list[str]]:
    """The request, and the names of fields that were left out; raises InvalidInput for what chat has no word for.

    Fields that completions do not know are the provider's own, and pass.
    """
    for name in ("echo", "suffix", "logprobs"):
        if is_set(request.get(name)):
            raise impossible(f"The field `{name}` of text completions", name, "chat")
    if request.get("best_of") not in {None, request.get("n"), 1}:
        raise impossible("The field `best_of`", "best_of", "chat")
    prompt = request.get("prompt")
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if not isinstance(prompt, str):
        raise impossible("A prompt that is not one text", "prompt", "chat")
    chat: Document = {name: request[name] for name in _PASSED if request.get(name) is not None}
    chat |= {name: request[name] for name in request.keys() - _TRANSLATED}
    chat["messages"] = [{"role": "user", "content": prompt}]
    chat[gpt.cap_field(request["model"], cap_field)] = request.get("max_tokens") or _DEFAULT_MAX_TOKENS
    dropped: list[str] = []
    gpt.without_sampling(chat, dropped)
    return chat, dropped


def to_completion(chat: Document) -> Document:
    """The completion of a chat answer; raises InvalidInput."""
    choices = [
        _choice(choice, obj(choice.get("message"), where).get("content"))
        for where, choice in items(chat.get("choices"), "choices")
    ]
    return chat | {"object": "text_completion", "choices": choices}


def _choice(choice: Document, said: object) -> Document:
    return {
        "index": choice.get("index") or 0,
        "text": said if isinstance(said, str) else "",
        "logprobs": None,
        "finish_reason": choice.get("finish_reason"),
    }


class ChatToCompletions:
    """Turns a chat's chunks into those of a text completion."""

    def __init__(self) -> None:
        self.ended = False
        self.last = DONE
        self._splitter = Splitter()

    def feed(self, data: bytes) -> bytes:
        """Chunks for the chunks in `data`; raises InvalidInput for chunks that are none."""
        return b"".join([self._chunk(payload_of(each)) for each in self._splitter.feed(data)])

    def finish(self) -> bytes:
        return b""

    def _chunk(self, payload: bytes) -> bytes:
        if not payload:
            return b""
        chunk = obj(msgspec.json.decode(payload), "chunk")
        if chunk.get("error"):
            return b"data: %b\n\n" % payload
        choices = []
        for where, choice in items(chunk.get("choices"), "choices"):
            said = obj(choice.get("delta") or {}, where).get("content")
            self.ended = self.ended or choice.get("finish_reason") is not None
            if said or choice.get("finish_reason"):
                choices.append(_choice(choice, said))
        if not choices and not chunk.get("usage"):
            return b""
        return b"data: %b\n\n" % msgspec.json.encode(chunk | {"object": "text_completion", "choices": choices})
