"""The tables providers, deployments, aliases and settings."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

import msgspec
from psycopg.errors import UniqueViolation
from psycopg.types.json import Jsonb

from scutum_server.gateway.models import PRIMARY, Alias, Model, Price, Provider, ProviderKey, Target
from scutum_server.infra import listing, refs
from scutum_server.infra.db import Connection
from scutum_server.infra.listing import Ask, Listing, Sort
from scutum_server.infra.paging import Page
from scutum_server.infra.refs import Candidate
from scutum_server.infra.store import Store
from scutum_server.upstream.options import Routing

_PROVIDER: Final = """
p.id, p.name, p.kind, p.base_url, p.api_key_hint, p.settings - 'proxy_secret' AS settings, p.created_at, p.updated_at,
    ARRAY(SELECT d.name FROM deployments d WHERE d.provider_id = p.id ORDER BY d.name) AS models,
    (p.api_key_wrapped IS NOT NULL)::int + (SELECT count(*) FROM provider_keys k WHERE k.provider_id = p.id) AS keys
"""
PROVIDERS: Final = Listing(
    "providers",
    columns=_PROVIDER,
    source="providers p",
    id="p.id",
    sorts={"created_at": Sort("p.id"), "name": listing.by_text("p.name")},
    filters={"name": listing.text("p.name"), "kind": listing.exact("p.kind")},
)
ALL_PROVIDERS: Final = f"SELECT {_PROVIDER} FROM providers p ORDER BY p.id"
PROVIDER_GET: Final = f"SELECT {_PROVIDER} FROM providers p WHERE p.id = %(id)s"
PROVIDER_LOCK: Final = "SELECT id FROM providers WHERE id = %(id)s FOR UPDATE"
PROVIDER_CANDIDATES: Final = refs.query("providers", label="c.name")
PROVIDER_INSERT = """
INSERT INTO providers (id, name, kind, base_url, api_key_wrapped, api_key_hint, settings)
VALUES (%(id)s, %(name)s, %(kind)s, %(base_url)s, %(api_key_wrapped)s, %(api_key_hint)s, %(settings)s)
ON CONFLICT (name) DO NOTHING RETURNING id
"""
PROVIDER_HOLD = "SELECT id FROM providers WHERE id = %(id)s FOR SHARE"
PROVIDER_UPDATE = """
UPDATE providers SET name = %(name)s, base_url = %(base_url)s, updated_at = clock_timestamp(),
    settings = %(settings)s || jsonb_strip_nulls(jsonb_build_object('proxy_secret', settings -> 'proxy_secret'))
WHERE id = %(id)s
"""
PROVIDER_SET_PROXY = """
UPDATE providers SET updated_at = clock_timestamp(),
    settings = settings - 'proxy_secret' || jsonb_strip_nulls(jsonb_build_object('proxy_secret', %(secret)s::text))
WHERE id = %(id)s
"""
PROVIDER_SET_WRAPPED = """
UPDATE providers SET api_key_wrapped = %(wrapped)s, api_key_hint = %(hint)s, updated_at = clock_timestamp()
WHERE id = %(id)s
"""
PROVIDER_DELETE = "DELETE FROM providers WHERE id = %(id)s"
PROVIDER_KEYS = """
SELECT id, hint, created_at FROM (
    SELECT %(primary)s AS id, api_key_hint AS hint, created_at, 0 AS place FROM providers
        WHERE id = %(provider_id)s AND api_key_wrapped IS NOT NULL
    UNION ALL SELECT id, hint, created_at, 1 FROM provider_keys WHERE provider_id = %(provider_id)s
) AS keys ORDER BY place, id
"""
PROVIDER_KEY_INSERT = """
INSERT INTO provider_keys (id, provider_id, wrapped, hint) VALUES (%(id)s, %(provider_id)s, %(wrapped)s, %(hint)s)
"""
PROVIDER_KEY_OLDEST = """
SELECT id, wrapped, hint FROM provider_keys WHERE provider_id = %(provider_id)s ORDER BY created_at, id LIMIT 1
"""
PROVIDER_KEY_DELETE = "DELETE FROM provider_keys WHERE id = %(id)s"
TARGET = """
SELECT p.api_key_wrapped AS wrapped_key, d.name AS model, d.upstream_model, d.settings ->> 'kind' AS model_kind,
    p.settings ->> 'proxy_secret' AS proxy_secret
FROM providers p LEFT JOIN deployments d ON d.provider_id = p.id
WHERE p.id = %(id)s ORDER BY coalesce(d.settings ->> 'kind', '') = 'embedding', d.id LIMIT 1
"""
_MODEL: Final = (
    "d.id, d.name, p.name AS provider, d.provider_id, d.upstream_model, d.settings, d.created_at, d.updated_at"
)
_MODEL_FROM: Final = "deployments d JOIN providers p ON p.id = d.provider_id"
MODELS: Final = Listing(
    "models",
    columns=_MODEL,
    source=_MODEL_FROM,
    id="d.id",
    sorts={"created_at": Sort("d.id"), "name": listing.by_text("d.name")},
    filters={
        "name": listing.text("d.name"),
        "provider": listing.exact("d.provider_id"),
        "kind": listing.exact("d.settings ->> 'kind'"),
    },
)
ALL_MODELS: Final = f"""
SELECT {_MODEL} FROM {_MODEL_FROM} WHERE %(provider_id)s::text IS NULL OR d.provider_id = %(provider_id)s ORDER BY d.id
"""
MODEL_GET: Final = f"SELECT {_MODEL} FROM {_MODEL_FROM} WHERE d.id = %(id)s"
MODEL_LOCK: Final = f"{MODEL_GET} FOR UPDATE OF d"
MODEL_CANDIDATES: Final = refs.query(
    "deployments", label="c.name || ' at ' || p.name", joins="JOIN providers p ON p.id = c.provider_id"
)
MODEL_INSERT = """
INSERT INTO deployments (id, name, provider_id, upstream_model, settings)
VALUES (%(id)s, %(name)s, %(provider_id)s, %(upstream_model)s, %(settings)s)
ON CONFLICT (name, provider_id) DO NOTHING RETURNING id
"""
MODEL_UPDATE = """
UPDATE deployments SET name = %(name)s, upstream_model = %(upstream_model)s, settings = %(settings)s,
    updated_at = clock_timestamp()
WHERE id = %(id)s
"""
MODEL_DELETE = "DELETE FROM deployments WHERE id = %(id)s"
KNOWN_MODELS = "SELECT DISTINCT name FROM deployments WHERE name = ANY(%(names)s)"
_ALIAS: Final = """
a.name, a.targets, a.settings, a.updated_at,
    (SELECT t.name FROM unnest(a.targets) WITH ORDINALITY AS t (name, place)
        WHERE EXISTS (SELECT FROM deployments d WHERE d.name = t.name) ORDER BY t.place LIMIT 1) AS resolves_to
"""
ALIASES: Final = Listing(
    "aliases",
    columns=_ALIAS,
    source="aliases a",
    id="a.name",
    sorts={"name": Sort("a.name")},
    filters={"name": listing.text("a.name")},
)
ALIAS_GET: Final = f"SELECT {_ALIAS} FROM aliases a WHERE a.name = %(name)s"
AUTOMATIC_ALIASES = """
SELECT name, targets, settings, updated_at FROM aliases WHERE settings -> 'automatic' = 'true' ORDER BY name FOR UPDATE
"""
ALIAS_PUT = """
INSERT INTO aliases (name, targets, settings) VALUES (%(name)s, %(targets)s, %(settings)s)
ON CONFLICT (name)
DO UPDATE SET targets = excluded.targets, settings = excluded.settings, updated_at = clock_timestamp()
"""
ALIAS_DELETE = "DELETE FROM aliases WHERE name = %(name)s"
# Names are shared by models and aliases: whoever takes one holds it until the end of the transaction.
NAME_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('gateway-name:' || %(name)s, 0))"
SETTINGS = "SELECT key, value, updated_at FROM settings"
SETTING_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('setting:' || %(key)s, 0))"
SETTING_PUT = """
INSERT INTO settings (key, value) VALUES (%(key)s, %(value)s)
ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = clock_timestamp()
"""
SETTING_DELETE = "DELETE FROM settings WHERE key = %(key)s"
CONFIG_CHANGED = "SELECT config_changed_all(%(kinds)s::text[], %(ids)s::text[])"


class GatewayStore(Store):
    """Reads and writes inside the connection's transaction; never commits."""

    async def providers(self, ask: Ask) -> Page[Provider]:
        return await self._page(PROVIDERS, ask, lambda row: Provider(**row))

    async def provider(self, provider_id: str) -> Provider | None:
        row = await self._row(PROVIDER_GET, {"id": provider_id})
        return Provider(**row) if row else None

    async def provider_candidates(self, ref: str) -> list[Candidate]:
        return await self._candidates(PROVIDER_CANDIDATES, ref, "prov")

    async def insert_provider(self, *, settings: dict[str, Any], **fields: Any) -> bool:
        """False when the name is taken."""
        return bool(await self._rows(PROVIDER_INSERT, fields | {"settings": Jsonb(settings)}))

    async def lock_provider(self, provider_id: str) -> bool:
        return bool(await self._rows(PROVIDER_LOCK, {"id": provider_id}))

    async def hold_provider(self, provider_id: str) -> bool:
        """Keeps the provider from being deleted until the transaction ends; False when it is gone."""
        return bool(await self._rows(PROVIDER_HOLD, {"id": provider_id}))

    async def update_provider(self, provider: Provider) -> bool:
        """False when the name is taken: the transaction is then lost."""
        params = {
            "id": provider.id, "name": provider.name, "base_url": provider.base_url,
            "settings": Jsonb(provider.settings),
        }  # fmt: skip
        try:
            await self._conn.execute(PROVIDER_UPDATE, params)
        except UniqueViolation:
            return False
        return True

    async def set_secret(self, provider_id: str, wrapped: bytes | None, hint: str | None) -> None:
        await self._conn.execute(PROVIDER_SET_WRAPPED, {"id": provider_id, "wrapped": wrapped, "hint": hint})

    async def set_proxy_secret(self, provider_id: str, wrapped: str | None) -> None:
        """The password for the provider's own forward proxy, in base64; never among the settings that are read."""
        await self._conn.execute(PROVIDER_SET_PROXY, {"id": provider_id, "secret": wrapped})

    async def provider_keys(self, provider_id: str) -> list[ProviderKey]:
        """The provider's own key first, under the id `primary`."""
        rows = await self._rows(PROVIDER_KEYS, {"provider_id": provider_id, "primary": PRIMARY})
        return [ProviderKey(**row) for row in rows]

    async def insert_provider_key(self, **fields: Any) -> None:
        await self._conn.execute(PROVIDER_KEY_INSERT, fields)

    async def oldest_provider_key(self, provider_id: str) -> dict[str, Any] | None:
        """Id, wrapped secret and hint of the oldest key that is not the provider's own."""
        rows = await self._rows(PROVIDER_KEY_OLDEST, {"provider_id": provider_id})
        return rows[0] if rows else None

    async def delete_provider_key(self, key_id: str) -> None:
        await self._conn.execute(PROVIDER_KEY_DELETE, {"id": key_id})

    async def delete_provider(self, provider_id: str) -> None:
        await self._conn.execute(PROVIDER_DELETE, {"id": provider_id})

    async def target(self, provider: Provider) -> Target:
        """The provider with its wrapped key and its first model, chat models before embedding models."""
        row = (await self._rows(TARGET, {"id": provider.id}))[0]
        return Target(provider=provider, **row)

    async def models(self, ask: Ask) -> Page[Model]:
        return await self._page(MODELS, ask, _model)

    async def all_models(self, provider_id: str | None = None) -> list[Model]:
        """Of this provider, or of all."""
        return [_model(row) for row in await self._rows(ALL_MODELS, {"provider_id": provider_id})]

    async def model(self, model_id: str) -> Model | None:
        row = await self._row(MODEL_GET, {"id": model_id})
        return _model(row) if row else None

    async def model_candidates(self, ref: str) -> list[Candidate]:
        return await self._candidates(MODEL_CANDIDATES, ref, "model")

    async def insert_model(self, *, settings: dict[str, Any], **fields: Any) -> bool:
        """False when the provider has a model of this name."""
        return bool(await self._rows(MODEL_INSERT, fields | {"settings": Jsonb(settings)}))

    async def lock_model(self, model_id: str) -> Model | None:
        """The model, which nobody else can change until the transaction ends; None when it is gone."""
        row = await self._row(MODEL_LOCK, {"id": model_id})
        return _model(row) if row else None

    async def update_model(self, model: Model, settings: dict[str, Any]) -> bool:
        """False when the provider has another model of this name: the transaction is then lost."""
        params = {
            "id": model.id, "name": model.name, "upstream_model": model.upstream_model, "settings": Jsonb(settings),
        }  # fmt: skip
        try:
            await self._conn.execute(MODEL_UPDATE, params)
        except UniqueViolation:
            return False
        return True

    async def delete_model(self, model_id: str) -> None:
        await self._conn.execute(MODEL_DELETE, {"id": model_id})

    async def known_models(self, names: list[str]) -> set[str]:
        return {row["name"] for row in await self._rows(KNOWN_MODELS, {"names": names})}

    async def lock_name(self, name: str) -> None:
        await self._conn.execute(NAME_LOCK, {"name": name})

    async def aliases(self, ask: Ask) -> Page[Alias]:
        return await self._page(ALIASES, ask, _alias)

    async def alias(self, name: str) -> Alias | None:
        row = await self._row(ALIAS_GET, {"name": name})
        return _alias(row) if row else None

    async def put_alias(self, name: str, targets: list[str], routing: Routing) -> None:
        settings = Jsonb(msgspec.to_builtins(routing))
        await self._conn.execute(ALIAS_PUT, {"name": name, "targets": targets, "settings": settings})

    async def automatic_aliases(self) -> list[Alias]:
        """Those whose targets nobody has set, locked until the transaction ends."""
        rows = await self._rows(AUTOMATIC_ALIASES, {})
        return [_alias(row | {"resolves_to": row["targets"][0]}) for row in rows]

    async def all_providers(self) -> list[Provider]:
        return [Provider(**row) for row in await self._rows(ALL_PROVIDERS, {})]

    async def delete_alias(self, name: str) -> None:
        await self._conn.execute(ALIAS_DELETE, {"name": name})

    async def settings(self) -> dict[str, tuple[Any, dt.datetime]]:
        """Value and time of change by key."""
        return {row["key"]: (row["value"], row["updated_at"]) for row in await self._rows(SETTINGS, {})}

    async def lock_setting(self, key: str) -> None:
        await self._conn.execute(SETTING_LOCK, {"key": key})

    async def delete_setting(self, key: str) -> None:
        await self._conn.execute(SETTING_DELETE, {"key": key})

    async def put_setting(self, key: str, value: Any) -> None:
        await self._conn.execute(SETTING_PUT, {"key": key, "value": Jsonb(value)})


def _model(row: dict[str, Any]) -> Model:
    settings = row.pop("settings")
    price = settings.get("price")
    return Model(
        **row,
        kind=settings.get("kind"),
        price=Price(**price) if price else None,
        rpm=settings.get("rpm"),
        tpm=settings.get("tpm"),
    )


def _alias(row: dict[str, Any]) -> Alias:
    found = alias_of(
        row["name"], row["targets"], msgspec.convert(row["settings"], Routing), resolves_to=row["resolves_to"]
    )
    return msgspec.structs.replace(found, updated_at=row["updated_at"])


def alias_of(name: str, targets: list[str], routing: Routing, *, resolves_to: str | None) -> Alias:
    """One that is not stored yet."""
    weights = None if routing.weights is None else list(routing.weights)
    fields = msgspec.structs.asdict(routing) | {"weights": weights}
    return Alias(name=name, targets=targets, resolves_to=resolves_to, **fields)


async def config_changed(conn: Connection, changes: list[tuple[str, str]]) -> None:
    """Numbers and announces changes (kind, id) to every proxy; holds the version's row until the transaction ends."""
    await conn.execute(CONFIG_CHANGED, {"kinds": [kind for kind, _ in changes], "ids": [item for _, item in changes]})
