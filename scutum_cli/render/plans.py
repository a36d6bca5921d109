"""What a configuration file would change: one line for an object, and one for each field that differs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from scutum_cli.render.text import plural

if TYPE_CHECKING:
    from scutum_cli.client.types import ConfigChange, ConfigPlan

Colour = Literal["green", "yellow", "red", "dim"]
_MARKS: dict[str, tuple[str, Colour]] = {"create": ("+", "green"), "update": ("~", "yellow"), "delete": ("-", "red")}
_WIDTH = 72


def lines(changes: Sequence[ConfigChange]) -> Iterator[tuple[str, Colour]]:
    """The changes as coloured lines; what is deleted is named, not spelled out."""
    for change in changes:
        mark, colour = _MARKS[change["action"]]
        words = {"create": "", "update": "", "delete": " (revoked)" if change["noun"] == "key" else ""}
        yield f"{mark} {change['noun']} {change['name']}{words[change['action']]}", colour
        if change["action"] == "delete":
            continue
        for name, value in change["fields"].items():
            after = _text(value["after"])
            if change["action"] == "create":
                yield f"    {name}: {after}", "dim"
            else:
                yield f"    {name}: {_text(value['before'])} -> {after}", "dim"


def summary(plan: ConfigPlan) -> str:
    """`3 to create, 1 to change, 2 to delete`."""
    counts = plan["counts"]
    parts = [("create", counts["create"]), ("change", counts["update"]), ("delete", counts["delete"])]
    return ", ".join(f"{count:,} to {word}" for word, count in parts if count) or "nothing to change"


def done(plan: ConfigPlan) -> str:
    """What a plan that was carried out has changed."""
    counts = plan["counts"]
    parts = [("created", counts["create"]), ("changed", counts["update"]), ("deleted", counts["delete"])]
    told = ", ".join(f"{plural(count, 'object')} {word}" for word, count in parts if count)
    return told or "Nothing to change: the install is as the file has it"


def _text(value: Any) -> str:
    if value is None:
        return "(none)"
    text = value if isinstance(value, str) and value.isprintable() else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"
