"""The rules of providers: what an account is made of, and how its key is kept."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from scutum_server.gateway import outgoing
from scutum_server.gateway.credentials import credential, hint_at
from scutum_server.gateway.models import (
    DEFAULT_BASE_URLS,
    PRIMARY,
    BadField,
    NameTaken,
    Provider,
    ProviderInUse,
    ProviderKey,
    ProviderKeyNotFound,
    Target,
)
from scutum_server.gateway.presets import PRESETS, Preset
from scutum_server.gateway.service import find_provider, provider_missing, realign
from scutum_server.gateway.store import GatewayStore
from scutum_server.infra.changes import Changes, plain
from scutum_server.infra.crypto import SecretBox
from scutum_server.infra.ids import new_id
from scutum_server.infra.listing import Ask
from scutum_server.infra.paging import Page
from scutum_server.upstream import listing
from scutum_server.upstream.options import parse_options

# It travels in the header x-scutum-provider and in file names.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,63}")


class ProviderService:
    """With `follows`, automatic aliases follow every change at once; without, the caller realigns them at the end."""

    def __init__(self, store: GatewayStore, box: SecretBox, changes: Changes, *, follows: bool = True) -> None:
        self._store = store
        self._follows = follows
        self._box = box
        self._changes = changes

    async def page(self, ask: Ask) -> Page[Provider]:
        return await self._store.providers(ask)

    async def get(self, ref: str) -> Provider:
        """Raises ProviderNotFound or AmbiguousRef."""
        return await find_provider(self._store, ref)

    async def create(self, fields: Mapping[str, Any], *, keyless: bool = False) -> Provider:
        """An upstream account out of the fields of the HTTP body; the key is wrapped before it is stored.

        With `keyless` it may be made without the key that it needs.
        """
        name, preset, provider_id = _name(fields["name"]), PRESETS[fields["kind"]], new_id("prov")
        patch, password = outgoing.take_password(fields.get("settings") or {})
        kind, settings = preset.kind, _merge(preset.settings, patch)
        _check_needs(preset, fields, settings, keyless=keyless)
        secret = credential(kind, settings, fields.get("api_key"))
        settings = _checked(kind, settings)
        outgoing.check(settings, password)
        created = await self._store.insert_provider(
            id=provider_id,
            name=name,
            kind=kind,
            base_url=_address(preset, fields.get("base_url")),
            api_key_wrapped=self._box.wrap(secret, provider_id) if secret else None,
            api_key_hint=hint_at(secret) if secret else None,
            settings=settings,
        )
        if not created:
            raise NameTaken(f"There is a provider “{name}” already.", param="name")
        if password.plain is not None:
            await self._store.set_proxy_secret(provider_id, password.wrapped(self._box, provider_id))
        provider = await self.get(provider_id)
        self._changes.note("provider.create", "provider", provider.id, after=_trail(provider, secret))
        return provider

    async def update(self, ref: str, fields: Mapping[str, Any]) -> Provider:
        """Changes only the fields that are given; `settings` is merged, and null sets one back to its default."""
        before = await self._locked(ref)
        changed: dict[str, Any] = {}
        patch, password = outgoing.take_password(fields.get("settings") or {})
        if "name" in fields:
            changed["name"] = _name(fields["name"])
        if "base_url" in fields:
            changed["base_url"] = _azure_path(_base_url(before.kind, fields["base_url"]), before.settings)
        if "settings" in fields:
            changed["settings"] = _checked(before.kind, _merge(before.settings, patch))
            outgoing.check(changed["settings"], password)
        after = msgspec.structs.replace(before, **changed)
        if after != before and not await self._store.update_provider(after):
            raise NameTaken(f"There is a provider “{after.name}” already.", param="name")
        told_before, told_after = plain(before), plain(after)
        if "api_key" in fields:
            secret = credential(before.kind, after.settings, fields["api_key"])
            wrapped = self._box.wrap(secret, before.id) if secret else None
            after = msgspec.structs.replace(after, api_key_hint=hint_at(secret) if secret else None)
            await self._store.set_secret(before.id, wrapped, after.api_key_hint)
            told_before["api_key"] = "former" if before.api_key_hint else None
            told_after = _trail(after, secret)
        if not password.keeps:
            await self._store.set_proxy_secret(before.id, password.wrapped(self._box, before.id))
            if password.plain is not None:
                told_before[outgoing.PASSWORD], told_after[outgoing.PASSWORD] = "former", "set"
        if told_before == told_after:
            return before
        self._changes.note("provider.update", "provider", after.id, before=told_before, after=told_after)
        stored = await self.get(after.id)
        # The database keeps the settings in an order of its own; people see them as they have set them.
        return msgspec.structs.replace(after, updated_at=stored.updated_at)

    async def delete(self, ref: str, *, cascade: bool) -> None:
        """Raises ProviderInUse, naming its models, unless `cascade` deletes them too."""
        provider = await self._locked(ref)
        if provider.models and not cascade:
            shown = ", ".join(provider.models[:10]) + (", …" if len(provider.models) > 10 else "")
            raise ProviderInUse(
                f"Provider “{provider.name}” serves {shown}.", hint="Delete these models first, or delete with cascade."
            )
        for model in await self._store.all_models(provider.id):
            await self._store.delete_model(model.id)
            self._changes.note("model.delete", "model", model.id, before=plain(model))
        await self._store.delete_provider(provider.id)
        self._changes.note("provider.delete", "provider", provider.id, before=plain(provider))
        if self._follows:
            await realign(self._store, self._changes)

    async def keys(self, ref: str) -> list[ProviderKey]:
        """The keys between which the provider's calls are shared out."""
        return await self._store.provider_keys((await self.get(ref)).id)

    async def add_key(self, ref: str, secret: str) -> ProviderKey:
        """One more key; the first one becomes the provider's own."""
        provider = await self._locked(ref)
        checked = credential(provider.kind, provider.settings, secret) or ""
        if provider.keys:
            key_id = new_id("pkey")
            wrapped = self._box.wrap(checked, key_id)
            await self._store.insert_provider_key(
                id=key_id, provider_id=provider.id, wrapped=wrapped, hint=hint_at(checked)
            )
        else:
            key_id = PRIMARY
            await self._store.set_secret(provider.id, self._box.wrap(checked, provider.id), hint_at(checked))
        key = next(key for key in await self._store.provider_keys(provider.id) if key.id == key_id)
        self._changes.note("provider.key_add", "provider", provider.id, after=plain(key))
        return key

    async def remove_key(self, ref: str, key_id: str) -> None:
        """Calls in progress end with it; raises ProviderKeyNotFound."""
        provider = await self._locked(ref)
        key = next((key for key in await self._store.provider_keys(provider.id) if key.id == key_id), None)
        if key is None:
            hint = f"See: scutum providers keys list {provider.name}"
            raise ProviderKeyNotFound(f"Provider “{provider.name}” has no key “{key_id}”.", hint=hint)
        if key_id == PRIMARY:
            await self._replace_primary(provider.id)
        else:
            await self._store.delete_provider_key(key_id)
        self._changes.note("provider.key_remove", "provider", provider.id, before=plain(key))

    async def _replace_primary(self, provider_id: str) -> None:
        """The oldest of the other keys takes its place, if there is one."""
        following = await self._store.oldest_provider_key(provider_id)
        if following is None:
            await self._store.set_secret(provider_id, None, None)
            return
        secret = self._box.unwrap(following["wrapped"], following["id"])
        await self._store.set_secret(provider_id, self._box.wrap(secret, provider_id), following["hint"])
        await self._store.delete_provider_key(following["id"])

    async def target(self, ref: str) -> Target:
        """What a test call to this provider needs."""
        return await self._store.target(await self.get(ref))

    async def _locked(self, ref: str) -> Provider:
        provider = await self.get(ref)
        if not await self._store.lock_provider(provider.id):
            raise provider_missing(ref)
        # Only after the wait for the lock are its models and keys those that it has now.
        provider = await self.get(provider.id)
        self._changes.expect(provider.updated_at)
        return provider


def _trail(provider: Provider, secret: str | None) -> dict[str, Any]:
    """For the audit trail: that there is a key, not which one."""
    return plain(provider) | {"api_key": "set" if secret else None}


def _name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise BadField(
            "A provider's name starts with a letter or digit and goes on with letters, digits and . _ - (64 at most).",
            param="name",
        )
    return name


_NEEDS = {
    "base_url": ("its base_url", "--base-url URL"),
    "region": ("a region", "--region REGION"),
    "vendor": ("LiteLLM's name of the vendor", "--vendor NAME"),
    "api_key": ("{key}", "--api-key-stdin < FILE"),
}
"""What a preset may need: in words, and as the command's option."""


def _check_needs(preset: Preset, fields: Mapping[str, Any], settings: Mapping[str, Any], *, keyless: bool) -> None:
    """Raises BadField that names everything that is missing at once."""
    given = {name for name, value in {**settings, **fields}.items() if value is not None}
    missing = [name for name in preset.needs if name not in given]
    elsewhere = preset.others and fields.get("base_url") not in {None, preset.base_url}
    if not keyless and preset.api_key == "required" and fields.get("api_key") is None and not elsewhere:
        missing.append("api_key")
    if not missing:
        return
    words = " and ".join(_NEEDS[name][0].format(key=preset.key) for name in missing)
    options = " ".join(_NEEDS[name][1] for name in missing)
    if "base_url" in missing and preset.base_url_example is not None:
        options = options.replace("URL", preset.base_url_example)
    param = missing[0] if missing[0] in {"base_url", "api_key"} else f"settings.{missing[0]}"
    raise BadField(
        f"{re.split('[;,]', preset.title)[0]} needs {words}.",
        param=param,
        hint=f"scutum providers add {fields['name']} --kind {preset.name} {options}",
    )


def _address(preset: Preset, url: str | None) -> str | None:
    address = _base_url(preset.kind, preset.base_url if url is None else url)
    return _azure_path(address, preset.settings)


def _azure_path(address: str | None, settings: Mapping[str, Any]) -> str | None:
    """People copy the resource's address from Azure's portal: the API is below /openai."""
    if address is None or "api_version" not in settings or address.endswith("/openai"):
        return address
    return address + "/openai"


def _base_url(kind: str, url: str | None) -> str | None:
    if kind == "sim":
        if url is not None:
            raise BadField("The simulator runs inside the proxy and takes no base_url.", param="base_url")
        return None
    if url is None:
        return DEFAULT_BASE_URLS.get(kind)
    problem = _url_problem(url)
    if problem:
        raise BadField(f"base_url {problem}.", param="base_url", hint="For example: http://127.0.0.1:8000/v1")
    return url.rstrip("/")


def _url_problem(url: str) -> str | None:
    if not url.isascii() or not url.isprintable() or any(character in url for character in ' "<>\\^`{|}'):
        return "holds characters that a URL cannot hold"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "is not a URL"
    if parts.scheme not in {"http", "https"}:
        return "starts with http:// or https://"
    if not parts.hostname or port == 0:
        return "names no server"
    if parts.username is not None or parts.password is not None:
        return "must not hold credentials: give the key as api_key"
    if "#" in url or "?" in url:
        return "must not have a query or a fragment"
    return None


def _merge(base: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """JSON merge patch (RFC 7396)."""
    merged = dict(base)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            inner = merged.get(key)
            merged[key] = _merge(inner if isinstance(inner, dict) else {}, value)
        else:
            merged[key] = value
    return merged


def _checked(kind: str, settings: dict[str, Any]) -> dict[str, Any]:
    try:
        parse_options(kind, settings)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `$")
        field = re.search(r"unknown field `([^`]*)`", reason)
        name = "settings" + path.rstrip("`") + (f".{field[1]}" if field else "")
        raise BadField(f"{name}: {'there is no such setting' if field else reason}.", param=name) from None
    if kind == "litellm":
        _check_vendor(settings["vendor"])
    return settings


def _check_vendor(vendor: str) -> None:
    known = listing.vendors()
    if vendor in known:
        return
    near = difflib.get_close_matches(vendor, known, n=1)
    usual = {str(preset.settings["vendor"]) for preset in PRESETS.values() if "vendor" in preset.settings}
    alike = [name for name in known if name[0] == vendor[0]] or sorted(usual)
    hint = f"Did you mean {near[0]}? " if near else ""
    raise BadField(
        f"LiteLLM knows no vendor “{vendor}”.",
        param="settings.vendor",
        hint=f"{hint}Of the {len(known)} it knows: {', '.join(alike)}.",
    )
