"""Passwords by argon2id, checked in the same time whether or not there is such an account."""

from __future__ import annotations

import asyncio
import secrets
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from scutum_server.access.models import BadField, TooManyAttemptsError

LEAST, MOST = 12, 256
"""Characters of a password."""
_QUEUE = 16
_HASHER = PasswordHasher(time_cost=1, memory_cost=46 * 1024, parallelism=1)
"""OWASP's first recommendation for argon2id: 46 MiB and one pass, some 50 ms of one core, which the proxy shares."""


def clean(password: str, email: str) -> str:
    """A password fit to be kept; raises BadField for one that is too easy to guess."""
    password = _composed(password)
    if not LEAST <= len(password) <= MOST:
        raise BadField(f"A password has {LEAST} to {MOST} characters.", param="password")
    known = {email.casefold(), email.partition("@")[0].casefold()}
    if password.casefold() in known or len(set(password)) < 5:
        raise BadField("This password is too easy to guess.", param="password", hint="Take four unrelated words.")
    return password


def _composed(password: str) -> str:
    return unicodedata.normalize("NFC", password)


class Passwords:
    """Hashes and checks beside the event loop, two at a time.

    Who has been here before does not wait behind strangers: those have a queue of their own, and one that is full
    turns them away instead of taking the machine's memory (46 MiB a check).
    """

    def __init__(self, hasher: PasswordHasher = _HASHER) -> None:
        self._hasher = hasher
        self._nobody = hasher.hash(secrets.token_urlsafe(32))
        self._strangers, self._known = asyncio.Semaphore(1), asyncio.Semaphore(1)
        self._waiting = 0

    async def hash(self, password: str) -> str:
        async with self._known:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def verify(self, hashed: str | None, password: str, *, known: bool) -> bool:
        """Whether the password is the hash's; without a hash, no, after the same work.

        Raises TooManyAttemptsError when too many strangers are waiting already.
        """
        password = _composed(password)
        if known:
            async with self._known:
                return await asyncio.to_thread(self._check, hashed, password)
        if self._waiting >= _QUEUE:
            raise TooManyAttemptsError(
                "Too many people are logging in at this moment.", retry_after=2, hint="Try again in a few seconds."
            )
        self._waiting += 1
        try:
            async with self._strangers:
                return await asyncio.to_thread(self._check, hashed, password)
        finally:
            self._waiting -= 1

    def outdated(self, hashed: str) -> bool:
        """Whether the hash was made with other parameters than are used now."""
        return self._hasher.check_needs_rehash(hashed)

    def _check(self, hashed: str | None, password: str) -> bool:
        try:
            return self._hasher.verify(hashed or self._nobody, password) and hashed is not None
        except (VerificationError, InvalidHashError):
            return False
