"""What Anthropic's models take besides the conversation, by their names: their API refuses what others ignore.

Models after 4.6 take no sampling parameters. Those from 4.6 on decide themselves how much to think, within an effort;
those from 3.7 to 4.5 think within a budget; older ones do not think. A name that is not Claude's says nothing, and
nothing is assumed of it.
"""

from __future__ import annotations

import re
from typing import Any, Final

from scutum_server.wire.fields import Document

_CLAUDE: Final = re.compile(r"claude-(?:[a-z]+-)?v?(\d+)(?:[-.](\d{1,2})(?!\d))?")
_NEWEST: Final = (99, 0)
_SAMPLING: Final = ("temperature", "top_p", "top_k")
_MAX_TEMPERATURE: Final = 1.0
_LEAST_TOP_P: Final = 0.95
"""Below it, Anthropic's models do not think."""
_EFFORTS: Final = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}
_BUDGETS: Final = {"low": 1024, "medium": 2048, "high": 4096, "xhigh": 8192, "max": 16384}
_LEAST_BUDGET: Final = 1024


def version(model: str) -> tuple[int, int] | None:
    """Of Anthropic's models, as (4, 5); None for other names. A Claude without a number is newer than all of them."""
    if "claude" not in model:
        return None
    found = _CLAUDE.search(model)
    return (int(found[1]), int(found[2] or 0)) if found else _NEWEST


def tune(made: Document, chat: Document, dropped: list[str]) -> None:
    """Puts sampling and thinking of a chat request into `made`, which has all the rest; adds to `dropped`."""
    known = version(str(chat["model"]))
    _put_effort(made, chat, known, dropped)
    thinks = thinks_in(made)
    for name in _SAMPLING:
        value = chat.get(name)
        if value is None:
            continue
        if known is not None and (known > (4, 6) or (thinks and not _thinkable(name, value))):
            # 1 is what these models do anyway.
            if not (name != "top_k" and value == 1):
                dropped.append(name)
            continue
        if name == "top_p" and "temperature" in made and known is not None and known >= (4, 1):
            dropped.append(name)
            continue
        made[name] = value
    temperature = made.get("temperature")
    if isinstance(temperature, int | float) and temperature > _MAX_TEMPERATURE:
        made["temperature"] = _MAX_TEMPERATURE
        dropped.append("temperature>1")


def thinks_in(made: Document) -> bool:
    thinking = made.get("thinking")
    return isinstance(thinking, dict) and thinking.get("type") in {"enabled", "adaptive"}


def _thinkable(name: str, value: Any) -> bool:
    if name == "temperature":
        return bool(value == 1)
    return name == "top_p" and isinstance(value, int | float) and value >= _LEAST_TOP_P


def _put_effort(made: Document, chat: Document, known: tuple[int, int] | None, dropped: list[str]) -> None:
    effort = _EFFORTS.get(chat.get("reasoning_effort") or "")
    if effort is None:
        return
    has_efforts = known is None or known >= (4, 6) or "opus-4-5" in str(chat["model"])
    if has_efforts:
        made["output_config"] = made.get("output_config", {}) | {"effort": effort}
    if known is None or "thinking" in made or _forced(made):
        if not has_efforts:
            dropped.append("reasoning_effort")
    elif known >= (4, 6):
        made["thinking"] = {"type": "adaptive"}
    elif known >= (3, 7) and chat["reasoning_effort"] != "minimal" and _may_think(made["messages"]):
        _put_budget(made, chat, _BUDGETS[effort], dropped)
    elif not has_efforts:
        dropped.append("reasoning_effort")


def _put_budget(made: Document, chat: Document, budget: int, dropped: list[str]) -> None:
    """Thoughts count against `max_tokens`: a client's own bound is shared, ours grows."""
    if chat.get("max_completion_tokens") is None and chat.get("max_tokens") is None:
        made["max_tokens"] += budget
    else:
        budget = min(budget, made["max_tokens"] // 2)
    if budget < _LEAST_BUDGET:
        dropped.append("reasoning_effort")
        return
    made["thinking"] = {"type": "enabled", "budget_tokens": budget}


def _forced(made: Document) -> bool:
    """Whether an answer must call a tool, which Anthropic's models do not think about."""
    return (made.get("tool_choice") or {}).get("type") in {"any", "tool"}


def _may_think(turns: list[Document]) -> bool:
    """Results can only be thought about when the thoughts that led to the calls are there."""
    for turn in reversed(turns):
        if turn["role"] == "assistant":
            kinds = [block["type"] for block in turn["content"]]
            return "tool_use" not in kinds or kinds[0] in {"thinking", "redacted_thinking"}
        if not any(block["type"] == "tool_result" for block in turn["content"]):
            return True
    return True
