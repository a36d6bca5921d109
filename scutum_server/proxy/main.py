"""The proxy process: one worker on its own port or on a listening socket that it was handed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import signal
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn
import uvloop

from scutum_server.errors import SettingsError
from scutum_server.infra import logs
from scutum_server.proxy.app import App
from scutum_server.proxy.gateway import Gateway
from scutum_server.proxy.http.protocol import Protocol
from scutum_server.proxy.http.tls import Certificate
from scutum_server.settings import ProxySettings

log = logging.getLogger(__name__)

FIRST_CONFIGURATION_S = 5.0


class Server(uvicorn.Server):
    """Uvicorn's server, ending with exit code 0 on SIGTERM instead of raising the signal once more."""

    def __init__(self, config: uvicorn.Config, gateway: Gateway) -> None:
        super().__init__(config)
        self._gateway = gateway

        self._stopped = asyncio.Event()
        for name in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(name, self._stop)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # the loop has them already

    def _stop(self) -> None:
        self._gateway.draining = True
        self.should_exit = True
        self._stopped.set()

    async def wait_for_configuration(self) -> None:
        """On a shared socket, leave connections to the siblings or in the queue for a moment rather than answer 503."""
        events = [asyncio.create_task(event.wait()) for event in (self._gateway.feed.first, self._stopped)]
        await asyncio.wait(events, timeout=FIRST_CONFIGURATION_S, return_when=asyncio.FIRST_COMPLETED)
        for event in events:
            event.cancel()


def run(settings: ProxySettings) -> None:
    """Serves until SIGTERM, then drains; raises SettingsError when it cannot start."""
    logs.configure("proxy")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    listener = _listen(settings)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, listener))


def _listen(settings: ProxySettings) -> socket.socket:
    try:
        if settings.fd is not None:
            return socket.socket(fileno=settings.fd)
        listener = socket.create_server((settings.host, settings.port), backlog=2048)
    except OSError as error:
        where = f"descriptor {settings.fd}" if settings.fd is not None else f"{settings.host}:{settings.port}"
        raise SettingsError(
            f"The proxy cannot listen on {where}: {(error.strerror or 'no socket').lower()}.",
            hint="Stop what uses the port, or choose another one in config/scutum.yaml.",
        ) from None
    return listener


async def _serve(settings: ProxySettings, listener: socket.socket) -> None:
    certificate = Certificate(*settings.tls) if settings.tls is not None else None
    gateway = Gateway(settings)
    try:
        gateway.start()
    except OSError as error:
        raise SettingsError(
            f"The spill directory {settings.spill_dir} cannot be used: {error.strerror}.",
            hint="Make it writable for the service's user.",
        ) from None
    app: Any = App(gateway)
    config = uvicorn.Config(
        app,
        http=Protocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=settings.drain_seconds,
        backlog=2048,
        ssl_context_factory=None if certificate is None else lambda *_: certificate.context,
    )
    server = Server(config, gateway)
    gateway.tasks = server.server_state.tasks
    watch = None if certificate is None else asyncio.create_task(certificate.watch())
    try:
        if settings.fd is not None:
            await server.wait_for_configuration()
        await server.serve(sockets=[listener])
    finally:
        if watch is not None:
            watch.cancel()
        await gateway.stop()
