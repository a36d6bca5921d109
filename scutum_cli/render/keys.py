"""Client keys. Never the secret itself: the API does not give it after creation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scutum_cli.render.columns import Column
from scutum_cli.render.text import NOTHING, Face, age, listed, when

if TYPE_CHECKING:
    from scutum_cli.client.types import Key


def _expires(key: Key, face: Face) -> str:
    return "never" if key["expires_at"] is None else age(key["expires_at"], face)


def _expires_at(key: Key, face: Face) -> str:
    return "never" if key["expires_at"] is None else when(key["expires_at"], face)


def _metadata(key: Key, face: Face) -> str:
    del face
    return listed([f"{name}={value}" for name, value in key["metadata"].items()])


COLUMNS: list[Column[Key]] = [
    Column("name", "NAME"),
    Column("team", "TEAM"),
    Column("state", "STATE"),
    Column("hint", "KEY", lambda key, _: "…" + key["hint"].rpartition("…")[2]),
    Column("allowed_models", "MODELS", lambda key, _: listed(key["allowed_models"], "all")),
    Column("expires_at", "EXPIRES", _expires),
    Column("created_at", "CREATED", lambda key, face: age(key["created_at"], face)),
    Column("id", "ID", extra=True),
    Column("owner", "OWNER", extra=True),
    Column("allowed_routes", "ROUTES", lambda key, _: listed(key["allowed_routes"], "all"), extra=True),
    Column("allowed_ips", "ADDRESSES", lambda key, _: listed(key["allowed_ips"], "all"), extra=True),
    Column("revoked_at", "REVOKED", lambda key, face: age(key["revoked_at"], face), extra=True),
]

DETAILS: list[Column[Key]] = [
    Column("name", "NAME"),
    Column("id", "ID"),
    Column("team", "TEAM"),
    Column("owner", "OWNER"),
    Column("state", "STATE"),
    Column("hint", "KEY"),
    Column("allowed_models", "MODELS", lambda key, _: listed(key["allowed_models"], "all")),
    Column("allowed_routes", "ROUTES", lambda key, _: listed(key["allowed_routes"], "all")),
    Column("allowed_ips", "ADDRESSES", lambda key, _: listed(key["allowed_ips"], "all")),
    Column("metadata", "METADATA", _metadata),
    Column("created_at", "CREATED", lambda key, face: when(key["created_at"], face)),
    Column("expires_at", "EXPIRES", _expires_at),
    Column("revoked_at", "REVOKED", lambda key, face: when(key["revoked_at"], face)),
    Column(
        "previous_valid_until",
        "FORMER OPENS UNTIL",
        lambda key, face: when(key["previous_valid_until"], face) if key["previous_valid_until"] else NOTHING,
    ),
]
