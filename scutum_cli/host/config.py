"""config/scutum.yaml: ports and sizes of this host, in the small part of YAML that the standard library can read.

Two levels of `name: value`, values being numbers or words. The launcher reads it at every start of a service, and the
installer before any package is there.
"""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from scutum_cli.errors import CliError
from scutum_cli.host import files, stores
from scutum_cli.host.layout import ROOT_HOME

LOOPBACK = "127.0.0.1"
_SPREAD = 900
# Without these nobody knows where the install is: a default would be another install's.
REQUIRED = ("proxy_port", "admin_port", "postgres_port", "valkey_port")
INCOMPLETE = "config_incomplete"
_FROM_ENV = {"external_database", "external_redis", "proxy_tls"}
_LINE = re.compile(r"^(?P<indent> *)(?P<name>[A-Za-z_][\w-]*):(?: +(?P<value>.*))?$")


@dataclass(frozen=True, slots=True)
class HostConfig:
    """What differs from host to host; secrets are in config/.env instead.

    `external_…` are HOST:PORT of stores that others run; these and `proxy_tls` come from config/.env.
    """

    proxy_port: int = 4000
    admin_port: int = 8086
    postgres_port: int = 15432
    valkey_port: int = 16379
    proxy_host: str = LOOPBACK
    admin_host: str = LOOPBACK
    proxy_workers: int = 1
    external_database: str = ""
    external_redis: str = ""
    proxy_tls: bool = False

    @property
    def proxy_url(self) -> str:
        scheme = "https" if self.proxy_tls else "http"
        return f"{scheme}://{reachable(self.proxy_host)}:{self.proxy_port}"

    @property
    def admin_url(self) -> str:
        return f"http://{reachable(self.admin_host)}:{self.admin_port}"

    def text(self) -> str:
        """The file, with a comment for whoever opens it at 3 a.m."""
        return (
            "# Ports and sizes of this install. After an edit: scutum down && scutum up\n"
            "engine: embedded\n"
            "proxy:\n"
            f"  host: {self.proxy_host}\n"
            f"  port: {self.proxy_port}\n"
            "  # one process per CPU core is a good start\n"
            f"  workers: {self.proxy_workers}\n"
            "admin:\n"
            f"  host: {self.admin_host}\n"
            f"  port: {self.admin_port}\n"
            "postgres:\n"
            f"  port: {self.postgres_port}\n"
            "valkey:\n"
            f"  port: {self.valkey_port}\n"
        )


def for_home(home: Path, workers: int) -> HostConfig:
    """The defaults of a new install.

    Where its stores' ports are looked for depends on the place, so that two installs do not want the same port while
    one of them happens to be down.
    """
    shift = 0 if home == ROOT_HOME else zlib.crc32(str(home).encode()) % _SPREAD
    base = HostConfig()
    return replace(
        base, proxy_workers=workers, postgres_port=base.postgres_port + shift, valkey_port=base.valkey_port + shift
    )


def reachable(host: str) -> str:
    """The address at which this host itself reaches a service that listens on `host`."""
    return LOOPBACK if host in {"0.0.0.0", "::", ""} else host


def parse(text: str, name: str = "scutum.yaml") -> dict[str, str | dict[str, str]]:
    """Two levels of mappings; anything else in YAML is refused with its line."""
    result: dict[str, str | dict[str, str]] = {}
    section: dict[str, str] | None = None
    for number, raw in enumerate(text.splitlines(), 1):
        line = re.sub(r"(^|\s)#.*$", "", raw).rstrip()
        if not line or line == "---":
            continue
        match = _LINE.match(line)
        value = _scalar(match["value"] or "") if match else None
        if match is None or value is None or (match["indent"] and (section is None or not value)):
            raise CliError(
                f"{name} line {number} cannot be read: {raw.strip()!r}.",
                code="bad_config",
                why="This file holds two levels of 'name: value' and nothing else.",
                hint=f"edit {name}",
            )
        if match["indent"] and section is not None:
            section[match["name"]] = value
        elif value:
            result[match["name"]] = value
            section = None
        else:
            section = {}
            result[match["name"]] = section
    return result


def _scalar(raw: str) -> str | None:
    value = raw.strip()
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return None if value[:1] in {"[", "{", "|", ">", "&", "*", "!", "'", '"'} else value


def load(path: Path) -> HostConfig:
    """The file's values; unknown names, missing ports and impossible values are refused by name."""
    fields = read(path)
    missing = [name.replace("_", ".", 1) for name in REQUIRED if name not in fields]
    if missing:
        raise CliError(
            f"{path} lacks {', '.join(missing)}.",
            code=INCOMPLETE,
            hint=f"sh install.sh --home {path.parent.parent} --proxy-port P --admin-port P, the same as before",
        )
    return with_stores(HostConfig(**fields), files.read_env(path.with_name(".env")))  # type: ignore[arg-type]


def read(path: Path) -> dict[str, int | str]:
    """What the file sets, by the names of HostConfig's fields."""
    try:
        tree = parse(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise CliError(f"{path} cannot be read: {error.strerror}.", code="bad_config") from None
    fields: dict[str, int | str] = {}
    for section, values in tree.items():
        if section == "engine" and values == "embedded":
            continue
        for key, value in values.items() if isinstance(values, dict) else [("", values)]:
            field = f"{section}_{key}".rstrip("_")
            if field not in HostConfig.__slots__ or field in _FROM_ENV:
                raise CliError(
                    f"{path} has an unknown setting: {field.replace('_', '.', 1)}.",
                    code="bad_config",
                    hint=f"edit {path}",
                )
            fields[field] = value if field.endswith("_host") else _number(path, field, value)
    return fields


def with_stores(host: HostConfig, env_file: Mapping[str, str]) -> HostConfig:
    """The same with what config/.env says about external stores and TLS."""
    return replace(
        host,
        external_database=stores.place(env_file, stores.DATABASE),
        external_redis=stores.place(env_file, stores.REDIS),
        proxy_tls=bool(env_file.get("SCUTUM_TLS_CERTIFICATE")),
    )


def _number(path: Path, field: str, value: str) -> int:
    low, high = (1, 256) if field.endswith("_workers") else (1, 65535)
    if not value.isdecimal() or not low <= int(value) <= high:
        raise CliError(
            f"{path}: {field.replace('_', '.', 1)} must be a number from {low} to {high}, not {value!r}.",
            code="bad_config",
            hint=f"edit {path}",
        )
    return int(value)


def default_workers() -> int:
    """One proxy process per CPU that this process may use."""
    return max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
