"""TLS with certificate files that may be exchanged while the proxy runs."""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path
from typing import Final

from scutum_server.errors import SettingsError

log = logging.getLogger(__name__)

LOOK_S: Final = 2.0


class Certificate:
    """`context` is for every new connection; the files are looked at every two seconds."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Raises SettingsError when the files cannot be used."""
        self._files = (certificate, key)
        self._seen = self._stamp()
        self.context = _empty()
        problem = self._load(self.context)
        if problem is not None:
            raise SettingsError(
                f"TLS cannot be served with {certificate} and {key}: {problem}.",
                hint="SCUTUM_TLS_CERTIFICATE is the chain and SCUTUM_TLS_KEY its key, in PEM, without a password.",
            )

    def _stamp(self) -> tuple[float, ...]:
        try:
            return tuple(path.stat().st_mtime_ns for path in self._files)
        except OSError:
            return ()

    def _load(self, context: ssl.SSLContext) -> str | None:
        """Why it failed, or None. An empty password: OpenSSL would ask the terminal for one."""
        try:
            context.load_cert_chain(*self._files, password="")
        except ssl.SSLError as error:
            return (error.reason or "not a certificate and its key").lower().replace("_", " ")
        except (OSError, ValueError) as error:
            return str(getattr(error, "strerror", None) or error).lower()
        return None

    async def watch(self) -> None:
        """Until cancelled: takes changed files for new connections; keeps the old ones while the new are no pair."""
        while True:
            await asyncio.sleep(LOOK_S)
            stamp = self._stamp()
            if stamp == self._seen:
                continue
            self._seen = stamp
            # Tried on a context of its own: half of a pair would break every handshake.
            problem = self._load(_empty())
            if problem is None:
                problem = self._load(self.context)
            if problem is None:
                log.info("the TLS certificate was read anew")
            else:
                log.error("the new TLS certificate is not used: %s", problem)


def _empty() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context
