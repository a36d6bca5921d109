"""One look at an install: what `scutum status` shows."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from scutum_cli import errors, output
from scutum_cli.client.http import AdminClient
from scutum_cli.errors import CliError
from scutum_cli.host import config, findings, first_answer, health, packages, state
from scutum_cli.host.layout import Layout
from scutum_cli.settings import Context

HEALTHY, DEGRADED, DOWN = "healthy", "degraded", "down"
EXIT_CODES = {HEALTHY: errors.OK, DEGRADED: errors.FINDINGS, DOWN: errors.UNREACHABLE}
_ADMIN_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Overview:
    """`findings` are sentences about what is wrong; `today` is the usage total since midnight, if the admin told."""

    word: str
    home: str
    version: str | None
    proxy_url: str
    admin_url: str
    schema: dict[str, Any]
    services: list[state.ServiceState]
    today: dict[str, Any] | None
    findings: list[str]
    hints: list[str]
    license: dict[str, Any] | None = None
    """What the install is licensed for, if the admin told."""

    def as_json(self) -> dict[str, Any]:
        return {
            "status": self.word,
            "home": self.home,
            "version": self.version,
            "proxy_url": self.proxy_url,
            "admin_url": self.admin_url,
            "schema": self.schema or None,
            "services": [service.as_json() for service in self.services],
            "today": self.today,
            "license": self.license,
            "findings": self.findings,
            "next": self.hints,
        }


def look(layout: Layout) -> Overview:
    """Asks the process table, the proxy and the admin; takes a fraction of a second and needs nothing to be up."""
    host = config.load(layout.yaml_file)
    services = state.all_services(layout, host)
    proxy, admin = health.proxy(host), health.admin(host)
    found = findings.all_of(layout, services, proxy, admin)
    own = [service for service in services if not service.external]
    if all(service.state == state.DOWN for service in own) or (not proxy.status and not admin.status):
        word = DOWN
    else:
        word = DEGRADED if found else HEALTHY
    today, licence = _told(layout, host) if admin.ok else (None, None)
    return Overview(
        word=word,
        home=str(layout.home),
        version=packages.current_version(layout),
        proxy_url=f"{host.proxy_url}/v1",
        admin_url=host.admin_url,
        schema=admin.body.get("schema") or {},
        services=services,
        today=today,
        findings=[finding.text for finding in found],
        hints=_hints(layout, found, today),
        license=licence,
    )


def _hints(layout: Layout, found: list[findings.Finding], today: dict[str, Any] | None) -> list[str]:
    if found:
        # `up` mends most of it at once; what else is to be done shows after it.
        up = layout.says("up")
        steps = dict.fromkeys(finding.hint for finding in found)
        return [up, *(step for step in steps if not step.startswith("scutum"))] if up in steps else list(steps)
    if today is not None and not today.get("requests"):
        return [f'scutum chat "Hello" --model fast{_aim(layout)}', "scutum providers add --help"]
    return []


def _aim(layout: Layout) -> str:
    """What a command that talks to a gateway needs to talk to this one."""
    try:
        name = first_answer.other_context(layout.home)
    except CliError:
        return ""
    return f" --context {name}" if name else ""


def _told(layout: Layout, host: config.HostConfig) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Requests and cost since local midnight, None when this user has no way to ask; and the licence."""
    try:
        known = first_answer.context_of(layout.home)
    except CliError as error:
        output.verbose(f"The contexts are left aside: {error.message}")
        known = None
    context = known or Context("status", host.admin_url, host.proxy_url, home=str(layout.home))
    midnight = dt.datetime.now().astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    client = AdminClient(context, seconds=_ADMIN_SECONDS)
    try:
        licence = _object(client.public("/api/v1/license"))
    except CliError:
        licence = None
    try:
        answer = client.get("/api/v1/usage", {"by": "model", "since": midnight.isoformat()})
    except CliError:
        return None, licence
    finally:
        client.close()
    return _object(answer.get("total") if isinstance(answer, dict) else None), licence


def _object(found: Any) -> dict[str, Any] | None:
    return found if isinstance(found, dict) else None
