"""How an S3 API is reached: what settings.py makes of the S3_… variables. Where things are put is a URL of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from scutum_server.errors import SettingsError

ADDRESSING = ("auto", "path", "virtual")


@dataclass(frozen=True, slots=True)
class S3Settings:
    """Without keys the SDK asks where it runs (an instance's or a pod's role)."""

    endpoint: str | None = None
    region: str | None = None
    access_key: str | None = None
    secret_key: str | None = field(default=None, repr=False)
    ca_bundle: str | None = None
    addressing: str = "auto"
    """Whether the bucket is in the path or in the host's name; `auto`: in the path where an endpoint is given."""


def s3_settings(optional: Callable[[str], str | None]) -> S3Settings:
    """From the environment that `optional` reads by name; raises SettingsError."""
    endpoint = optional("S3_ENDPOINT_URL")
    if endpoint is not None:
        parts = urlsplit(endpoint)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.password:
            raise SettingsError(
                "S3_ENDPOINT_URL is not an address such as https://s3.example.com, without user and password.",
                hint="Leave it out for Amazon S3; keys go into S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY.",
            )
    access, secret = optional("S3_ACCESS_KEY_ID"), optional("S3_SECRET_ACCESS_KEY")
    if (access is None) != (secret is None):
        raise SettingsError(
            "S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY are needed together.",
            hint="Set both in config/.env, or neither where the machine has a role.",
        )
    addressing = optional("S3_ADDRESSING") or "auto"
    if addressing not in ADDRESSING:
        raise SettingsError(f"S3_ADDRESSING is one of {', '.join(ADDRESSING)}.")
    return S3Settings(endpoint, optional("S3_REGION"), access, secret, optional("S3_CA_BUNDLE"), addressing)


@dataclass(frozen=True, slots=True)
class ArchiveSettings:
    """`url`: where archives go until the setting `archive.url` says otherwise; `password` is that of the archiver's
    role, which only the worker has.
    """

    url: str | None = None
    password: str | None = field(default=None, repr=False)
    s3: S3Settings = field(default_factory=S3Settings)


def archive_settings(optional: Callable[[str], str | None]) -> ArchiveSettings:
    """From the environment that `optional` reads by name; raises SettingsError."""
    return ArchiveSettings(
        optional("SCUTUM_ARCHIVE_URL"), optional("POSTGRES_ARCHIVER_PASSWORD"), s3_settings(optional)
    )
