"""What the keeper of the audit trail needs: settings.py reads it for the worker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from scutum_server.object_settings import S3Settings, s3_settings

EVERY_SECONDS = 600


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """`keys`: the directory of the signing key, None where checkpoints are not made; `ship`: URLs of object stores."""

    keys: Path | None = None
    every_seconds: int = EVERY_SECONDS
    ship: tuple[str, ...] = ()
    s3: S3Settings = field(default_factory=S3Settings)


def audit_settings(
    optional: Callable[[str], str | None], integer: Callable[[str, int, int, int], int]
) -> AuditSettings:
    """From the environment, which these read by name; raises SettingsError."""
    keys = optional("SCUTUM_AUDIT_KEYS")
    ship = (part.strip() for part in (optional("SCUTUM_AUDIT_SHIP") or "").split(","))
    return AuditSettings(
        keys=None if keys is None else Path(keys),
        every_seconds=integer("SCUTUM_AUDIT_CHECKPOINT_SECONDS", EVERY_SECONDS, 1, 86_400),
        ship=tuple(part for part in ship if part),
        s3=s3_settings(optional),
    )
