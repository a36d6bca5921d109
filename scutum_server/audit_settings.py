"""What the keeper of the audit trail needs: settings.py reads it for the worker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

EVERY_SECONDS = 600


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """`keys`: the directory of the signing key, None where checkpoints are not made; `ship`: the object stores that
    take them, the archives' one when none is named.
    """

    keys: Path | None = None
    every_seconds: int = EVERY_SECONDS
    ship: tuple[str, ...] = ()


def audit_settings(
    optional: Callable[[str], str | None], integer: Callable[[str, int, int, int], int]
) -> AuditSettings:
    """From the environment, which these read by name; raises SettingsError."""
    keys = optional("SCUTUM_AUDIT_KEYS")
    return AuditSettings(
        keys=None if keys is None else Path(keys),
        every_seconds=integer("SCUTUM_AUDIT_CHECKPOINT_SECONDS", EVERY_SECONDS, 1, 86_400),
        ship=_urls(optional("SCUTUM_AUDIT_SHIP")),
    )


def _urls(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())
