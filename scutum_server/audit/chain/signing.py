"""The keys that sign checkpoints: one private, 0600 in a directory of the deploy root, and the public ones trusted."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Struct

from scutum_server.audit.chain.models import Checkpoint
from scutum_server.errors import InvalidInput, ScutumError

SIGNING: Final = "signing.pem"
_RETIRED = re.compile(r"^Retired: (\S+)$", re.MULTILINE)


class KeyUnreadable(ScutumError):
    """The key's file is there and cannot be used: a new one in its place would hide that."""

    code = "audit_key_unreadable"


class PublicKey(Struct, frozen=True, kw_only=True):
    """A key whose checkpoints are trusted: all of them, or those from before `retired_at`."""

    id: str
    pem: str
    retired_at: str | None = None


class Trust:
    """Checks checkpoints against public keys."""

    def __init__(self, keys: list[PublicKey]) -> None:
        self.keys = keys
        self._known = {key.id: (load_public(key.pem), key.retired_at) for key in keys}

    def fault(self, checkpoint: Checkpoint) -> str | None:
        """Why this checkpoint proves nothing, or None when it is good."""
        known = self._known.get(checkpoint.key_id)
        if known is None:
            return f"is signed by the key {checkpoint.key_id}, which is not trusted"
        key, retired_at = known
        try:
            key.verify(bytes.fromhex(checkpoint.signature), checkpoint.message())
        except (InvalidSignature, ValueError):
            return "has a signature that does not fit: it was forged or changed"
        if retired_at is not None and checkpoint.signed_at > retired_at:
            return f"is signed by the key {checkpoint.key_id} after that was retired"
        return None


class Keyring:
    """A directory with `signing.pem`, and a `.pub` for every public key that is trusted."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def open(self) -> Ed25519PrivateKey:
        """The signing key, made now if there is none. Raises KeyUnreadable."""
        path = self._directory / SIGNING
        try:
            if not path.exists():
                self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                _write(path, _private_pem(Ed25519PrivateKey.generate()), 0o600)
            key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise KeyUnreadable(f"{path} cannot be read as a key: {error}.", hint="Put it back from a copy.") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise KeyUnreadable(f"{path} is no Ed25519 key.", hint="Put it back from a copy.")
        public = public_pem(key)
        self._publish(PublicKey(id=key_id(public), pem=public))
        return key

    def rotate(self) -> PublicKey:
        """Takes a new signing key; the former one stays trusted for what it has signed. Returns the new one."""
        former = public_pem(self.open())
        now = moment(dt.datetime.now(dt.UTC))
        successor = Ed25519PrivateKey.generate()
        public = public_pem(successor)
        fresh = PublicKey(id=key_id(public), pem=public)
        self._publish(fresh)
        _write(self._directory / SIGNING, _private_pem(successor), 0o600)
        _write(self._public(key_id(former)), f"Retired: {now}\n{former}", 0o644)
        return fresh

    def trust(self) -> Trust:
        """Every public key in the directory; a file that is none is left out."""
        keys = []
        for path in sorted(self._directory.glob("*.pub")):
            with suppress(OSError, ValueError, InvalidInput):
                keys.append(parse_public(path.read_text(encoding="ascii")))
        return Trust(keys)

    def _publish(self, key: PublicKey) -> None:
        path = self._public(key.id)
        if not path.exists():
            _write(path, key.pem, 0o644)

    def _public(self, name: str) -> Path:
        return self._directory / f"{name}.pub"


def sign(key: Ed25519PrivateKey, checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint with its signature."""
    return msgspec.structs.replace(checkpoint, signature=key.sign(checkpoint.message()).hex())


def parse_public(text: str) -> PublicKey:
    """A public key in PEM, perhaps under a line that says when it was retired. Raises InvalidInput."""
    retired = _RETIRED.search(text)
    begin = text.find("-----BEGIN")
    pem = _pem(load_public(text[max(begin, 0) :]))
    return PublicKey(id=key_id(pem), pem=pem, retired_at=None if retired is None else retired[1])


def load_public(pem: str) -> Ed25519PublicKey:
    """Raises InvalidInput."""
    try:
        key = serialization.load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise InvalidInput("This is no Ed25519 public key in PEM.", code="invalid_key", param="keys")
    return key


def key_id(pem: str) -> str:
    """16 hexadecimal digits of the raw key's SHA-256."""
    raw = load_public(pem).public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return hashlib.sha256(raw).hexdigest()[:16]


def public_pem(key: Ed25519PrivateKey) -> str:
    return _pem(key.public_key())


def moment(at: dt.datetime) -> str:
    """RFC 3339 in UTC with microseconds, as in the chain: such texts sort by time."""
    return f"{at.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%S.%f}Z"


def _pem(key: Ed25519PublicKey) -> str:
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def _private_pem(key: Ed25519PrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _write(path: Path, text: str, mode: int) -> None:
    """Replaces `path` at once by a file that had its mode before it had content."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)
