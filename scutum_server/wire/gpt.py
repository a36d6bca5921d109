"""What OpenAI's reasoning models take, by their names: their API refuses what others ignore."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

from scutum_server.wire.fields import Document

_REASONS: Final = re.compile(r"(?:^|/)(?:o\d|gpt-(?:[5-9]|\d\d))(?!.*-chat)")
_SAMPLING: Final = ("temperature", "top_p")
_LOW, _MEDIUM = 2048, 8192
"""Budgets of thoughts, in tokens, up to which an effort is low, and medium."""
_EFFORTS: Final = {"low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}


def reasons(model: object) -> bool:
    """Whether OpenAI sells a reasoning model under this name."""
    return isinstance(model, str) and _reasons(model)


@lru_cache(4096)
def _reasons(model: str) -> bool:
    return _REASONS.search(model) is not None


def cap_field(model: object, usual: str) -> str:
    """The name of the bound to an answer's tokens: reasoning models know the new one only."""
    return "max_completion_tokens" if reasons(model) else usual


def without_sampling(chat: Document, dropped: list[str]) -> None:
    """Takes out what a reasoning model refuses unless it is 1, its only value."""
    if reasons(chat.get("model")):
        dropped += [name for name in _SAMPLING if chat.pop(name, 1) != 1]


def effort_of(thinking: Any, effort: Any) -> str | None:
    """OpenAI's word for a wish to think in Anthropic's format; None when there is no wish."""
    if effort in _EFFORTS:
        return _EFFORTS[effort]
    if not isinstance(thinking, dict) or thinking.get("type") not in {"enabled", "adaptive"}:
        return None
    budget = thinking.get("budget_tokens")
    if not isinstance(budget, int):
        return "medium"
    return "low" if budget <= _LOW else "medium" if budget <= _MEDIUM else "high"
