"""What providers keep for a team: ids in both directions, and lists.

Teams share a provider account, and accounts know nothing of teams. So every object made here bears a mark: a file in
its name, a batch in its metadata. Lists show what has the team's mark; clients never see the marks.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any, Final
from urllib.parse import parse_qs, quote, urlencode

import msgspec

from scutum_server.errors import InvalidInput, UpstreamError
from scutum_server.proxy.attempts import watched
from scutum_server.proxy.call import Call
from scutum_server.proxy.config.snapshot import Deployment
from scutum_server.proxy.ids.objects import find, reachable
from scutum_server.proxy.ids.wrapped import unknown
from scutum_server.proxy.passthrough.answers import MAX_OBJECT_BYTES, check
from scutum_server.proxy.pipeline import route
from scutum_server.upstream.catalog import UNKNOWN, Cost
from scutum_server.wire.errors import ProviderError

Document = dict[str, Any]

JSON: Final = b"application/json"
MOST_PAGES: Final = 50
"""Of one account, for one list: beyond that a list ends early."""


def place(call: Call, wire: str, wrapped: str) -> tuple[Deployment, str]:
    """The deployment that has an object, and the object's path there; raises NotFound, Forbidden, InvalidInput."""
    deployment, upstream_id = find(call, wrapped)
    call.deployment, call.requested_model = deployment, deployment.name
    return deployment, f"{path_at(deployment, wire)}/{quote(upstream_id, safe='')}"


async def admitted(call: Call, wire: str) -> tuple[Deployment, str]:
    """As `place`, for the object that the request is about and within the limits."""
    found = place(call, wire, object_id(call))
    await call.gateway.admission.admit(call, found[0])
    return found


def path_at(deployment: Deployment, wire: str) -> str:
    """Where the provider has what clients know as `/v1/` and `wire`; raises InvalidInput when it has no such thing."""
    path = deployment.provider.lane.traits.paths.get(wire)
    if path is None:
        raise InvalidInput(
            f"The model `{deployment.name[:100]}` is at a provider that has no /v1/{wire}.",
            code="unsupported_by_provider",
            param="model",
        )
    return path


def accounts(call: Call, wire: str) -> list[Deployment]:
    """One deployment, the oldest, of each provider that the key may use and that has `wire`; or the one asked for."""
    named = header(call, b"x-scutum-model")
    if named:
        call.requested_model = named
        return [each for each in route(call).candidates if wire in each.provider.lane.traits.paths][:1]
    found: dict[str, Deployment] = {}
    for deployment in sorted(call.snapshot.deployments.values(), key=lambda each: (each.created, each.id)):
        if wire in deployment.provider.lane.traits.paths and reachable(call, deployment):
            found.setdefault(deployment.provider.id, deployment)
    return list(found.values())


async def ask(
    call: Call, deployment: Deployment, method: str, path: str, *, query: str = "", body: bytes = b""
) -> Document:
    """One request to the provider and its answer, a JSON object; raises UpstreamError, or ProviderError."""
    call.provider_sent = call.provider_sent or perf_counter()
    call.provider_done = 0.0
    try:
        with watched(call, deployment):
            lane = deployment.provider.lane
            reply = await lane.ask(method, path, query=query, body=body, fields=call.trace_fields)
            try:
                await check(deployment, reply)
                document = msgspec.json.decode(await reply.body(MAX_OBJECT_BYTES))
            finally:
                reply.close()
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        document = None
    finally:
        call.provider_done = perf_counter()
    if not isinstance(document, dict):
        raise UpstreamError(
            f"The provider {deployment.provider.name} answered with something that is not {call.endpoint.noun}.",
            code="upstream_bad_answer",
        )
    return document


async def ask_about(
    call: Call, deployment: Deployment, method: str, path: str, wrapped: str | None = None, *, query: str = ""
) -> Document:
    """As `ask`, for one object: the provider's own 404 would name an id that the client has never seen."""
    wrapped = wrapped or object_id(call)
    try:
        return await ask(call, deployment, method, path, query=query, body=b"")
    except ProviderError as error:
        raise unknown(wrapped) if error.status == 404 else error from None


def respond(call: Call, document: Document) -> None:
    """Answers with an object. What it cost, if anything, is told where it was used."""
    call.priced = call.priced or Cost(0, UNKNOWN)
    call.account(200)
    call.exchange.respond(200, call.head(JSON), msgspec.json.encode(document))


Shown = Callable[[Deployment, Document], Document | None]


async def listing(call: Call, wire: str, shown: Shown, *, most: int, page: int, passed: tuple[str, ...]) -> Document:
    """A page of the team's objects; `shown` makes one of the provider's entries presentable, or leaves it out.

    `passed` are the query parameters that go on. Providers come one after the other; `after` says where to go on.
    """
    given = {
        name: values[0] for name, values in parse_qs(call.exchange.scope["query_string"].decode("latin-1")).items()
    }
    limit = _limit(given.get("limit"), most)
    places, after = accounts(call, wire), ""
    if places:
        await call.gateway.admission.admit(call, places[0])
    if given.get("after"):
        start, after = find(call, given["after"])
        ids = [place.provider.id for place in places]
        places = places[ids.index(start.provider.id) :] if start.provider.id in ids else []
    found: list[Document] = []
    for place in places:
        call.deployment, call.requested_model = place, place.name
        query = {name: given[name] for name in passed if name in given} | {"limit": str(page)}
        async for entry in _entries(call, place, wire, query, after, alone=len(places) == 1):
            document = shown(place, entry)
            if document is not None:
                if len(found) == limit:
                    return _page(found, more=True)
                found.append(document)
        after = ""
    return _page(found, more=False)


async def _entries(call: Call, place: Deployment, wire: str, query: dict[str, str], after: str, *, alone: bool) -> Any:
    path = place.provider.lane.traits.paths[wire]
    for _ in range(MOST_PAGES):
        asked = urlencode(query | ({"after": after} if after else {}))
        try:
            page = await ask(call, place, "GET", path, query=asked)
        except ProviderError as error:
            # A provider without such a route must not hide what the others have.
            if alone or error.status not in {404, 405, 501}:
                raise
            return
        entries = [entry for entry in page.get("data") or () if isinstance(entry, dict)]
        for entry in entries:
            yield entry
        last = entries[-1].get("id") if entries else None
        if not page.get("has_more") or not isinstance(last, str):
            return
        after = last


def _limit(text: str | None, most: int) -> int:
    if text is None:
        return most
    if not text.isascii() or not text.isdigit() or len(text) > 9 or not 1 <= int(text) <= 10_000:
        raise InvalidInput("The parameter `limit` must be a whole number from 1 to 10000.", param="limit")
    return min(int(text), most)


def _page(found: list[Document], *, more: bool) -> Document:
    ids = [document.get("id") for document in found]
    return {
        "object": "list", "data": found, "has_more": more,
        "first_id": ids[0] if ids else None, "last_id": ids[-1] if ids else None,
    }  # fmt: skip


def header(call: Call, name: bytes) -> str:
    """The value of a header of the request; empty when it is absent."""
    return next((value.decode("latin-1") for key, value in call.exchange.scope["headers"] if key == name), "")


def object_id(call: Call) -> str:
    """The id in the path of the request."""
    return call.exchange.scope["raw_path"].decode("latin-1").split("/")[3]
