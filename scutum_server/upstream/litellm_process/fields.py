"""Which fields of a request the library is given, and which it cannot send."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from .failure import Unsupported

_HANDLED: Final = frozenset({"model", "messages", "input", "stream", "stream_options"})
_MEANING: Final = frozenset(
    {
        "tools", "tool_choice", "functions", "function_call", "response_format", "n", "logprobs", "top_logprobs",
        "audio", "modalities", "web_search_options", "stop", "max_tokens", "max_completion_tokens", "dimensions",
    }
)  # fmt: skip
"""Left out, these would give another answer than was asked for; anything else only tunes it."""
_AS_IF_ABSENT: Final[dict[str, tuple[Any, ...]]] = {
    "n": (1,), "logprobs": (False,), "modalities": (["text"],), "response_format": ({"type": "text"},),
    "tools": ([],), "functions": ([],), "stop": ([],), "top_logprobs": (0,),
}  # fmt: skip
_ADDRESSES: Final = frozenset({"url", "image_url", "file_id", "file_data", "file_url", "video_url", "data"})


def chosen(request: dict[str, Any], supported: Collection[str]) -> tuple[dict[str, Any], list[str]]:
    """The fields to send and the names of those left out; raises Unsupported for one that must not be left out.

    Only OpenAI's own names get through: the library takes addresses, credentials and switches by keyword as well, which
    are no business of a client.
    """
    sent: dict[str, Any] = {}
    dropped: list[str] = []
    for name, value in request.items():
        if name in _HANDLED or value is None or value in _AS_IF_ABSENT.get(name, ()):
            continue
        if name in supported:
            sent[name] = value
        elif name in _MEANING:
            raise Unsupported(f"`{name}` cannot be sent to this model's provider.", name)
        else:
            dropped.append(name)
    return sent, dropped


def check_media(value: Any, name: str = "") -> None:
    """Raises Unsupported for an image or a file that lies at an address: somebody here would have to fetch it."""
    if isinstance(value, list):
        for item in value:
            check_media(item, name)
    elif isinstance(value, dict):
        for key, item in value.items():
            check_media(item, key)
    elif name in _ADDRESSES and isinstance(value, str) and value[:8].lower().startswith(("http://", "https://")):
        raise Unsupported("Images and files for this model's provider must be sent as data: URLs.", "messages")
