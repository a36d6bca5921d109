"""What a request means beyond its own bytes: things it refers to, and tools that its provider runs."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from scutum_server.wire.body import ANYTHING

USES: Final = 10
"""How often a provider's own tool is taken to run when the request does not say: Anthropic pauses a turn after that."""

_PLAIN: Final = frozenset({
    "text", "refusal", "input_text", "output_text", "message", "tool_use", "tool_result", "thinking",
    "redacted_thinking", "server_tool_use", "search_result", "web_search_tool_result", "function_call",
    "function_call_output", "custom_tool_call", "custom_tool_call_output",
})  # fmt: skip
"""Parts of a conversation whose tokens are all in the request."""
_CLIENTS: Final = frozenset({"function", "custom", "local_shell", "shell", "apply_patch", "computer_use_preview"})
_CLIENTS_FAMILIES: Final = ("bash_", "text_editor_", "computer_", "memory_")
"""Tools that the client runs itself."""
_REFERENCES: Final = ("previous_response_id", "conversation", "prompt", "container")
_HARMLESS: Final = sorted(
    (_PLAIN | _CLIENTS) - {"message"}
    | {"object", "string", "number", "integer", "boolean", "array", "null", "json_object", "json_schema", "message",
       "ephemeral", "auto", "any", "none", "tool", "enabled", "disabled", "adaptive", "content"}
)  # fmt: skip
_SUSPECT: Final = re.compile(
    rb'"(?:type"[ \t\r\n]*:[ \t\r\n]*"(?!(?:%b)")|(?:image_url|video_url|audio_url|input_audio|audio|file|file_id|'
    rb"previous_response_id|conversation|prompt|container|mcp_servers|web_search_options|item_reference)"
    rb'"|id"[ \t\r\n]*:[ \t\r\n]*"(?:rs|msg)_)' % "|".join(_HARMLESS).encode()
)
"""Where nothing of this is, nothing reaches outside. Inside of a text its quotes would be escaped."""
_SPELT: Final = re.compile(rb"\\u00[5-7]")
"""An escape for a letter, which may spell a name otherwise."""


class _Turn(Struct, forbid_unknown_fields=True):
    role: str
    content: str | None = None
    name: Raw = Raw()


class _Said(Struct, forbid_unknown_fields=True):
    """A request of texts alone, as chat and Messages have it: to read it strictly takes an eighth of the search."""

    model: Raw
    messages: list[_Turn]
    system: str | None = None
    max_tokens: Raw = Raw()
    max_completion_tokens: Raw = Raw()
    stream: Raw = Raw()
    stream_options: Raw = Raw()
    temperature: Raw = Raw()
    top_p: Raw = Raw()
    top_k: Raw = Raw()
    n: Raw = Raw()
    stop: Raw = Raw()
    stop_sequences: Raw = Raw()
    seed: Raw = Raw()
    user: Raw = Raw()
    metadata: Raw = Raw()
    presence_penalty: Raw = Raw()
    frequency_penalty: Raw = Raw()
    logprobs: Raw = Raw()
    top_logprobs: Raw = Raw()
    response_format: Raw = Raw()


_SAID: Final = msgspec.json.Decoder(_Said)


class Reach(Struct, frozen=True):
    """`outside`: some input is not in the request, or not as text. `uses`: how often a provider's own tools may run."""

    outside: bool
    uses: int


TEXTS: Final = Reach(outside=False, uses=0)
"""Of a conversation of texts, without tools."""
NOTHING: Final = Reach(outside=False, uses=0)
_ANYTHING: Final = Reach(outside=True, uses=USES)


def reach(body: bytes) -> Reach:
    """Of a request in any chat format; what is not known counts as outside."""
    try:
        _SAID.decode(body)
    except (msgspec.MsgspecError, RecursionError):
        return _searched(body)
    return TEXTS


def _searched(body: bytes) -> Reach:
    """Of a request that is more than a conversation of texts."""
    if not _SUSPECT.search(body) and not (b"\\u00" in body and _SPELT.search(body)):
        return NOTHING
    try:
        document = ANYTHING.decode(body)
    except (msgspec.MsgspecError, RecursionError):
        return _ANYTHING
    outside = any(document.get(name) for name in _REFERENCES)
    turns = [document.get(name) for name in ("messages", "input", "system")]
    uses = _uses(document)
    return Reach(outside=outside or not all(map(_is_plain, turns)) or bool(document.get("mcp_servers")), uses=uses)


def _is_plain(part: Any) -> bool:
    if part is None or isinstance(part, str):
        return True
    if isinstance(part, list):
        return all(map(_is_plain, part))
    if not isinstance(part, dict):
        return False
    kind = part.get("type")
    if kind == "reasoning":
        # Without its content it is a reference to what the provider has kept.
        return bool(part.get("encrypted_content"))
    if kind is not None and kind not in _PLAIN:
        return False
    if kind is None and not part.keys() & {"role", "text"}:
        return False
    if part.get("audio") or any(name.endswith("_url") or name.startswith("file") for name in part):
        return False
    return _is_plain(part.get("content")) and _is_plain(part.get("output"))


def _uses(document: dict[str, Any]) -> int:
    given = document.get("tools")
    tools = [tool for tool in given if isinstance(tool, dict)] if isinstance(given, list) else []
    theirs = [tool for tool in tools if not _is_clients(tool.get("type"))]
    uses = sum(_count(tool.get("max_uses")) for tool in theirs)
    if document.get("web_search_options") is not None:
        uses += USES
    if document.get("mcp_servers"):
        uses += USES
    most = document.get("max_tool_calls")
    return min(uses, _count(most)) if most is not None else uses


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else USES


def _is_clients(kind: Any) -> bool:
    return kind is None or (isinstance(kind, str) and (kind in _CLIENTS or kind.startswith(_CLIENTS_FAMILIES)))
