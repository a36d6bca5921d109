"""The fields of a key as they come, and as they are kept; each raises BadField for what cannot be."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from scutum_server.identity.models import BadField

MAX_METADATA: Final = 16 * 1024
"""Bytes of JSON: every proxy worker keeps every key in memory."""


def texts(fields: Mapping[str, Any], field: str) -> list[str] | None:
    values = fields.get(field)
    if values is None:
        return None
    if not values or any(not value or not value.isprintable() or value != value.strip() for value in values):
        raise BadField(f"{field} lists at least one name; leave it out to allow everything.", param=field)
    return list(dict.fromkeys(values))


def models(fields: Mapping[str, Any]) -> list[str] | None:
    return texts(fields, "allowed_models")


def routes(fields: Mapping[str, Any]) -> list[str] | None:
    found = texts(fields, "allowed_routes")
    if found is not None and not all(route.startswith("/v1/") for route in found):
        raise BadField("allowed_routes lists paths such as /v1/chat/completions.", param="allowed_routes")
    return found


def networks(fields: Mapping[str, Any]) -> list[str] | None:
    values = texts(fields, "allowed_ips")
    if values is None:
        return None
    try:
        return [str(ipaddress.ip_network(value)) for value in values]
    except ValueError as error:
        raise BadField(f"allowed_ips lists addresses or networks: {error}.", param="allowed_ips") from None


def metadata(fields: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(fields.get("metadata") or {})
    if len(msgspec.json.encode(found)) > MAX_METADATA:
        raise BadField(f"metadata is larger than {MAX_METADATA // 1024} kB.", param="metadata")
    return found


LISTS: Final[Mapping[str, Callable[[Mapping[str, Any]], list[str] | None]]] = {
    "allowed_models": models, "allowed_routes": routes, "allowed_ips": networks,
}  # fmt: skip
