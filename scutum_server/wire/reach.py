"""What a request means beyond its own bytes: things it refers to, and tools that its provider runs."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec
from msgspec import Struct

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
_NAMES: Final = (
    b'"type"', b'_url"', b'audio"', b'"file', b'"id"', b'"previous_response_id"', b'"conversation"', b'"prompt"',
    b'"container"', b'"mcp_servers"', b'"web_search_options"', b'"item_reference"',
)  # fmt: skip
"""Every match of `_SUSPECT` has one of these: to look for all of them takes a quarter of its time."""
_SPELT: Final = re.compile(rb"\\u00[5-7]")
"""An escape for a letter, which may spell a name otherwise."""


class Reach(Struct, frozen=True):
    """`outside`: some input is not in the request, or not as text. `uses`: how often a provider's own tools may run."""

    outside: bool
    uses: int


NOTHING: Final = Reach(outside=False, uses=0)
_ANYTHING: Final = Reach(outside=True, uses=USES)


def reach(body: bytes) -> Reach:
    """Of a request in any chat format; what is not known counts as outside."""
    if not (_named(body) and _SUSPECT.search(body)) and not (b"\\u00" in body and _SPELT.search(body)):
        return NOTHING
    try:
        document = ANYTHING.decode(body)
    except (msgspec.MsgspecError, RecursionError):
        return _ANYTHING
    outside = any(document.get(name) for name in _REFERENCES)
    turns = [document.get(name) for name in ("messages", "input", "system")]
    uses = _uses(document)
    return Reach(outside=outside or not all(map(_is_plain, turns)) or bool(document.get("mcp_servers")), uses=uses)


def _named(body: bytes) -> bool:
    for name in _NAMES:  # noqa: SIM110 - `any` with a generator takes twice as long
        if name in body:
            return True
    return False


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
