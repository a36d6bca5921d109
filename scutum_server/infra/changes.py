"""How the rules of a domain tell what they changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec


class Changes(Protocol):
    """Takes note of a change; the composition root writes audit row, event and configuration version with it."""

    def note(
        self,
        action: str,
        resource: str,
        resource_id: str,
        *,
        org_id: str | None = None,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None: ...


def plain(item: msgspec.Struct) -> dict[str, Any]:
    """A model as JSON-able values, for the audit trail."""
    built: dict[str, Any] = msgspec.to_builtins(item)
    return built
