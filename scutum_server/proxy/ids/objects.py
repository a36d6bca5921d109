"""Ids of what providers keep for a team, from the client's form to the provider's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import msgspec

from scutum_server.errors import Forbidden, InvalidInput
from scutum_server.proxy.ids.wrapped import unknown
from scutum_server.wire.body import ANYTHING, decode

if TYPE_CHECKING:
    from scutum_server.proxy.call import Call
    from scutum_server.proxy.config.snapshot import Deployment

_NO_TEAM: Final = "-"
_ESCAPED: Final = re.compile(rb"\\u00(?:5[fF]|6[4569cC])")
"""An escape that could spell a letter of `file_id`."""
_OPAQUE: Final = frozenset({"metadata", "parameters", "schema", "input_schema"})
"""Fields with the client's own data, or a description of such: an id there is none of ours."""


def team_of(call: Call) -> str:
    return call.team.id if call.team is not None else _NO_TEAM


def wrap(call: Call, deployment_id: str, upstream_id: str) -> str:
    return call.gateway.ids.wrap(upstream_id, deployment_id, team_of(call))


def find(call: Call, wrapped: str) -> tuple[Deployment, str]:
    """The deployment that has an object, and the provider's id of it; raises NotFound, Forbidden."""
    found = call.gateway.ids.unwrap(wrapped, team_of(call))
    deployment = call.snapshot.deployments.get(found.deployment_id)
    if deployment is None:
        raise unknown(wrapped)
    if not reachable(call, deployment):
        raise Forbidden(f"This API key may not use the model `{deployment.name}`.", code="model_not_allowed")
    return deployment, found.upstream_id


def reachable(call: Call, deployment: Deployment) -> bool:
    """Whether the key may use it, under its own name or that of an alias."""
    allowed, plans = call.key.allowed_models, call.snapshot.plans
    if allowed is None or deployment.name in allowed:
        return True
    return any(each is deployment for name in allowed if name in plans for each in plans[name].candidates)


def with_upstream_ids(call: Call, body: bytes, deployment: Deployment) -> bytes:
    """`body` with the provider's own ids of files; raises NotFound, InvalidInput when they are at another provider."""
    # Looking for one byte takes a twentieth of the time: most bodies are done with that.
    plain = b"_" in body and b"file_id" in body
    if not plain and not (b"\\" in body and _ESCAPED.search(body)):
        return body
    document = decode(body, ANYTHING)
    places = list(_ids_in(document))
    for where, key in places:
        there, upstream_id = find(call, where[key])
        if there.provider.id != deployment.provider.id:
            raise InvalidInput(
                f"The file `{where[key][:200]}` is at another provider than the model `{deployment.name[:100]}`: "
                "upload it with this model.",
                code="file_at_another_provider",
                param="file_id",
            )
        where[key] = upstream_id
    return msgspec.json.encode(document) if places else body


def _ids_in(document: dict[str, Any]) -> Iterator[tuple[Any, Any]]:
    """(container, key) of every file's id."""
    left: list[Any] = [document]
    while left:
        value = left.pop()
        if isinstance(value, list):
            left += value
        elif isinstance(value, dict):
            for key, inner in value.items():
                if key == "file_id" and isinstance(inner, str):
                    yield value, key
                elif key == "file_ids" and isinstance(inner, list):
                    yield from ((inner, at) for at, each in enumerate(inner) if isinstance(each, str))
                elif key not in _OPAQUE:
                    left.append(inner)
