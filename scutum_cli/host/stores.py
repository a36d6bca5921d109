"""PostgreSQL and Redis that somebody else runs: one URL each, in config/.env beside the other secrets."""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Mapping
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

from scutum_cli.errors import CliError

DATABASE, REDIS = "DATABASE_URL", "REDIS_URL"
DIRECT = "DATABASE_DIRECT_URL"
"""The database past the pooler that DATABASE names."""
_FLAGS = {DATABASE: "--database-url", REDIS: "--redis-url"}
_SCHEMES = {DATABASE: ("postgresql", "postgres"), REDIS: ("redis", "rediss", "valkey", "valkeys")}
_PORTS = {DATABASE: 5432, REDIS: 6379}
_SSL_REQUEST = struct.pack(">II", 8, 80877103)


def asked(database: str | None, redis: str | None) -> dict[str, str]:
    """The URLs of an install by variable, from the flags (`-`: a line of standard input) or SCUTUM_… variables.

    Raises CliError for what is no such URL, and for a password in an argument, where everybody on the host can read it.
    """
    found: dict[str, str] = {}
    for name, given in ((DATABASE, database), (REDIS, redis)):
        flag, variable = _FLAGS[name], f"SCUTUM_{name}"
        value = _line(flag) if given == "-" else given or os.environ.get(variable, "").strip()
        if not value:
            continue
        parts = _parts(name, value)
        if parts.password and given is not None and given != "-":
            raise CliError(
                f"{flag} holds a password, and every user of this host can read a command's arguments.",
                code="secret_in_argv",
                hint=f"{flag} - reads the URL from standard input; the variable {variable} works too",
            )
        found[name] = value
    return found


def _line(flag: str) -> str:
    line = sys.stdin.readline().strip()
    if not line:
        raise CliError(f"No URL for {flag} came on standard input.", code="secret_missing")
    return line


def _parts(name: str, url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        parts = SplitResult("", "", "", "", "")
    if parts.scheme not in _SCHEMES[name] or not parts.hostname:
        raise CliError(
            f"{_FLAGS[name]} is not a URL that begins with {_SCHEMES[name][0]}:// and names a host.",
            code="bad_url",
            hint="a password with : / ? # [ ] @ or % must be percent-encoded",
        )
    return parts


def place(env_file: Mapping[str, str], name: str) -> str:
    """HOST:PORT of an external store, or an empty string when this install runs its own."""
    url = env_file.get(name, "")
    if not url:
        return ""
    parts = _parts(name, url)
    return f"{parts.hostname}:{parts.port or _PORTS[name]}"


def as_user(url: str, user: str, password: str) -> str:
    """The same server and database for another role."""
    parts = urlsplit(url)
    _, _, where = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{quote(user, safe='')}:{quote(password, safe='')}@{where}"))


def answers(env_file: Mapping[str, str], name: str, timeout: float = 1.0) -> str | None:
    """Asks the store in its own protocol whether it is there, without logging in; None, or why not."""
    parts = _parts(name, env_file[name])
    address = (parts.hostname or "", parts.port or _PORTS[name])
    try:
        with socket.create_connection(address, timeout) as connection:
            ok = _is_postgres(connection) if name == DATABASE else _is_redis(connection, parts)
    except OSError as error:
        reason = error.strerror or str(error) or "no answer"
        return f"{address[0]}:{address[1]} cannot be reached: {reason.lower()}"
    return None if ok else f"{address[0]}:{address[1]} does not answer like a {name.partition('_')[0].lower()}"


def _is_postgres(connection: socket.socket) -> bool:
    connection.sendall(_SSL_REQUEST)
    return connection.recv(1) in {b"S", b"N"}


def _is_redis(connection: socket.socket, parts: SplitResult) -> bool:
    if parts.scheme in {"rediss", "valkeys"}:
        # Who it is is for those to check who send it a password.
        import ssl

        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection = context.wrap_socket(connection, server_hostname=parts.hostname)
    connection.sendall(b"*1\r\n$4\r\nPING\r\n")
    return connection.recv(64)[:1] in {b"+", b"-"}
