"""Routes for providers, models, aliases and settings; the composition root puts the services into the request."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Protocol

import msgspec
from fastapi import APIRouter, Depends, Query, Request, status
from pydantic import SecretStr

from scutum_server.gateway import models, schemas
from scutum_server.gateway.presets import PRESETS, Preset
from scutum_server.gateway.providers import ProviderService
from scutum_server.gateway.service import AliasService, ModelService
from scutum_server.gateway.settings import SettingService
from scutum_server.infra import paging
from scutum_server.infra.paging import Page
from scutum_server.schemas import Body, Cursor, Limit
from scutum_server.upstream import listing
from scutum_server.upstream.options import Routing

router = APIRouter(tags=["gateway"])
probing = APIRouter(tags=["gateway"])
"""Routes that call providers: they must not hold a transaction meanwhile."""


class Tester(Protocol):
    async def test(self, ref: str) -> models.Probe: ...


class Fleet(Protocol):
    async def breakers(self) -> Mapping[str, models.Breaker] | None:
        """Of every deployment whose breaker is not closed; None when nobody can tell."""


async def _providers(request: Request) -> ProviderService:
    service: ProviderService = request.state.providers
    return service


async def _models(request: Request) -> ModelService:
    service: ModelService = request.state.models
    return service


async def _aliases(request: Request) -> AliasService:
    service: AliasService = request.state.aliases
    return service


async def _settings(request: Request) -> SettingService:
    service: SettingService = request.state.settings
    return service


async def _tester(request: Request) -> Tester:
    tester: Tester = request.app.state.tester
    return tester


async def _fleet(request: Request) -> Fleet:
    fleet: Fleet = request.app.state.fleet
    return fleet


Providers = Annotated[ProviderService, Depends(_providers)]
Models = Annotated[ModelService, Depends(_models)]
Aliases = Annotated[AliasService, Depends(_aliases)]
Settings = Annotated[SettingService, Depends(_settings)]


AllOfFleet = Annotated[Fleet, Depends(_fleet)]
CLOSED = models.Breaker(state="closed")


async def _states(models_: ModelService, fleet: Fleet, found: Sequence[models.Model]) -> list[models.ModelState]:
    shut = await fleet.breakers()
    return [
        models.ModelState(
            **msgspec.structs.asdict(model),
            breaker=None if shut is None else shut.get(model.id, CLOSED),
            price_source=source,
        )
        for model, source in zip(found, await models_.price_sources(found), strict=True)
    ]


def _fields(body: Body) -> dict[str, Any]:
    fields = body.model_dump(exclude_unset=True)
    secret = fields.get("api_key")
    if isinstance(secret, SecretStr):
        fields["api_key"] = secret.get_secret_value()
    return fields


@router.get("/providers", response_model=schemas.ProviderList)
async def list_providers(
    providers: Providers, query: Annotated[schemas.ProviderQuery, Query()]
) -> Page[models.Provider]:
    """Upstream accounts, oldest first."""
    return await providers.page(query.ask())


@router.post("/providers", response_model=schemas.Provider, status_code=status.HTTP_201_CREATED)
async def create_provider(providers: Providers, body: schemas.ProviderCreate) -> models.Provider:
    """Adds an upstream account; its key is kept encrypted and never shown again."""
    return await providers.create(_fields(body))


@router.get("/provider-presets", response_model=schemas.PresetList)
async def list_presets() -> Page[Preset]:
    """Providers whose address is known, and what each of them needs."""
    return Page(list(PRESETS.values()), None)


@router.get("/catalog", response_model=schemas.CatalogModelList)
async def list_catalog(
    limit: Limit = 500,
    cursor: Cursor = None,
    provider: Annotated[str | None, Query(max_length=200, description="Only the models of this provider.")] = None,
) -> dict[str, Any]:
    """Models that providers are known to offer, with context size and price."""
    after = paging.decode("catalog", cursor, 2)
    found = await asyncio.to_thread(listing.offers, provider)
    rows = [offer for offer in found if after is None or (offer.provider, offer.model) > tuple(after)]
    page = paging.cut("catalog", rows[: limit + 1], limit, lambda offer: (offer.provider, offer.model))
    return {"items": page.items, "next": page.next, "source": listing.source()}


@router.get("/providers/{ref:path}/keys", response_model=schemas.ProviderKeyList)
async def list_provider_keys(providers: Providers, ref: str) -> Page[models.ProviderKey]:
    """The keys between which a provider's calls are shared out."""
    return Page(await providers.keys(ref), None)


@router.post("/providers/{ref:path}/keys", response_model=schemas.ProviderKey, status_code=status.HTTP_201_CREATED)
async def add_provider_key(providers: Providers, ref: str, body: schemas.ProviderKeyCreate) -> models.ProviderKey:
    """Adds a key; it is kept encrypted and never shown again."""
    return await providers.add_key(ref, body.api_key.get_secret_value())


@router.delete("/providers/{ref:path}/keys/{key}", status_code=status.HTTP_204_NO_CONTENT)
async def remove_provider_key(providers: Providers, ref: str, key: str) -> None:
    """Removes a key; of several, the oldest takes the place of `primary`."""
    await providers.remove_key(ref, key)


@probing.post("/providers/{ref:path}/test", response_model=schemas.Probe)
async def test_provider(tester: Annotated[Tester, Depends(_tester)], ref: str) -> models.Probe:
    """Makes one cheap real call with the provider's first model, or asks for its list; failures are explained."""
    return await tester.test(ref)


@router.get("/providers/{ref:path}", response_model=schemas.Provider)
async def get_provider(providers: Providers, ref: str) -> models.Provider:
    """One upstream account, by id, name, or a unique beginning or end of the id."""
    return await providers.get(ref)


@router.patch("/providers/{ref:path}", response_model=schemas.Provider)
async def update_provider(providers: Providers, ref: str, body: schemas.ProviderUpdate) -> models.Provider:
    """Changes the fields that are sent; `settings` is merged."""
    return await providers.update(ref, _fields(body))


@router.delete("/providers/{ref:path}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_provider(
    providers: Providers, ref: str, cascade: Annotated[bool, Query(description="Delete its models too.")] = False
) -> None:
    """Deletes an upstream account; 409 `provider_in_use` names its models unless `cascade` is set."""
    await providers.delete(ref, cascade=cascade)


@router.get("/models", response_model=schemas.ModelList)
async def list_models(
    models_: Models, fleet: AllOfFleet, query: Annotated[schemas.ModelQuery, Query()]
) -> Page[models.ModelState]:
    """Models (deployments), oldest first, with the state of their circuit breakers."""
    page = await models_.page(query.ask("provider"), query.provider)
    return Page(await _states(models_, fleet, page.items), page.next)


@router.post("/models", response_model=schemas.Model, status_code=status.HTTP_201_CREATED)
async def create_model(models_: Models, fleet: AllOfFleet, body: schemas.ModelCreate) -> models.ModelState:
    """Adds a model at a provider."""
    return (await _states(models_, fleet, [await models_.create(_fields(body))]))[0]


@router.get("/models/{ref:path}", response_model=schemas.Model)
async def get_model(models_: Models, fleet: AllOfFleet, ref: str) -> models.ModelState:
    """One model, by id, name, or a unique beginning or end of the id."""
    return (await _states(models_, fleet, [await models_.get(ref)]))[0]


@router.patch("/models/{ref:path}", response_model=schemas.Model)
async def update_model(models_: Models, fleet: AllOfFleet, ref: str, body: schemas.ModelUpdate) -> models.ModelState:
    """Changes the fields that are sent; null clears `kind`, `price`, `rpm` or `tpm`."""
    return (await _states(models_, fleet, [await models_.update(ref, _fields(body))]))[0]


@router.delete("/models/{ref:path}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_model(models_: Models, ref: str) -> None:
    """Deletes a model; an alias that pointed only to it resolves to nothing from then on."""
    await models_.delete(ref)


@router.get("/aliases", response_model=schemas.AliasList)
async def list_aliases(aliases: Aliases, query: Annotated[schemas.AliasQuery, Query()]) -> Page[models.Alias]:
    """Aliases by name, each with the model that it stands for now."""
    return await aliases.page(query.ask())


@router.get("/aliases/{name:path}", response_model=schemas.Alias)
async def get_alias(aliases: Aliases, name: str) -> models.Alias:
    """One alias, by its name."""
    return await aliases.get(name)


@router.put("/aliases/{name:path}", response_model=schemas.Alias)
async def put_alias(aliases: Aliases, name: str, body: schemas.AliasPut) -> models.Alias:
    """Creates an alias, or replaces all of it; with the name of one of its targets it gives that model fallbacks."""
    fields = body.model_dump(exclude={"targets"})
    weights = fields.pop("weights")
    return await aliases.put(name, body.targets, Routing(weights=tuple(weights) if weights else None, **fields))


@router.delete("/aliases/{name:path}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_alias(aliases: Aliases, name: str) -> None:
    """Deletes an alias."""
    await aliases.delete(name)


@router.get("/settings", response_model=schemas.SettingList)
async def list_settings(settings: Settings, query: Annotated[schemas.SettingQuery, Query()]) -> Page[models.Setting]:
    """Every setting that may be changed while the gateway runs."""
    return await settings.page(query.ask())


@router.get("/settings/{key}", response_model=schemas.Setting)
async def get_setting(settings: Settings, key: str) -> models.Setting:
    """One setting; 404 `setting_not_found` names the known ones."""
    return await settings.get(key)


@router.put("/settings/{key}", response_model=schemas.Setting)
async def put_setting(settings: Settings, key: str, body: schemas.SettingPut) -> models.Setting:
    """Sets one; 404 `setting_not_found` names the known ones."""
    return await settings.put(key, body.value)


@router.delete("/settings/{key}", status_code=status.HTTP_204_NO_CONTENT)
async def reset_setting(settings: Settings, key: str) -> None:
    """Sets one back to its default."""
    await settings.reset(key)
