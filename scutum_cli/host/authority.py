"""The issuer's side of licences: an Ed25519 key in a directory of its own, and the licences that it signs."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scutum_cli import settings
from scutum_cli.errors import CONFLICT, NOT_FOUND, CliError
from scutum_cli.host import files

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

PRIVATE, PUBLIC, ABOUT = "private.pem", "public.pem", "authority.json"
TIERS = ("trial", "team", "business", "enterprise")
DAY = 86_400


@dataclass(frozen=True, slots=True)
class Authority:
    """`kid` is what licences name the key by."""

    directory: Path
    name: str
    kid: str

    @property
    def private_file(self) -> Path:
        return self.directory / PRIVATE

    @property
    def public_file(self) -> Path:
        return self.directory / PUBLIC

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "key_id": self.kid,
            "directory": str(self.directory),
            "public_key": self.public_file.read_text(encoding="ascii"),
        }


def default_directory() -> Path:
    """Beside the contexts, of this user alone."""
    return settings.path().parent / "license-authority"


def create(directory: Path, name: str) -> Authority:
    """A new key; CliError when there is one already, which is never overwritten."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    if (directory / PRIVATE).exists():
        raise CliError(
            f"There is an authority in {directory} already.",
            exit_code=CONFLICT,
            code="authority_exists",
            hint="issue with that one, or name another place: --authority DIR",
        )
    private = Ed25519PrivateKey.generate()
    public = private.public_key()
    try:
        files.private_directory(directory)
        about = {"name": name, "key_id": key_id(public)}
        files.write_private(directory / ABOUT, json.dumps(about, indent=2, ensure_ascii=False) + "\n")
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        files.write_private(directory / PUBLIC, pem.decode("ascii"))
        # The last one: where it is, the others are.
        raw = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        files.write_private(directory / PRIVATE, raw.decode("ascii"))
    except OSError as error:
        raise CliError(f"{directory} cannot be written: {error.strerror}.", code="unwritable") from None
    return Authority(directory, name, key_id(public))


def load(directory: Path) -> tuple[Authority, Ed25519PrivateKey]:
    """The authority and its private key; CliError when it is not there, not private or no Ed25519 key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    file = directory / PRIVATE
    try:
        mode = file.stat().st_mode & 0o777
        raw = file.read_bytes()
        about = json.loads((directory / ABOUT).read_text(encoding="utf-8"))
        name = str(about["name"])
    except FileNotFoundError:
        raise CliError(
            f"There is no authority in {directory}.",
            exit_code=NOT_FOUND,
            code="no_authority",
            hint="scutum license authority create",
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CliError(f"The authority in {directory} cannot be read ({error}).", code="authority_unreadable") from None
    if mode & 0o077:
        raise CliError(
            f"{file} can be read by others: whoever has it can issue licences.",
            code="authority_exposed",
            hint=f"chmod 600 {file}, and make a new authority if others may have read it",
        )
    try:
        private = load_pem_private_key(raw, password=None)
    except (ValueError, TypeError):
        private = None
    if not isinstance(private, Ed25519PrivateKey):
        raise CliError(f"{file} holds no Ed25519 private key.", code="authority_unreadable")
    return Authority(directory, name, key_id(private.public_key())), private


def key_id(public: Ed25519PublicKey) -> str:
    """The first 16 hexadecimal digits of the raw key's SHA-256, as the server names it."""
    return hashlib.sha256(public.public_bytes_raw()).hexdigest()[:16]


def trust(authority: Authority, file: Path) -> bool:
    """Adds the public key to an install's file of trusted authorities; False when it is in it."""
    pem = authority.public_file.read_text(encoding="ascii")
    try:
        present = file.read_text(encoding="ascii") if file.exists() else ""
        if pem.strip() in present:
            return False
        partial = file.with_name(f".{file.name}.{os.getpid()}.partial")
        head = f"# {authority.name} ({authority.kid})\n".encode("ascii", "replace").decode("ascii")
        files.write_private(partial, present + head + pem)
        # The services may run as another user, and it is no secret.
        partial.chmod(0o644)
        partial.rename(file)
    except OSError as error:
        raise CliError(f"{file} cannot be written: {error.strerror}.", code="unwritable") from None
    return True


def sign(directory: Path, claims: Mapping[str, Any], days: int) -> tuple[str, dict[str, Any]]:
    """A licence for `days` from now on with these claims, and everything that it says."""
    authority, private = load(directory)
    now = int(time.time())
    content = {
        "iss": authority.name,
        "jti": f"lic-{secrets.token_hex(8)}",
        **claims,
        "iat": now,
        "exp": now + days * DAY,
    }
    header = {"alg": "EdDSA", "typ": "JWT", "kid": authority.kid}
    message = f"{_part(header)}.{_part(content)}"
    return f"{message}.{_encoded(private.sign(message.encode()))}", content


def identifier(company: str) -> str:
    """A name for the customer that is plain enough to be an id."""
    return re.sub(r"[^a-z0-9]+", "-", company.lower()).strip("-") or "customer"


def _part(content: Mapping[str, Any]) -> str:
    return _encoded(json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode())


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
