"""Ids that providers give to what they keep (files, batches, responses), as clients of the gateway see them.

A client gets the provider's id wrapped: with the deployment that has the object, the team that made it, and a keyed
checksum over all of it. So the gateway finds the way back without a table, and nobody reaches another team's objects,
even where teams share a provider account. An id that was made up, changed, or given to another team is simply unknown.

The text is the provider's own prefix (`file-`, `batch_`, `resp_`; `id_` where it has none), then base64url of
checksum (16 bytes), a byte that says whether the prefix is the provider's, deployment, team, and the rest of the id.
Ids of our own making take 11 bytes, so the wrapped form of a 30-character id has about 90 characters.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from hashlib import blake2b
from typing import Final

from msgspec import Struct

from scutum_server.errors import NotFound
from scutum_server.infra.ids import CROCKFORD

_MAX: Final = 4096
_SUM: Final = 16
_PREFIX: Final = re.compile(r"[a-z]{1,16}[-_]")
_NO_PREFIX: Final = "id_"
_DIGITS: Final = {character: value for value, character in enumerate(CROCKFORD)}
_OURS: Final = re.compile(f"[{CROCKFORD}]{{16}}")
_PACKED: Final = 10


class UpstreamId(Struct, frozen=True):
    """What a wrapped id says: the provider's own id, and where it is valid."""

    upstream_id: str
    deployment_id: str
    team_id: str


class UpstreamIds:
    """Wraps and unwraps with a key derived from `secret`; with another secret, every id given out is unknown."""

    def __init__(self, secret: bytes) -> None:
        self._key = blake2b(b"upstream ids", key=secret, digest_size=32).digest()

    def wrap(self, upstream_id: str, deployment_id: str, team_id: str) -> str:
        """The same text for the same three, always; only URL-safe characters."""
        found = _PREFIX.match(upstream_id)
        prefix, rest = (found[0], upstream_id[found.end() :]) if found else (_NO_PREFIX, upstream_id)
        told = bytes([found is not None]) + _pack("dep_", deployment_id) + _pack("team_", team_id) + rest.encode()
        return prefix + _text(self._sum(prefix, told) + told)

    def unwrap(self, wrapped: str, team_id: str) -> UpstreamId:
        """Raises NotFound, in one wording, for everything that this gateway did not give to this team."""
        found = self._read(wrapped)
        if found is None or found.team_id != team_id:
            raise unknown(wrapped)
        return found

    def _read(self, wrapped: str) -> UpstreamId | None:
        found = _PREFIX.match(wrapped)
        if found is None or len(wrapped) > _MAX or not wrapped.isascii():
            return None
        prefix, text = found[0], wrapped[found.end() :]
        try:
            data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except binascii.Error:
            return None
        given, told = data[:_SUM], data[_SUM:]
        # Base64 has several spellings of the same bytes: only one of them is the id.
        if not hmac.compare_digest(given, self._sum(prefix, told)) or _text(data) != text:
            return None
        deployment_id, left = _unpack("dep_", told[1:])
        team_id, left = _unpack("team_", left)
        return UpstreamId((prefix if told[0] else "") + left.decode(), deployment_id, team_id)

    def _sum(self, prefix: str, told: bytes) -> bytes:
        return hmac.digest(self._key, prefix.encode() + told, "sha256")[:_SUM]


def unknown(wrapped: str) -> NotFound:
    """What a client is told of an id that is not its own, whatever the reason."""
    return NotFound(f"There is no object with the id `{wrapped[:200]}`.", param="id")


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _pack(kind: str, object_id: str) -> bytes:
    """An id of `infra.ids.new_id` as a zero and its 80 bits; any other as its length and itself."""
    name = object_id.removeprefix(kind)
    if object_id.startswith(kind) and _OURS.fullmatch(name):
        value = 0
        for character in name:
            value = value << 5 | _DIGITS[character]
        return b"\0" + value.to_bytes(_PACKED)
    data = object_id.encode()
    if not 0 < len(data) < 256:
        raise ValueError("an id has 1 to 255 bytes")
    return bytes([len(data)]) + data


def _unpack(kind: str, data: bytes) -> tuple[str, bytes]:
    """The id at the front of `data`, and what follows it."""
    if data[0]:
        end = 1 + data[0]
        return data[1:end].decode(), data[end:]
    end = 1 + _PACKED
    value = int.from_bytes(data[1:end])
    return kind + "".join(CROCKFORD[value >> shift & 31] for shift in range(75, -1, -5)), data[end:]
