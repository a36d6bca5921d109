"""Contexts as rows: where the servers are, never their keys or tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scutum_cli.render.columns import Column
from scutum_cli.settings import Context, Contexts

COLUMNS: list[Column[Mapping[str, Any]]] = [
    Column("current", "USED", lambda row, _: "*" if row["current"] else ""),
    Column("name", "NAME"),
    Column("admin_url", "ADMIN"),
    Column("proxy_url", "PROXY"),
    Column("home", "HOME"),
    Column("account", "ACCOUNT", extra=True),
    Column("has_key", "CHAT KEY", extra=True),
]


def row(context: Context, *, current: bool) -> dict[str, Any]:
    """What may be shown of a context."""
    return {
        "name": context.name,
        "current": current,
        "admin_url": context.admin_url,
        "proxy_url": context.proxy_url,
        "home": context.home,
        "account": context.account,
        "has_key": context.key is not None,
    }


def rows(contexts: Contexts, current: str | None) -> list[Mapping[str, Any]]:
    return [row(context, current=name == current) for name, context in contexts.contexts.items()]
