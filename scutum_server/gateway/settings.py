"""The settings that an operator may change while everything runs: a registry of typed keys."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from scutum_server.errors import InvalidInput
from scutum_server.gateway.models import BadField, Setting, SettingNotFound
from scutum_server.gateway.store import GatewayStore
from scutum_server.infra import paging
from scutum_server.infra.changes import NEVER, Changes
from scutum_server.infra.listing import Ask
from scutum_server.infra.objectstore import check_url
from scutum_server.infra.paging import Page

BOOTSTRAPPED = "bootstrap"
"""The row that says that the first objects were made; not a setting for operators."""


StoreUrl = Annotated[str, Meta(min_length=1, max_length=1000)]
_URLS = frozenset({"archive.url", "archive.other_roots"})
"""Settings that name object stores."""


class Known(Struct, frozen=True):
    """A key's type, its value until somebody sets it, and a sentence for people."""

    type: Any
    default: Any
    description: str


READ_ONLY = "admin.read_only"
KNOWN: dict[str, Known] = {
    READ_ONLY: Known(
        bool,
        False,
        "Whether the admin API refuses every change with 423 `read_only`, but that of this setting and of the licence.",
    ),
    "archive.at": Known(
        Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")],
        "03:17",
        "When old months are archived every night, in the worker's local time.",
    ),
    "archive.lock_compliance": Known(
        bool,
        False,
        "Whether the retention lock of archives is one that nobody can take off before its end (S3: COMPLIANCE).",
    ),
    "archive.lock_days": Known(
        Annotated[int, Meta(ge=0, le=36_500)],
        2557,
        "For how many days archives are locked where the object store has a retention lock that holds; 0: not at all.",
    ),
    "archive.other_roots": Known(
        Annotated[list[StoreUrl], Meta(max_length=20)],
        [],
        "Where archives of other installs are, such as those of other regions: they are read along with one's own.",
    ),
    "archive.retention_days": Known(
        Annotated[int, Meta(ge=30, le=36_500)] | None,
        None,
        "Days that audit and spend rows stay in the database, if fewer than the licence gives; null: what it gives.",
    ),
    "archive.url": Known(
        StoreUrl | None,
        None,
        "Where archives go, such as s3://bucket/prefix or file:///directory; null: data/archives of this install.",
    ),
    "keys.default_ttl_days": Known(
        Annotated[int, Meta(ge=1, le=3650)] | None,
        None,
        "Days until a new key expires when its creator does not say; null: never.",
    ),
    "keys.rotation_overlap_seconds": Known(
        Annotated[int, Meta(ge=0, le=30 * 86400)],
        0,
        "Seconds for which a rotated key's former secret still opens when the caller does not say.",
    ),
    "maintenance.enabled": Known(
        bool,
        False,
        "Whether the proxies answer 503 `maintenance` to every new request; those in flight are finished.",
    ),
    "maintenance.retry_after_seconds": Known(
        Annotated[int, Meta(ge=1, le=86400)],
        60,
        "When clients may try again during maintenance, in seconds (Retry-After).",
    ),
}


def fits(key: str, wanted: str) -> bool:
    """Whether the key is the wanted one, or begins like it where that ends in `*`."""
    return key.startswith(wanted[:-1]) if wanted.endswith("*") else key == wanted


def _known(key: str) -> str:
    if key not in KNOWN:
        raise SettingNotFound(f"There is no setting “{key}”.", hint=f"Known settings: {', '.join(sorted(KNOWN))}.")
    return key


class SettingService:
    def __init__(self, store: GatewayStore, changes: Changes) -> None:
        self._store = store
        self._changes = changes

    async def page(self, ask: Ask) -> Page[Setting]:
        """The known settings with their values now, by key; `prefix*` filters keys."""
        down = ask.sort == "-key"
        if ask.sort not in {None, "key", "-key"}:
            raise InvalidInput("This list cannot be sorted by that.", param="sort", hint="Known here: key.")
        kind = "settings-down" if down else "settings"
        after = paging.decode(kind, ask.cursor)
        stored = await self._store.settings()
        wanted = ask.filters.get("key", "*")
        keys = [key for key in sorted(KNOWN, reverse=down) if fits(key, wanted)]
        if after is not None:
            keys = [key for key in keys if (key < after[0] if down else key > after[0])]
        known = [self._setting(key, stored) for key in keys]
        return paging.cut(kind, known, ask.limit, lambda setting: (setting.key,))

    async def get(self, key: str) -> Setting:
        """Raises SettingNotFound, naming the known keys."""
        return self._setting(_known(key), await self._store.settings())

    async def put(self, key: str, value: Any) -> Setting:
        """Raises SettingNotFound, naming the known keys, or BadField when the value is not of the key's type."""
        try:
            value = msgspec.convert(value, KNOWN[_known(key)].type)
        except msgspec.ValidationError as error:
            raise BadField(f"{key}: {error}.", param="value", hint=KNOWN[key].description) from None
        if key in _URLS and value:
            for url in [value] if isinstance(value, str) else value:
                check_url(url)
        await self._store.lock_setting(key)
        stored = await self._store.settings()
        before = self._setting(key, stored)
        self._changes.expect(before.updated_at or NEVER)
        if key in stored and before.value == value:
            return before
        await self._store.put_setting(key, value)
        after = self._setting(key, await self._store.settings())
        self._changes.note("setting.update", "setting", key, before={"value": before.value}, after={"value": value})
        return after

    async def reset(self, key: str) -> None:
        """Back to its default; nothing is noted when it has that already."""
        await self._store.lock_setting(_known(key))
        before = self._setting(key, await self._store.settings())
        self._changes.expect(before.updated_at or NEVER)
        if before.updated_at is None:
            return
        await self._store.delete_setting(key)
        self._changes.note(
            "setting.reset", "setting", key, before={"value": before.value}, after={"value": before.default}
        )

    async def value(self, key: str) -> Any:
        """The value of a known key now."""
        return self._setting(key, await self._store.settings()).value

    async def default_ttl_days(self) -> int | None:
        days: int | None = await self.value("keys.default_ttl_days")
        return days

    async def rotation_overlap_seconds(self) -> int:
        seconds: int = await self.value("keys.rotation_overlap_seconds")
        return seconds

    @staticmethod
    def _setting(key: str, stored: dict[str, tuple[Any, Any]]) -> Setting:
        known = KNOWN[key]
        value, at = stored.get(key, (known.default, None))
        return Setting(key=key, value=value, default=known.default, description=known.description, updated_at=at)
