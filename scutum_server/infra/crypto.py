"""Hashing of keys and envelope encryption of secrets at rest (AES-256-GCM)."""

from __future__ import annotations

import base64
import hashlib
import os
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from scutum_server.errors import ScutumError

_VERSION = b"\x01"
_NONCE = 12
_WRAPPED_KEY = _NONCE + 32 + 16


class DecryptError(ScutumError):
    """A stored secret cannot be read with the key in use."""

    code = "secret_unreadable"
    status = 500


def new_key(prefix: str = "sk-scutum-") -> str:
    """A client key: the prefix and 43 URL-safe characters (256 random bits)."""
    return prefix + secrets.token_urlsafe(32)


def key_hash(key: str | bytes) -> bytes:
    """The SHA-256 digest (32 bytes) under which a client key is stored."""
    return hashlib.sha256(key.encode() if isinstance(key, str) else key).digest()


class SecretBox:
    """Wraps secrets with a data key each; the data keys are wrapped with the 32-byte key-encryption key.

    `context` (the owner's id) is authenticated, so that one row's secret cannot be moved to another row.
    """

    def __init__(self, key_encryption_key: bytes) -> None:
        self._kek = AESGCM(key_encryption_key)

    def wrap(self, secret: str, context: str) -> bytes:
        data_key, aad = AESGCM.generate_key(256), context.encode()
        key_nonce, nonce = os.urandom(_NONCE), os.urandom(_NONCE)
        wrapped_key = key_nonce + self._kek.encrypt(key_nonce, data_key, aad)
        return _VERSION + wrapped_key + nonce + AESGCM(data_key).encrypt(nonce, secret.encode(), aad)

    def wrap_text(self, secret: str, context: str) -> str:
        """For JSON: as `wrap`, in base64."""
        return base64.b64encode(self.wrap(secret, context)).decode("ascii")

    def unwrap_text(self, wrapped: str, context: str) -> str:
        """Raises DecryptError."""
        try:
            return self.unwrap(base64.b64decode(wrapped, validate=True), context)
        except ValueError:
            raise DecryptError(f"The secret of {context} is damaged.", hint="Set it again.") from None

    def unwrap(self, wrapped: bytes, context: str) -> str:
        """Raises DecryptError when the key-encryption key, the context or the bytes are not the right ones."""
        aad, body = context.encode(), wrapped[1:]
        if wrapped[:1] != _VERSION or len(body) < _WRAPPED_KEY + _NONCE + 16:
            raise DecryptError(f"The secret of {context} is damaged.", hint="Set it again, or restore a backup.")
        try:
            data_key = self._kek.decrypt(body[:_NONCE], body[_NONCE:_WRAPPED_KEY], aad)
            rest = body[_WRAPPED_KEY:]
            return AESGCM(data_key).decrypt(rest[:_NONCE], rest[_NONCE:], aad).decode()
        except InvalidTag:
            raise DecryptError(
                f"The secret of {context} was written with another encryption key.",
                hint="Put the former SCUTUM_ENCRYPTION_KEY back into config/.env, or set the secret again.",
            ) from None
