"""External stores as one URL each: what settings.py makes of DATABASE_URL and REDIS_URL."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from scutum_server.errors import SettingsError

_POSTGRES_OPTIONS = {
    "sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "ssl_min_protocol_version", "channel_binding",
    "target_session_attrs", "connect_timeout", "keepalives_idle",
}  # fmt: skip
_SSL_MODES = {"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}
_REDIS_OPTIONS = {"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"}


@dataclass(frozen=True, slots=True)
class Address:
    """The parts of a store's URL, decoded; `options` are its query."""

    host: str
    port: int
    user: str
    password: str
    path: str
    options: tuple[tuple[str, str], ...]
    tls: bool = False


def postgres(name: str, url: str) -> Address:
    """postgresql://USER:PASSWORD@HOST[:PORT]/DATABASE[?sslmode=…]; errors name the variable, never its value."""
    parts = _split(name, url, ("postgresql", "postgres"))
    options = _options(name, parts, _POSTGRES_OPTIONS)
    mode = dict(options).get("sslmode")
    if mode is not None and mode not in _SSL_MODES:
        raise SettingsError(f"{name} has an unknown sslmode: one of {', '.join(sorted(_SSL_MODES))}.")
    if not parts.username or not parts.path.strip("/"):
        raise SettingsError(f"{name} names no user or no database: postgresql://USER:PASSWORD@HOST:PORT/DATABASE")
    return _address(parts, 5432, options)


def redis(name: str, url: str) -> Address:
    """redis[s]://[USER]:PASSWORD@HOST[:PORT][/NUMBER]; rediss is TLS."""
    parts = _split(name, url, ("redis", "rediss", "valkey", "valkeys"))
    options = _options(name, parts, _REDIS_OPTIONS)
    number = parts.path.strip("/")
    if number and not number.isdecimal():
        raise SettingsError(f"{name} ends with the number of a database, such as /0.")
    return _address(parts, 6379, options, tls=parts.scheme in {"rediss", "valkeys"})


def _split(name: str, url: str, schemes: tuple[str, ...]) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise SettingsError(
            f"{name} is not a URL. A password with : / ? # [ ] @ or % must be percent-encoded."
        ) from None
    if parts.scheme not in schemes:
        raise SettingsError(f"{name} must begin with {schemes[0]}://")
    if not parts.hostname:
        raise SettingsError(f"{name} names no host.")
    return parts


def _options(name: str, parts: SplitResult, known: set[str]) -> tuple[tuple[str, str], ...]:
    options = tuple(parse_qsl(parts.query, keep_blank_values=True))
    for option, _ in options:
        if option not in known:
            raise SettingsError(f"{name} has an option that is not supported: {option[:50]}.")
    return options


def _address(parts: SplitResult, port: int, options: tuple[tuple[str, str], ...], *, tls: bool = False) -> Address:
    return Address(
        host=parts.hostname or "",
        port=parts.port or port,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        path=unquote(parts.path.strip("/")),
        options=options,
        tls=tls,
    )
