"""The lane of every provider that the `litellm` library knows, in a process of its own beside each proxy worker.

The library costs 2 to 8 s to import, 190 MB, and 5 to 7 ms of CPU a call: in here it would stall every other request.
Its process is started with the first provider that needs it, and has none of our secrets: each call brings the
credentials of its own provider along.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import importlib.util
import logging
import os
import socket
import sys
import tempfile
from pathlib import Path
from time import monotonic
from typing import Final

import msgspec

from scutum_server.errors import InvalidInput, UpstreamError
from scutum_server.upstream import native
from scutum_server.upstream.errors import (
    UpstreamBadAnswer,
    UpstreamDisconnected,
    UpstreamRefused,
    UpstreamTimeout,
)
from scutum_server.upstream.native import ProviderMisconfigured, Traits
from scutum_server.upstream.options import LiteLLMOptions
from scutum_server.upstream.transport import Origin, Response, Transport
from scutum_server.upstream.upload import Upload

log = logging.getLogger(__name__)

MISSING: Final = (
    "Providers of this kind need the LiteLLM library, which is not installed here. Run: scutum install --with litellm"
)
_PROGRAM: Final = Path(__file__).with_name("litellm_process") / "__main__.py"
_PASSED_ON: Final = frozenset(
    {
        "PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE",
    }
)  # fmt: skip
_SET: Final = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "LITELLM_MODE": "PRODUCTION",
    "LITELLM_LOG": "CRITICAL",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_CONFIG_FILE": os.devnull,
    "NO_GCE_CHECK": "true",
    "HF_HUB_OFFLINE": "1",
    "DO_NOT_TRACK": "1",
}
"""Keeps the library to itself: no downloads, no credentials but those of the call."""
_LONGEST_REST_S: Final = 30.0
_STEADY_S: Final = 60.0
_ERRORS: Final[dict[str, type[UpstreamError]]] = {
    "upstream_unreachable": UpstreamRefused,
    "dns_failed": UpstreamRefused,
    "upstream_timeout": UpstreamTimeout,
    "upstream_disconnected": UpstreamDisconnected,
    "provider_misconfigured": ProviderMisconfigured,
}


class Place(msgspec.Struct, frozen=True):
    """`python` is that of the environment that has the library; `proxy` is a URL, perhaps with a password."""

    python: Path
    proxy: str | None = None
    no_proxy: str | None = None

    def environment(self) -> bytes:
        """What goes to the process on its standard input, since other processes can read an environment."""
        if self.proxy is None:
            return b"{}\n"
        direct = ",".join(filter(None, ("localhost,127.0.0.1,::1", self.no_proxy)))
        return msgspec.json.encode({"HTTP_PROXY": self.proxy, "HTTPS_PROXY": self.proxy, "NO_PROXY": direct}) + b"\n"


class LiteLLMProcess:
    """The one process of this event loop."""

    def __init__(self, transport: Transport, place: Place) -> None:
        self.transport = transport
        self._place = place
        self._lock = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._origin: Origin | None = None
        self._started = 0.0
        self._falls = 0
        self._warming: asyncio.Task[None] | None = None

    def warm(self) -> None:
        """Starts it in the background, so that the first request need not wait for the import."""
        if self._warming is None:
            self._warming = asyncio.get_running_loop().create_task(self._warm())

    async def _warm(self) -> None:
        try:
            await self.origin()
        except UpstreamError as error:
            log.error("%s", error.detail)  # noqa: TRY400 - a sentence for the operator; there is no traceback to show

    async def origin(self) -> Origin:
        """Where it listens, started anew if it is gone; raises ProviderMisconfigured or UpstreamRefused."""
        if self._origin is not None and self._process is not None and self._process.returncode is None:
            return self._origin
        async with self._lock:
            if self._origin is None or self._process is None or self._process.returncode is not None:
                self._origin = await self._start()
            return self._origin

    async def _start(self) -> Origin:
        if self._process is not None:
            self._check_rest(self._process.returncode)
        if self._origin is not None:
            self.transport.drop(self._origin)
        python = _interpreter(self._place.python)
        path = Path(tempfile.mkdtemp(prefix="scutum-litellm-")) / "socket"
        env = {name: value for name, value in os.environ.items() if name in _PASSED_ON} | _SET
        # Bound here, so that calls queue at it while the library is being imported.
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen(1024)
            try:
                self._process = await asyncio.create_subprocess_exec(
                    python, "-I", _PROGRAM, str(listener.fileno()),
                    env=env, pass_fds=(listener.fileno(),), start_new_session=True,
                    stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL,
                )  # fmt: skip
            except OSError as error:
                raise ProviderMisconfigured(f"{python} cannot be started: {error.strerror}.") from None
        if self._process.stdin is not None:
            self._process.stdin.write(self._place.environment())
        self._started = monotonic()
        return self.transport.unix_origin(str(path))

    def _check_rest(self, code: int | None) -> None:
        """One that dies again and again is left alone for longer and longer."""
        age = monotonic() - self._started
        self._falls = 1 if age > _STEADY_S else self._falls + 1
        rest = min(_LONGEST_REST_S, 2.0**self._falls) - 2.0
        if age < rest:
            self._falls -= 1
            raise UpstreamRefused(f"The LiteLLM process keeps ending (code {code}): see the gateway's log.")
        log.warning("the litellm process ended with code %s and is started again", code)

    async def close(self) -> None:
        """Ends it: it stops when its standard input does."""
        if self._warming is not None:
            self._warming.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._warming
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(3):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def _interpreter(own: Path) -> Path:
    """That of the library's own environment, or ours if the library was installed into it."""
    if own.is_file():
        return own
    if importlib.util.find_spec("litellm") is None:
        raise ProviderMisconfigured(MISSING, code="litellm_missing")
    return Path(sys.executable)


class LiteLLMLane:
    """Calls one provider account. `secret` is its API key, or its credentials as JSON."""

    traits = Traits(paths={native.CHAT: "chat", native.EMBEDDINGS: "embeddings"}, tells_dropped=True)

    def __init__(
        self, process: LiteLLMProcess, base_url: str | None, secret: str | None, options: LiteLLMOptions
    ) -> None:
        account = {
            "vendor": options.vendor,
            "base_url": base_url,
            "secret": secret,
            "region": options.region,
            "project": options.project,
            "timeouts": msgspec.to_builtins(options.timeouts),
        }
        self._account = base64.b64encode(msgspec.json.encode(account))
        self._timeouts = options.timeouts
        self._process = process

    async def call(self, path: str, body: bytes, *, stream: bool, fields: bytes = b"") -> Response:  # noqa: ARG002
        """As every lane's; raises InvalidInput for what the library cannot send to this provider."""
        origin = await self._process.origin()
        payload = b"POST /%b HTTP/1.1\r\nhost: lane\r\nx-lane-account: %b\r\ncontent-length: %d\r\n\r\n%b" % (
            path.encode(), self._account, len(body), body,
        )  # fmt: skip
        response = await self._process.transport.request(origin, payload, self._timeouts, whole=not stream)
        code = response.header(b"x-lane-error")
        if code is None:
            return response
        try:
            told = msgspec.json.decode(await response.body(64 * 1024), type=_Told).error
        finally:
            response.close()
        raise _failure(code.decode("ascii", "replace"), told)

    async def ask(self, *_: object, **__: object) -> Response:
        """There is none: `traits` names no path for it."""
        raise ProviderMisconfigured("LiteLLM's lane has chat and embeddings, and no other route.")

    async def upload(self, *_: object, **__: object) -> Upload:
        """There is none."""
        raise ProviderMisconfigured("LiteLLM's lane has chat and embeddings, and no other route.")


class _Error(msgspec.Struct):
    message: str = ""
    param: str | None = None


class _Told(msgspec.Struct):
    error: _Error


def _failure(code: str, told: _Error) -> UpstreamError | InvalidInput:
    if code == "unsupported_by_provider":
        return InvalidInput(told.message, code=code, param=told.param)
    error = _ERRORS.get(code, UpstreamBadAnswer)
    return error(told.message)
