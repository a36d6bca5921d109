"""What every command does with an answer: arrange it, and give it to the one writer of stdout."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from scutum_cli import options, output
from scutum_cli.client.api import Page
from scutum_cli.render.columns import Column, arrange, lines
from scutum_cli.render.text import Face

Item = TypeVar("Item", bound=Mapping[str, Any])


def face() -> Face:
    """How this run tells times."""
    return Face.here(utc=output.style.utc)


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
    page = fetch(view.to_fetch)
    table = arrange(page["items"], columns, view, face())
    picked = [dict(zip(table.names, row, strict=True)) for row in table.raw]
    output.emit_list(
        picked if view.columns else table.items,
        table.headers,
        table.rows,
        next_cursor=page["next"],
        empty="Nothing matches." if view.filters else empty,
        right=table.right,
        spare=spare,
        csv_headers=table.names,
        csv_rows=table.raw,
    )


def show_one(item: Item, columns: Sequence[Column[Item]]) -> None:
    """Shows one object: itself, or its details as lines."""
    output.emit_object(item, lines(item, columns, face()))
