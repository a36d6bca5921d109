"""The rules of models, aliases and settings; those of providers are in providers.py."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from scutum_server.gateway import classes
from scutum_server.gateway.models import (
    Alias,
    AliasNotFound,
    BadField,
    Model,
    ModelNotFound,
    NameTaken,
    Price,
    PriceSource,
    Provider,
    ProviderNotFound,
)
from scutum_server.gateway.store import GatewayStore, alias_of
from scutum_server.infra import refs
from scutum_server.infra.changes import Changes, plain
from scutum_server.infra.ids import new_id
from scutum_server.infra.listing import Ask
from scutum_server.infra.paging import Page
from scutum_server.upstream.options import Routing

# These names travel in HTTP headers and in the `model` field of requests.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+\-]{0,199}")
_SEGMENT = re.compile(r"(^|/)\.{0,2}(/|$)")


DEFAULT_ROUTING = Routing()


def clean_name(name: str) -> str:
    """A name that a client can send and a header can carry; raises BadField for any other."""
    if not _NAME.fullmatch(name) or _SEGMENT.search(name):
        raise BadField(
            "A name starts with a letter or digit and goes on with letters, digits and . _ : / @ + - (200 at most).",
            param="name",
        )
    return name


def provider_missing(ref: str) -> ProviderNotFound:
    return ProviderNotFound(f"There is no provider “{ref}”.", hint="See: scutum providers list")


async def find_provider(store: GatewayStore, ref: str) -> Provider:
    """The provider that `ref` means; raises ProviderNotFound or AmbiguousRef."""
    missing = provider_missing(ref)
    provider = await store.provider(refs.choose(ref, await store.provider_candidates(ref), missing))
    if provider is None:
        raise missing
    return provider


async def realign(store: GatewayStore, changes: Changes) -> None:
    """Chooses the targets of automatic aliases anew, after models have come, changed or gone."""
    aliases = await store.automatic_aliases()
    if not aliases:
        return
    providers = {provider.id: provider for provider in await store.all_providers()}
    models = await store.all_models()
    # The catalogue is loaded and searched in a thread: other requests must not wait for it.
    found = await asyncio.to_thread(
        lambda: [classes.candidate(model, providers[model.provider_id]) for model in models]
    )
    candidates = [each for each in found if each is not None]
    for alias in aliases:
        targets = classes.targets(alias.name, candidates)
        if targets and targets != alias.targets:
            after = msgspec.structs.replace(alias, targets=targets, resolves_to=targets[0])
            await store.put_alias(alias.name, targets, Routing(automatic=True))
            changes.note("alias.update", "alias", alias.name, before=plain(alias), after=plain(after))


class ModelService:
    """With `follows`, automatic aliases follow every change at once; without, the caller realigns them at the end."""

    def __init__(self, store: GatewayStore, changes: Changes, *, follows: bool = True) -> None:
        self._store = store
        self._changes = changes
        self._follows = follows

    async def page(self, ask: Ask, provider: str | None = None) -> Page[Model]:
        found = {"provider": (await find_provider(self._store, provider)).id} if provider else {}
        return await self._store.models(msgspec.structs.replace(ask, filters={**ask.filters, **found}))

    async def price_sources(self, found: Sequence[Model]) -> list[PriceSource]:
        """Who says what each of them costs."""
        providers = {each.id: each for each in await self._store.all_providers()}
        # The first call loads the price list.
        return await asyncio.to_thread(
            lambda: [
                classes.price_source(model, providers[model.provider_id])
                if model.provider_id in providers
                else "unknown"
                for model in found
            ]
        )

    async def get(self, ref: str) -> Model:
        """By id at once; else by name or short form. Raises ModelNotFound or AmbiguousRef."""
        missing = ModelNotFound(f"There is no model “{ref}”.", hint="See: scutum models list")
        model = await self._store.model(ref)
        if model is None:
            model = await self._store.model(refs.choose(ref, await self._store.model_candidates(ref), missing))
        if model is None:
            raise missing
        return model

    async def create(self, fields: Mapping[str, Any]) -> Model:
        """A model at a provider; `upstream_model` is the name that the provider knows, by default the same."""
        name = clean_name(fields["name"])
        upstream_model = fields.get("upstream_model") or name
        if fields.get("provider") is None:
            provider = await self._provider_of(upstream_model)
        else:
            provider = await find_provider(self._store, fields["provider"])
        if not await self._store.hold_provider(provider.id):
            raise provider_missing(provider.name)
        await self._free_of_aliases(name)
        model_id = new_id("model")
        created = await self._store.insert_model(
            id=model_id,
            name=name,
            provider_id=provider.id,
            upstream_model=upstream_model,
            settings=_settings({**fields, "kind": fields.get("kind") or await _known_kind(provider, upstream_model)}),
        )
        if not created:
            raise NameTaken(f"Provider “{provider.name}” has a model “{name}” already.", param="name")
        model = await self.get(model_id)
        self._changes.note("model.create", "model", model.id, after=plain(model))
        if self._follows:
            await realign(self._store, self._changes)
        return model

    async def _provider_of(self, upstream_model: str) -> Provider:
        """The one provider that the catalogue lists the model for; raises BadField when there is none, or several."""
        providers = await self._store.all_providers()
        known = await asyncio.to_thread(lambda: [classes.known_ability(each, upstream_model) for each in providers])
        found = [provider for provider, ability in zip(providers, known, strict=True) if ability is not None]
        if len(found) == 1:
            return found[0]
        hint = f"Name it: scutum models add {upstream_model} --provider PROVIDER"
        if found:
            names = ", ".join(provider.name for provider in found)
            raise BadField(f"Several providers have a model “{upstream_model}”: {names}.", param="provider", hint=hint)
        raise BadField(
            f"The catalogue lists “{upstream_model}” for none of your providers.", param="provider", hint=hint
        )

    async def update(self, ref: str, fields: Mapping[str, Any]) -> Model:
        """Changes only the fields that are given; null clears `kind`, `price`, `rpm` or `tpm`."""
        before = await self._locked(ref)
        changed = {field: fields[field] for field in ("upstream_model", "kind", "rpm", "tpm") if field in fields}
        if "price" in fields:
            changed["price"] = Price(**fields["price"]) if fields["price"] else None
        if fields.get("name", before.name) != before.name:
            changed["name"] = clean_name(fields["name"])
            await self._free_of_aliases(changed["name"])
        after = msgspec.structs.replace(before, **changed)
        if after == before:
            return before
        if not await self._store.update_model(after, _settings(plain(after))):
            raise NameTaken(f"Provider “{before.provider}” has a model “{after.name}” already.", param="name")
        after = await self.get(before.id)
        self._changes.note("model.update", "model", after.id, before=plain(before), after=plain(after))
        if self._follows:
            await realign(self._store, self._changes)
        return after

    async def delete(self, ref: str) -> None:
        """An alias that pointed only here resolves to nothing from then on, and says so."""
        model = await self._locked(ref)
        await self._store.delete_model(model.id)
        self._changes.note("model.delete", "model", model.id, before=plain(model))
        if self._follows:
            await realign(self._store, self._changes)

    async def _locked(self, ref: str) -> Model:
        model = await self._store.lock_model((await self.get(ref)).id)
        if model is None:
            raise ModelNotFound(f"There is no model “{ref}”.")
        self._changes.expect(model.updated_at)
        return model

    async def _free_of_aliases(self, name: str) -> None:
        await self._store.lock_name(name)
        alias = await self._store.alias(name)
        if alias is not None and name not in alias.targets:
            raise NameTaken(
                f"“{name}” is an alias already.", param="name", hint="Take another name, or delete the alias."
            )


async def _known_kind(provider: Provider, upstream_model: str) -> str | None:
    """What the catalogue says that the model makes, if it is one of the two that requests are told apart by."""
    known = await asyncio.to_thread(classes.known_ability, provider, upstream_model)
    return known.kind if known is not None and known.kind in {"chat", "embedding"} else None


def _settings(fields: Mapping[str, Any]) -> dict[str, Any]:
    always = {"kind": fields.get("kind"), "price": fields.get("price") or None}
    return always | {name: fields[name] for name in ("rpm", "tpm") if fields.get(name) is not None}


def _check_weights(targets: list[str], routing: Routing) -> None:
    weights = routing.weights
    if weights is None:
        if routing.strategy == "weighted":
            raise BadField("The strategy weighted needs weights, one per target.", param="weights")
    elif routing.strategy != "weighted":
        raise BadField("Only the strategy weighted takes weights.", param="weights")
    elif len(weights) != len(set(targets)) or len(targets) != len(set(targets)) or not any(weights):
        raise BadField("There must be one weight per target, not all of them 0.", param="weights")


class AliasService:
    def __init__(self, store: GatewayStore, changes: Changes) -> None:
        self._store = store
        self._changes = changes

    async def page(self, ask: Ask) -> Page[Alias]:
        return await self._store.aliases(ask)

    async def get(self, name: str) -> Alias:
        """Raises AliasNotFound."""
        alias = await self._store.alias(name)
        if alias is None:
            raise AliasNotFound(f"There is no alias “{name}”.", hint="See: scutum aliases list")
        return alias

    async def put(self, name: str, targets: list[str], routing: Routing = DEFAULT_ROUTING) -> Alias:
        """Creates the alias or replaces all of it; raises ModelNotFound when a target is not a model's name.

        It may bear the name of one of its targets, and then says how that model's deployments are used.
        """
        clean_name(name)
        _check_weights(targets, routing)
        targets = list(dict.fromkeys(targets))
        await self._store.lock_name(name)
        known = await self._store.known_models([*targets, name])
        unknown = [target for target in targets if target not in known]
        if unknown:
            raise ModelNotFound(f"There is no model “{unknown[0]}”.", param="targets", hint="See: scutum models list")
        if name in known and name not in targets:
            hint = f"To give this model fallbacks, name it among the targets: scutum aliases set {name} {name} …"
            raise NameTaken(f"“{name}” is a model already.", param="name", hint=hint)
        before = await self._store.alias(name)
        self._changes.expect(before.updated_at if before else None)
        if before and msgspec.structs.replace(before, updated_at=None) == alias_of(
            name, targets, routing, resolves_to=targets[0]
        ):
            return before
        await self._store.put_alias(name, targets, routing)
        after = await self.get(name)
        action = "alias.update" if before else "alias.create"
        self._changes.note(action, "alias", name, before=plain(before) if before else None, after=plain(after))
        return after

    async def delete(self, name: str) -> None:
        await self._store.lock_name(name)
        alias = await self.get(name)
        self._changes.expect(alias.updated_at)
        await self._store.delete_alias(name)
        self._changes.note("alias.delete", "alias", name, before=plain(alias))
