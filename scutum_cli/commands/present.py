"""What every command does with an answer: arrange it, and give it to the one writer of stdout."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from scutum_cli import options, output
from scutum_cli.client.api import Page
from scutum_cli.client.lists import SERVED
from scutum_cli.render.columns import Column, arrange, lines
from scutum_cli.render.text import Face

Item = TypeVar("Item", bound=Mapping[str, Any])


def face() -> Face:
    """How this run tells times."""
    return Face.here(utc=output.style.utc)


def show_served(
    noun: str,
    fetch: Callable[..., Page[Item]],
    columns: Sequence[Column[Item]],
    *,
    empty: str,
    spare: Sequence[str] = (),
) -> None:
    """As `show_list`, with what the server can sort and filter by left to it: `fetch` takes that by name."""
    served, view = SERVED[noun], options.view
    asked = {name: value for name, value in view.filters if name in served.filters}
    left = [(name, value) for name, value in view.filters if name not in served.filters]
    sort = view.sort
    if sort in served.sorts:
        asked["sort"], sort = ("-" if view.descending else "") + str(sort), None
    rest = replace(view, filters=left, sort=sort)
    _show(fetch(rest.to_fetch, **asked), columns, rest, "Nothing matches." if view.filters else empty, spare)


def show_list(
    fetch: Callable[[int | None], Page[Item]],
    columns: Sequence[Column[Item]],
    *,
    empty: str,
    spare: Sequence[str] = (),
) -> None:
    """Fetches as much as the list options ask for and shows it; `empty` says how to make the first one, `spare` are the
    headers that a narrow terminal does without.
    """
    view = options.view
    _show(fetch(view.to_fetch), columns, view, "Nothing matches." if view.filters else empty, spare)


def _show(
    page: Page[Item], columns: Sequence[Column[Item]], view: options.View, empty: str, spare: Sequence[str]
) -> None:
    if output.style.format == "table" and not view.columns:
        asked = {view.sort, *(name for name, _ in view.filters)}
        columns = [column for column in columns if column.name in asked or not _needless(column, page["items"])]
    table = arrange(page["items"], columns, view, face())
    picked = [dict(zip(table.names, row, strict=True)) for row in table.raw]
    output.emit_list(
        picked if view.columns else table.items,
        table.headers,
        table.rows,
        next_cursor=page["next"],
        empty=empty,
        right=table.right,
        spare=spare,
        csv_headers=table.names,
        csv_rows=table.raw,
    )


def _needless(column: Column[Item], items: Sequence[Item]) -> bool:
    """Whether a table does without it: nothing is in it for anybody."""
    return column.sparse and all(column.raw(item) is None for item in items)


def show_one(item: Item, columns: Sequence[Column[Item]]) -> None:
    """Shows one object: itself, or its details as lines."""
    output.emit_object(item, lines(item, columns, face()))
