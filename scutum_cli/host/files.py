"""Files that are private from their first byte and never half-written."""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from scutum_cli.errors import CliError

GENERATED = (
    "SCUTUM_API_KEY",
    "JWT_SECRET_KEY",
    "INTERNAL_SERVICE_KEY",
    "SCUTUM_ENCRYPTION_KEY",
    "POSTGRES_PASSWORD",
    "POSTGRES_OWNER_PASSWORD",
    "POSTGRES_ARCHIVER_PASSWORD",
    "POSTGRES_SUPERUSER_PASSWORD",
    "VALKEY_PASSWORD",
)

LATER = frozenset({"POSTGRES_ARCHIVER_PASSWORD"})
"""What an install of an earlier release lacks: nothing there was made with it yet."""


def write_private(path: Path, text: str) -> None:
    """Replaces `path` at once with a file of mode 0600 that had that mode before it had content."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def append_to(path: Path) -> IO[bytes]:
    """Opens a log for appending; never through a link, which a service's user might have put there for root."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600), "ab")


def private_directory(path: Path) -> None:
    """A directory that only its owner enters."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.stat().st_mode & 0o077:
        path.chmod(0o700)


def read_env(path: Path) -> dict[str, str]:
    """KEY=value lines; values may be in single or double quotes; # starts a comment line."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise CliError(f"{path} cannot be read: {error.strerror}.", code="bad_env_file") from None
    values: dict[str, str] = {}
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.removeprefix("export ").partition("=")
        if not equals or not name.strip().isidentifier():
            raise CliError(f"{path} line {number} is not NAME=value.", code="bad_env_file", hint=f"edit {path}")
        value = value.strip()
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        values[name.strip()] = value
    return values


def new_secrets(version: str) -> dict[str, str]:
    """Everything that config/.env starts with; each secret has at least 192 random bits."""
    return {
        "SCUTUM_VERSION": version,
        "SCUTUM_API_KEY": f"sk-master-{secrets.token_urlsafe(32)}",
        "JWT_SECRET_KEY": secrets.token_urlsafe(48),
        "INTERNAL_SERVICE_KEY": secrets.token_urlsafe(32),
        "SCUTUM_ENCRYPTION_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
        "POSTGRES_USER": "scutum_app",
        "POSTGRES_PASSWORD": secrets.token_urlsafe(24),
        "POSTGRES_DB": "scutum",
        "POSTGRES_OWNER_PASSWORD": secrets.token_urlsafe(24),
        "POSTGRES_ARCHIVER_PASSWORD": secrets.token_urlsafe(24),
        "POSTGRES_SUPERUSER_PASSWORD": secrets.token_urlsafe(24),
        "VALKEY_PASSWORD": secrets.token_urlsafe(24),
    }


def env_text(values: Mapping[str, str]) -> str:
    head = "# Secrets of this install. Keep a copy: provider keys cannot be read without SCUTUM_ENCRYPTION_KEY.\n"
    return head + "".join(f"{name}={value}\n" for name, value in values.items())


def set_env_value(path: Path, name: str, value: str) -> bool:
    """Changes one line of an env file and keeps all others as they are; whether anything changed."""
    lines = path.read_text(encoding="utf-8").splitlines()
    wanted = f"{name}={value}"
    if wanted in lines:
        return False
    at = next((index for index, line in enumerate(lines) if line.startswith(f"{name}=")), None)
    if at is None:
        lines.append(wanted)
    else:
        lines[at] = wanted
    write_private(path, "\n".join(lines) + "\n")
    return True
