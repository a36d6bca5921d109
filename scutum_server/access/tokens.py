"""The signed tokens: access to the control plane for minutes, and the mark of a device that has logged in before."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Any, TypeVar

import jwt
import msgspec

from scutum_server.access.models import InvalidToken
from scutum_server.infra.ids import new_id
from scutum_server.key_rotation import Rotating

TTL = 900
"""Seconds that an access token opens for."""
DEVICE_TTL = 90 * 86400
_ISSUER = "scutum-admin"
_ALGORITHM = "HS256"
_LONGEST = 4096
"""Characters; a longer token is none of ours and is not even read."""

Clock = Callable[[], float]
Claims = TypeVar("Claims", bound="_Claims")


class _Claims(msgspec.Struct, frozen=True):
    iat: int
    exp: int
    jti: str


class Access(_Claims, frozen=True):
    """`sid` is the session, which the database knows more of."""

    sub: str
    kind: str
    sid: str


class Device(_Claims, frozen=True):
    """`sub` is the user who has logged in from the device `jti`."""

    sub: str


class Signer:
    """Signs with the present key and accepts a former one until its grace ends; `clock` gives Unix seconds."""

    def __init__(self, keys: Rotating, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock

    def access(self, session_id: str, actor_id: str, kind: str, seconds: int) -> str:
        return self._sign("access", seconds, sub=actor_id, kind=kind, sid=session_id)

    def device(self, user_id: str) -> str:
        return self._sign("device", DEVICE_TTL, sub=user_id)

    def read_access(self, token: str) -> Access:
        """Raises InvalidToken without telling what is wrong with it."""
        found = self._read(token, "access", Access)
        if found is None:
            raise InvalidToken("This session is not valid, or it has ended.", hint="Log in again: scutum login")
        return found

    def read_device(self, token: str | None, user_id: str | None) -> str | None:
        """The device's id if the token is one of this user's, else None."""
        found = self._read(token, "device", Device) if token else None
        return found.jti if found is not None and found.sub == user_id else None

    def _sign(self, audience: str, seconds: int, **claims: str) -> str:
        now = int(self._clock())
        whole = {**claims, "iat": now, "exp": now + seconds, "jti": new_id("tok"), "iss": _ISSUER, "aud": audience}
        secret = self._keys.present
        return jwt.encode(whole, secret, algorithm=_ALGORITHM, headers={"kid": _name(secret)})

    def _read(self, token: str, audience: str, kind: type[Claims]) -> Claims | None:
        if len(token) > _LONGEST:
            return None
        try:
            header: dict[str, Any] = jwt.get_unverified_header(token)
            named = [secret for secret in self._keys.accepted(self._clock()) if _name(secret) == header.get("kid")]
            if not named:
                return None
            claims = jwt.decode(
                token,
                named[0],
                algorithms=[_ALGORITHM],
                issuer=_ISSUER,
                audience=audience,
                # Time is judged below, by the clock that tokens are issued with.
                options={"require": ["iss", "aud", "exp", "iat", "jti"], "verify_exp": False, "verify_iat": False},
            )
            found = msgspec.convert(claims, kind)
        except (jwt.PyJWTError, msgspec.ValidationError, RecursionError):
            return None
        return found if self._clock() < found.exp else None


def _name(secret: str) -> str:
    """What a key is called in a token's header: tells the keys apart, tells nothing of them."""
    return hmac.digest(secret.encode(), b"scutum key id", hashlib.sha256).hex()[:12]
