"""Resources as columns and rows: pure, shared by the commands and every other way to show them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from scutum_cli.errors import CliError
from scutum_cli.options import View
from scutum_cli.render.text import NOTHING, Face

Item = TypeVar("Item", bound=Mapping[str, Any])


@dataclass(frozen=True, slots=True)
class Column(Generic[Item]):
    """One thing to show of a resource.

    `name` is its field and what --columns and --sort call it; `text` says it to people (default: the value);
    `right` for numbers; `extra` ones show in tables only when they are asked for, `sparse` ones only where some
    item has a value; `value` is what programs get where it is not the field itself.
    """

    name: str
    header: str
    text: Callable[[Item, Face], str] | None = None
    right: bool = False
    extra: bool = False
    sparse: bool = False
    value: Callable[[Item], Any] | None = None

    def raw(self, item: Item) -> Any:
        return item.get(self.name) if self.value is None else self.value(item)

    def cell(self, item: Item, face: Face) -> str:
        if self.text is not None:
            return self.text(item, face)
        value = self.raw(item)
        if value is None or value == "":
            return NOTHING
        return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


@dataclass(frozen=True, slots=True)
class Table(Generic[Item]):
    """A list ready to be shown: cells for people in `rows`, raw values in `raw`, whole items in `items`."""

    items: list[Item]
    names: list[str]
    headers: list[str]
    rows: list[list[str]]
    raw: list[list[Any]]
    right: frozenset[str]


def arrange(items: Sequence[Item], columns: Sequence[Column[Item]], view: View, face: Face) -> Table[Item]:
    """Filters, sorts, cuts and picks as `view` says; CliError names the columns when it asks for another one."""
    known = {column.name: column for column in columns}
    kept = list(items)
    for name, wanted in view.filters:
        column = _pick(known, name, "--filter")
        kept = [item for item in kept if _matches(column, item, wanted, face)]
    if view.sort:
        column = _pick(known, view.sort, "--sort")
        kept.sort(key=lambda item: _sort_key(column.raw(item)), reverse=view.descending)
    if view.to_show is not None:
        kept = kept[: view.to_show]
    if view.columns:
        chosen = [_pick(known, name, "--columns") for name in view.columns]
    else:
        chosen = [column for column in columns if not column.extra]
    return Table(
        items=kept,
        names=[column.name for column in chosen],
        headers=[column.header for column in chosen],
        rows=[[column.cell(item, face) for column in chosen] for item in kept],
        raw=[[column.raw(item) for column in chosen] for item in kept],
        right=frozenset(column.header for column in chosen if column.right),
    )


def lines(item: Item, columns: Sequence[Column[Item]], face: Face) -> list[tuple[str, str]]:
    """One item as (label, text) pairs."""
    return [
        ("ID" if column.header == "ID" else column.header.capitalize(), column.cell(item, face)) for column in columns
    ]


def _pick(known: Mapping[str, Column[Item]], name: str, flag: str) -> Column[Item]:
    if name not in known:
        raise CliError(f"There is no column {name!r}.", hint=f"{flag} knows {', '.join(known)}")
    return known[name]


def _matches(column: Column[Item], item: Item, wanted: str, face: Face) -> bool:
    value = column.raw(item)
    words = [column.cell(item, face), *(value if isinstance(value, list) else [value])]
    if isinstance(value, bool):
        words.append("yes" if value else "no")
    return wanted.lower() in {str(word).lower() for word in words}


def _sort_key(value: Any) -> tuple[int, float, str]:
    """Nothing first, then numbers by size (also those that the API sends as text), then words."""
    if value is None:
        return (0, 0.0, "")
    try:
        return (1, float(value), "")
    except (TypeError, ValueError):
        return (2, 0.0, str(value).lower())
