"""`scutum-server admin`: the control plane's process."""

from __future__ import annotations

import signal
import socket

import uvicorn

from scutum_server.admin.app import create_app
from scutum_server.admin.runtime import make_runtime
from scutum_server.errors import SettingsError
from scutum_server.infra import logs
from scutum_server.settings import AdminSettings

STOP_S = 10


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        raise SettingsError(
            f"The control plane cannot listen on {host}:{port}: {error.strerror}.",
            hint="Stop what listens there, or set another SCUTUM_ADMIN_PORT.",
        ) from None
    return listener


def run(settings: AdminSettings) -> None:
    """Serves until SIGTERM or SIGINT, then lets requests in flight end for up to STOP_S seconds."""
    logs.configure("admin")
    listener = _listen(settings.host, settings.port)
    config = uvicorn.Config(
        create_app(make_runtime(settings)),
        loop="uvloop",
        http="httptools",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=STOP_S,
    )
    # uvicorn raises the signal again once it has stopped: a wanted stop is no failure.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    uvicorn.Server(config).run(sockets=[listener])
