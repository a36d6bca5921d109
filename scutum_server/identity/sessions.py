"""Logging in with the master key, and the short-lived tokens (HS256) that it is exchanged for."""

from __future__ import annotations

import hashlib
import hmac
import math
from collections import OrderedDict, deque
from collections.abc import Callable

import jwt
import msgspec

from scutum_server.identity.models import (
    Actor,
    InvalidCredentials,
    InvalidToken,
    Principal,
    Role,
    Token,
    TooManyAttemptsError,
)
from scutum_server.infra.ids import new_id

TTL = 900
"""Seconds that a token opens for."""
_ISSUER = "scutum-admin"
_ALGORITHM = "HS256"
_CLAIMS = ["sub", "kind", "role", "iat", "exp", "jti", "iss"]
MASTER = Principal(Actor("master", "admin"), "owner")
"""Whoever has the master key owns the whole install."""


class _Claims(msgspec.Struct, frozen=True):
    sub: str
    kind: str
    role: Role
    exp: int
    org: str | None = None


class Throttle:
    """At most `attempts` failures per address in a sliding window of `window` seconds; in this process's memory."""

    def __init__(self, clock: Callable[[], float], *, attempts: int = 5, window: float = 60.0) -> None:
        self._clock = clock
        self._attempts = attempts
        self._window = window
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def check(self, address: str) -> None:
        """Raises TooManyAttemptsError with the whole seconds until the next attempt is heard."""
        failures = self._failures.get(address)
        if failures is None:
            return
        now = self._clock()
        while failures and failures[0] <= now - self._window:
            failures.popleft()
        if len(failures) >= self._attempts:
            wait = max(1, math.ceil(failures[0] + self._window - now))
            raise TooManyAttemptsError(
                "Too many wrong master keys from this address.",
                retry_after=wait,
                hint=f"The right key opens at once; another is heard in {wait} s.",
            )

    def failed(self, address: str) -> None:
        """Counts a failure; of more than 10 000 addresses the longest silent one is forgotten."""
        self._failures.setdefault(address, deque(maxlen=self._attempts)).append(self._clock())
        self._failures.move_to_end(address)
        if len(self._failures) > 10_000:
            self._failures.popitem(last=False)


class Sessions:
    """`clock` gives Unix seconds."""

    def __init__(self, master_key: str, jwt_secret: str, throttle: Throttle, clock: Callable[[], float]) -> None:
        self._master = hashlib.sha256(master_key.encode()).digest()
        self._secret = jwt_secret
        self._throttle = throttle
        self._clock = clock

    def login(self, master_key: str, address: str) -> Token:
        """Raises InvalidCredentials, or TooManyAttemptsError once an address has failed too often.

        The right key always opens: behind a proxy, and on the loopback, one address is everybody's.
        """
        if not hmac.compare_digest(hashlib.sha256(master_key.encode()).digest(), self._master):
            self._throttle.check(address)
            self._throttle.failed(address)
            raise InvalidCredentials(
                "This is not the master key.", hint="It is SCUTUM_API_KEY in config/.env of the deploy root."
            )
        return self.issue(MASTER)

    def issue(self, holder: Principal) -> Token:
        now = int(self._clock())
        claims = {
            "sub": holder.actor.id, "kind": holder.actor.kind, "role": holder.role, "org": holder.org_id,
            "iat": now, "exp": now + TTL, "jti": new_id("tok"), "iss": _ISSUER,
        }  # fmt: skip
        return Token(jwt.encode(claims, self._secret, algorithm=_ALGORITHM), TTL)

    def verify(self, token: str) -> Principal:
        """The holder of a token; raises InvalidToken without telling what is wrong with it."""
        try:
            claims = jwt.decode(
                token,
                self._secret,
                algorithms=[_ALGORITHM],
                issuer=_ISSUER,
                # Time is judged below, by the clock that tokens are issued with.
                options={"require": _CLAIMS, "verify_exp": False, "verify_iat": False},
            )
        except jwt.PyJWTError:
            claims = {}
        try:
            known = msgspec.convert(claims, _Claims)
        except msgspec.ValidationError:
            known = _Claims(sub="", kind="", role="viewer", exp=0)
        if self._clock() >= known.exp:
            raise InvalidToken("This session is not valid, or it has ended.", hint="Log in again: scutum login")
        return Principal(Actor(known.sub, known.kind), known.role, known.org)
