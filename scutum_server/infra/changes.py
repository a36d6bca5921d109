"""How the rules of a domain tell what they changed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

NEVER = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
"""When an object was last changed that is there without anybody having made it."""


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

    def expect(self, version: dt.datetime | None) -> None:
        """Raises Stale unless the caller means the object as it was last changed then (None: as there is none).

        Called with the object locked, before anything of it changes.
        """

    def touch(self, kind: str, object_id: str) -> None:
        """Lets the proxies read this configuration anew, though it is not itself what changed."""


def plain(item: msgspec.Struct) -> dict[str, Any]:
    """A model as JSON-able values, for the audit trail, which has a time of its own."""
    built: dict[str, Any] = msgspec.to_builtins(item)
    built.pop("updated_at", None)
    return built
