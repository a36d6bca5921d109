"""The file of trusted authorities: one or more Ed25519 public keys in PEM."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from msgspec import Struct

from scutum_server.licensing.models import LicenceRefused

_MAX_FILE: Final = 65_536
_BLOCK: Final = re.compile(rb"-----BEGIN PUBLIC KEY-----.+?-----END PUBLIC KEY-----", re.DOTALL)


class TrustedKey(Struct, frozen=True):
    """An authority's public key; `kid` is what its licences name it by."""

    kid: str
    public: Ed25519PublicKey


def key_id(public: Ed25519PublicKey) -> str:
    """The first 16 hexadecimal digits of the raw key's SHA-256."""
    return hashlib.sha256(public.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]


class Trust:
    """Reads the file again whenever it has changed, so that a new authority needs no restart."""

    def __init__(self, file: Path | None) -> None:
        self.file = file
        self._seen: tuple[int, int, int] | None = None
        self._keys: tuple[TrustedKey, ...] = ()

    def keys(self) -> tuple[TrustedKey, ...]:
        """At least one key; raises LicenceRefused when there is none to be had."""
        if self.file is None:
            raise self._nobody("No file of trusted authorities is set")
        try:
            stat = self.file.stat()
            seen = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            if seen != self._seen:
                self._keys, self._seen = self._read(self.file.read_bytes()), seen
        except FileNotFoundError:
            raise self._nobody(f"There is no file of trusted authorities at {self.file}") from None
        except OSError as error:
            raise self._nobody(
                f"The file of trusted authorities {self.file} cannot be read ({error.strerror})"
            ) from None
        return self._keys

    def _read(self, content: bytes) -> tuple[TrustedKey, ...]:
        if b"PRIVATE KEY" in content:
            raise self._nobody(f"{self.file} holds a private key, which belongs to the issuer alone")
        found = []
        for block in _BLOCK.findall(content[:_MAX_FILE]):
            try:
                public = load_pem_public_key(block)
            except (ValueError, UnsupportedAlgorithm):
                public = None
            if not isinstance(public, Ed25519PublicKey):
                raise self._nobody(f"{self.file} holds a key that is no Ed25519 public key")
            found.append(TrustedKey(key_id(public), public))
        if not found:
            raise self._nobody(f"{self.file} holds no public key")
        return tuple(found)

    def _nobody(self, why: str) -> LicenceRefused:
        return LicenceRefused(
            f"{why}, so no licence can be verified.",
            code="license_no_authority",
            hint="Put the issuer's public key there, or make an own authority: scutum license authority create --trust",
        )


NOBODY: Final = Trust(None)
