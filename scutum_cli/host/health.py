"""Asks the services of this host how they are, over loopback and with short time limits."""

from __future__ import annotations

import http.client
import json
import socket
from dataclasses import dataclass
from typing import Any

from scutum_cli.host.config import HostConfig, reachable

_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer; status 0 when nobody answered, with the reason in `body["detail"]`."""

    status: int
    body: dict[str, Any]

    @property
    def ok(self) -> bool:
        return self.status == 200

    @property
    def is_fresh(self) -> bool:
        """Whether the proxy is ready with a configuration that it reads from the database, not with a saved one."""
        return self.ok and not self.body.get("stale")

    def works(self, *parts: str) -> bool:
        """Whether the admin API answers and says that these parts work; a part that it does not name counts as well."""
        checks = self.body.get("checks") or {}
        return self.ok and all(checks.get(part, "ok") == "ok" for part in parts)


def to_proxy(config: HostConfig, timeout: float) -> http.client.HTTPConnection:
    """A connection to this host's own proxy. Its certificate names it as clients do, not as loopback: not checked."""
    host = reachable(config.proxy_host)
    if not config.proxy_tls:
        return http.client.HTTPConnection(host, config.proxy_port, timeout=timeout)
    import ssl

    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(host, config.proxy_port, timeout=timeout, context=context)


def get(connection: http.client.HTTPConnection, path: str) -> Answer:
    """One GET of a JSON document; never raises for the network."""
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        response = connection.getresponse()
        raw = response.read(1_000_000)
        status = response.status
    except (OSError, http.client.HTTPException) as error:
        return Answer(0, {"detail": str(error) or type(error).__name__})
    finally:
        connection.close()
    try:
        body = json.loads(raw)
    except ValueError:
        body = {}
    return Answer(status, body if isinstance(body, dict) else {})


def proxy(config: HostConfig) -> Answer:
    return get(to_proxy(config, _SECONDS), "/health/ready")


def admin(config: HostConfig) -> Answer:
    connection = http.client.HTTPConnection(reachable(config.admin_host), config.admin_port, timeout=_SECONDS)
    return get(connection, "/health")


def accepts(host: str, port: int, timeout: float = 0.5) -> bool:
    """Whether something takes TCP connections there."""
    try:
        with socket.create_connection((reachable(host), port), timeout):
            return True
    except OSError:
        return False


def is_free(host: str, port: int) -> bool:
    """Whether a service could listen there now."""
    with socket.socket() as probe:
        # As the services do it: what lingers of a closed connection is no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
