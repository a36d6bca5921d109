"""The admin API's routes about the audit trail; every call may raise CliError."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from scutum_cli.client import api
from scutum_cli.client.http import AdminClient, segment

if TYPE_CHECKING:
    from scutum_cli.client import types

_BASE = f"{api.V1}/audit-logs"


class AuditApi:
    def __init__(self, client: AdminClient) -> None:
        self._client = client

    def pages(self, wanted: Mapping[str, str | None], limit: int | None) -> Iterator[tuple[list[Any], str | None]]:
        """Page after page, newest first, with the cursor of what follows; a page may be empty although more comes."""
        left, cursor = limit, None
        while True:
            size = api.PAGE if left is None else min(api.PAGE, left)
            page = self._client.get(_BASE, {**wanted, "limit": size, "cursor": cursor})
            items, cursor = page["items"], page["next"]
            left = None if left is None else left - len(items)
            yield items, cursor
            if cursor is None or left == 0:
                return

    def count(self, wanted: Mapping[str, str | None]) -> int:
        """How many rows there are like this; not by their text."""
        return int(self._client.get(f"{_BASE}/count", wanted)["count"])

    def org_id(self, ref: str) -> str:
        """The id of an org that is named by id or name; what no org is called passes, such as `global`."""
        if ref == "global" or ref.startswith("org_"):
            return ref
        found = self._client.get(f"{api.V1}/orgs", {"limit": api.PAGE})["items"]
        return next((org["id"] for org in found if org["name"] == ref), ref)

    def verify(self, body: Mapping[str, Any]) -> types.AuditTask:
        return cast("types.AuditTask", self._client.post(f"{_BASE}/verify", body))

    def task(self, task_id: str) -> types.AuditTask:
        return cast("types.AuditTask", self._client.get(f"{_BASE}/verify/{segment(task_id)}"))

    def verifications(self, limit: int | None) -> api.Page[types.AuditTask]:
        return cast("api.Page[types.AuditTask]", api.Api(self._client).listed("audit-logs/verify", limit))

    def checkpoints(self, limit: int | None) -> api.Page[types.Checkpoint]:
        return cast("api.Page[types.Checkpoint]", api.Api(self._client).listed("audit-logs/checkpoints", limit))

    def make_checkpoints(self) -> types.AuditTask:
        return cast("types.AuditTask", self._client.post(f"{_BASE}/checkpoints"))

    def keys(self, limit: int | None = None) -> api.Page[types.AuditKey]:
        del limit
        return cast("api.Page[types.AuditKey]", self._client.get(f"{_BASE}/keys"))

    def rotate_key(self) -> types.AuditTask:
        return cast("types.AuditTask", self._client.post(f"{_BASE}/keys/rotate"))

    def shipments(self, limit: int | None = None) -> api.Page[types.Shipment]:
        del limit
        return cast("api.Page[types.Shipment]", self._client.get(f"{_BASE}/shipments"))


def connect() -> AuditApi:
    """The audit trail of the current context's server."""
    return AuditApi(api.connect().client)
