"""Keys of which only the hash is known, many at once: the secret itself never comes to the gateway."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from scutum_server.errors import ScutumError
from scutum_server.identity import key_fields
from scutum_server.identity.models import BadField, Key, NameTaken
from scutum_server.identity.store import IdentityStore
from scutum_server.infra import names
from scutum_server.infra.changes import Changes, plain
from scutum_server.infra.ids import new_id


class Adopted(Struct, frozen=True, kw_only=True):
    """A key to be: `fields` as in the HTTP body, and `sha256` in hexadecimal digits. `hint` is shown in lists."""

    team_id: str
    team: str
    org_id: str
    name: str
    sha256: str
    hint: str
    fields: Mapping[str, Any]
    expires_at: dt.datetime | None


class Refused(Struct, frozen=True):
    """Which of them cannot be, and why."""

    place: int
    error: ScutumError


class AdoptionService:
    def __init__(self, store: IdentityStore, changes: Changes) -> None:
        self._store = store
        self._changes = changes

    async def adopt(self, wanted: Sequence[Adopted]) -> list[str] | Refused:
        """The ids of the new keys in their order, or the first that is refused: nothing is made then.

        A key that expires in the past is made too: it opens nothing. One that was revoked never comes back.
        """
        taken = await self._store.hashes([bytes.fromhex(item.sha256) for item in wanted])
        alike = await self._store.live_skeletons(sorted({item.team_id for item in wanted}))
        skeletons = await self._store.skeletons([names.canonical(item.name) for item in wanted])
        rows = []
        for place, (item, skeleton) in enumerate(zip(wanted, skeletons, strict=True)):
            try:
                rows.append(_row(item, skeleton, taken, alike))
            except (BadField, NameTaken, names.BadName) as error:
                return Refused(place, error)
        await self._store.insert_keys(rows)
        for item, row in zip(wanted, rows, strict=True):
            self._changes.note("key.create", "key", row["id"], org_id=item.org_id, after=_told(item, row))
        return [row["id"] for row in rows]

    async def rehash(self, key: Key, sha256: str, hint: str | None) -> None:
        """Another secret for a live key, of which only the hash is known; the former one stops at once."""
        digest = bytes.fromhex(sha256)
        taken = await self._store.hashes([digest])
        if digest in taken:
            raise _known(taken[digest])
        shown = hint or _hint(sha256)
        await self._store.rotate_key(key.id, digest, shown, 0)
        before = plain(key)
        self._changes.note(
            "key.rotate", "key", key.id, org_id=key.org_id, before=before, after=before | {"hint": shown}
        )


def _row(item: Adopted, skeleton: str, taken: dict[bytes, str], alike: dict[tuple[str, str], str]) -> dict[str, Any]:
    digest, name, place = bytes.fromhex(item.sha256), names.clean(item.name), (item.team_id, skeleton)
    if digest in taken:
        raise _known(taken[digest])
    if place in alike:
        said = "already" if alike[place] == name else "already, which looks the same"
        raise NameTaken(f"Team “{item.team}” has a key “{alike[place]}” {said}.", param="name")
    taken[digest], alike[place] = f"the key “{name}” of this file", name
    return {
        "id": new_id("key"),
        "team_id": item.team_id,
        "name": name,
        "hash": digest,
        "hint": item.hint or _hint(item.sha256),
        "owner": item.fields.get("owner"),
        "metadata": key_fields.metadata(item.fields),
        "expires_at": item.expires_at,
        **{field: parse(item.fields) for field, parse in key_fields.LISTS.items()},
    }


def _hint(sha256: str) -> str:
    return f"sha256:{sha256[:8]}…"


def _known(whose: str) -> BadField:
    return BadField(
        f"This hash belongs to {whose}.",
        param="sha256",
        hint="A key that was revoked never opens again: make another one, or take it out of the file.",
    )


def _told(item: Adopted, row: Mapping[str, Any]) -> dict[str, Any]:
    expires = row["expires_at"].isoformat() if row["expires_at"] is not None else None
    hidden = {"hash", "expires_at"}
    kept = {name: value for name, value in row.items() if name not in hidden}
    return kept | {"team": item.team, "org_id": item.org_id, "expires_at": expires}
