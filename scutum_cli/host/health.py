"""Asks the services of this host how they are, over loopback and with short time limits."""

from __future__ import annotations

import http.client
import json
import socket
from dataclasses import dataclass
from typing import Any

from scutum_cli.host.config import HostConfig, reachable


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer; status 0 when nobody answered, with the reason in `body["detail"]`."""

    status: int
    body: dict[str, Any]

    @property
    def ok(self) -> bool:
        return self.status == 200

    def works(self, *parts: str) -> bool:
        """Whether the admin API answers and says that these parts work; a part that it does not name counts as well."""
        checks = self.body.get("checks") or {}
        return self.ok and all(checks.get(part, "ok") == "ok" for part in parts)


def get(host: str, port: int, path: str, timeout: float = 2.0) -> Answer:
    """One GET of a JSON document; never raises for the network."""
    connection = http.client.HTTPConnection(reachable(host), port, timeout=timeout)
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
    return get(config.proxy_host, config.proxy_port, "/health/ready")


def admin(config: HostConfig) -> Answer:
    return get(config.admin_host, config.admin_port, "/health")


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
