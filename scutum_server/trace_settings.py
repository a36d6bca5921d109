"""Where traces go: what settings.py makes of OpenTelemetry's own environment variables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from scutum_server.errors import SettingsError

TRACES_PATH = "/v1/traces"


@dataclass(frozen=True, slots=True)
class TraceSettings:
    """A collector that takes OTLP over HTTP. `headers` may hold its key, so that it never shows in a repr."""

    host: str
    port: int
    path: str
    tls: bool
    certificate: Path | None
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    resource: tuple[tuple[str, str], ...]


def target(endpoint: str, headers: str, certificate: str | None, service: str, resource: str) -> TraceSettings:
    """The collector behind OTEL_EXPORTER_OTLP_ENDPOINT; errors name the variable, never a header's value."""
    name = "OTEL_EXPORTER_OTLP_ENDPOINT"
    parts = urlsplit(endpoint)
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == -1 or parts.query or parts.username:
        raise SettingsError(
            f"{name} must be an http or https address, such as http://127.0.0.1:4318.",
            hint=f"{name} takes the address without {TRACES_PATH}; keys go into OTEL_EXPORTER_OTLP_HEADERS.",
        )
    if port == 4317:
        raise SettingsError(
            f"{name} names port 4317, where collectors speak gRPC: take the one for HTTP, mostly 4318.",
            hint=f"{name}={parts.scheme}://{parts.hostname}:4318",
        )
    tls = parts.scheme == "https"
    fields = _pairs("OTEL_EXPORTER_OTLP_HEADERS", headers)
    if not all(_is_header(key, value) for key, value in fields):
        raise SettingsError("OTEL_EXPORTER_OTLP_HEADERS holds something that no header can carry.")
    attributes = dict(_pairs("OTEL_RESOURCE_ATTRIBUTES", resource))
    return TraceSettings(
        host=parts.hostname,
        port=port or (443 if tls else 80),
        path=parts.path.rstrip("/") + TRACES_PATH,
        tls=tls,
        certificate=None if certificate is None else Path(certificate),
        headers=fields,
        resource=tuple((attributes | {"service.name": service}).items()),
    )


def traces(optional: Callable[[str], str | None]) -> TraceSettings | None:
    """From the environment, which `optional` reads by name; None where no collector is named."""
    endpoint = optional("OTEL_EXPORTER_OTLP_ENDPOINT")
    if endpoint is None:
        return None
    return target(
        endpoint,
        optional("OTEL_EXPORTER_OTLP_HEADERS") or "",
        optional("OTEL_EXPORTER_OTLP_CERTIFICATE"),
        optional("OTEL_SERVICE_NAME") or "scutum",
        optional("OTEL_RESOURCE_ATTRIBUTES") or "",
    )


def ratio(text: str | None) -> float:
    """OTEL_TRACES_SAMPLER_ARG: the share of requests, from 0 to 1."""
    try:
        share = 1.0 if text is None else float(text)
    except ValueError:
        share = -1.0
    if not 0.0 <= share <= 1.0:
        raise SettingsError("OTEL_TRACES_SAMPLER_ARG is the share of requests that are traced, from 0 to 1.")
    return share


def _pairs(name: str, text: str) -> tuple[tuple[str, str], ...]:
    """`key=value,key2=value2`, values percent-encoded."""
    pairs = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        key, equals, value = part.partition("=")
        if not equals or not key.strip():
            raise SettingsError(f"{name} is not key=value,key=value.")
        pairs.append((key.strip(), unquote(value.strip())))
    return tuple(pairs)


def _is_header(key: str, value: str) -> bool:
    return key.isascii() and key.replace("-", "").replace("_", "").isalnum() and value.isascii() and value.isprintable()
