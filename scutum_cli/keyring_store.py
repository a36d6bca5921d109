"""Sessions in the operating system's keyring, where there is one: the package `keyring` is optional."""

from __future__ import annotations

import os
from typing import Any

from scutum_cli.errors import CliError

_SERVICE = "scutum"


def find() -> Any:
    """The keyring's backend, or None: no package, no usable backend, or SCUTUM_KEYRING=off."""
    if os.environ.get("SCUTUM_KEYRING", "").lower() in {"off", "0", "no"}:
        return None
    try:
        import keyring
    except ImportError:
        return None
    try:
        backend = keyring.get_keyring()
        # Below 1 are the backends that keep nothing, and those that keep it in plain text.
        return backend if backend.priority >= 1 else None
    except Exception:  # noqa: BLE001 -- whatever a backend of the system raises, there is none to use
        return None


def read(name: str) -> str | None:
    """What is kept for a context; CliError when the keyring that had it is gone or stays locked."""
    kept: str | None = _ask(lambda backend: backend.get_password(_SERVICE, name))
    return kept


def write(name: str, text: str | None) -> None:
    """Keeps the text for a context; None takes it away."""
    if text is not None:
        _ask(lambda backend: backend.set_password(_SERVICE, name, text))
    elif read(name) is not None:
        _ask(lambda backend: backend.delete_password(_SERVICE, name))


def _ask(do: Any) -> Any:
    backend = find()
    if backend is None:
        raise CliError(
            "The session is in the system's keyring, which cannot be used now.",
            code="keyring_unavailable",
            hint="unlock it, or log in again without it: scutum login --no-keyring",
        )
    try:
        return do(backend)
    except Exception as error:  # noqa: BLE001 -- backends raise what their systems raise
        raise CliError(
            f"The system's keyring refuses: {error}.",
            code="keyring_unavailable",
            hint="unlock it, or log in again without it: scutum login --no-keyring",
        ) from None
