"""Service accounts of whose token only the hash is known: the token itself never comes to the gateway."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scutum_server.access.models import BadField, ServiceAccount
from scutum_server.access.service import ServiceAccountService


class AdoptingAccounts(ServiceAccountService):
    """Service accounts that a configuration file may make, too."""

    async def adopt(self, fields: Mapping[str, Any], digest: bytes, hint: str | None) -> ServiceAccount:
        """An account of whose token only the hash is known; one that has expired is made too, and opens nothing."""
        await self._refuse_known(digest)
        return await self._insert(fields, digest, hint or _hint(digest), fields.get("expires_at"))

    async def rehash(self, ref: str, digest: bytes, hint: str | None) -> ServiceAccount:
        """Another token, of which only the hash is known; the former one, and what it has open, stop at once."""
        before = await self._live(ref)
        await self._refuse_known(digest)
        await self._store.rotate_service_account(before.id, digest, hint or _hint(digest), 0)
        after = await self.get(before.id)
        self._note("rotate", before, after)
        return after

    async def _refuse_known(self, digest: bytes) -> None:
        if await self._store.knows_hash(digest):
            raise BadField(
                "This hash belongs to another service account, or to one that was revoked.",
                param="sha256",
                hint="What was revoked never opens again: make another token, or take it out of the file.",
            )


def _hint(digest: bytes) -> str:
    return f"sha256:{digest.hex()[:8]}…"
