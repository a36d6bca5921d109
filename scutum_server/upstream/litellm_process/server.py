"""Serves `POST /chat` and `POST /embeddings` in OpenAI's format; the header x-lane-account names the provider.

An answer with `x-lane-error` is this side's word that the provider could not be asked; any other status is the
provider's own. A caller who hangs up cancels the call to the provider.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
import os
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import uvicorn

from .account import arguments, secrets_of
from .calling import Answer, chat, embeddings
from .failure import LaneError, Refusal, Unsupported, explained

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
CALLS = {"/chat": chat, "/embeddings": embeddings}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """One request, ended early when the caller hangs up."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    headers = dict(scope["headers"])
    account = json.loads(base64.b64decode(headers[b"x-lane-account"]))
    work = asyncio.ensure_future(_answer(scope["path"], account, bytes(body), send))
    watch = asyncio.ensure_future(_hung_up(receive))
    await asyncio.wait({work, watch}, return_when=asyncio.FIRST_COMPLETED)
    for task in (work, watch):
        task.cancel()
    await asyncio.gather(work, watch, return_exceptions=True)


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue


async def _answer(path: str, account: dict[str, Any], body: bytes, send: Send) -> None:
    secrets = secrets_of(account)
    started = False
    try:
        answer = await CALLS[path](json.loads(body), arguments(account))
        first = await answer.first()
        await _head(send, 200, answer, b"application/json" if answer.whole else b"text/event-stream")
        started = True
        await send({"type": "http.response.body", "body": first, "more_body": not answer.whole})
        if not answer.whole:
            async for piece in answer.rest():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})
    except Exception as error:  # noqa: BLE001 - whatever the library raises is told to the gateway
        await _tell(send, explained(error, secrets), started=started)


async def _head(send: Send, status: int, answer: Answer, kind: bytes) -> None:
    headers = [(b"content-type", kind)]
    if answer.dropped:
        headers.append((b"x-scutum-dropped", ", ".join(answer.dropped).encode("ascii", "replace")[:2000]))
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def _tell(send: Send, failure: LaneError | Refusal, *, started: bool) -> None:
    headers: list[tuple[bytes, bytes]] = [(b"content-type", b"application/json")]
    if isinstance(failure, Refusal):
        status, shown = failure.status, {"message": failure.message, "type": failure.kind, "code": None}
        if failure.retry_after is not None:
            headers.append((b"retry-after", failure.retry_after.encode("ascii", "ignore")))
    else:
        status, shown = 502, {"message": str(failure), "code": failure.code}
        shown |= {"param": failure.field} if isinstance(failure, Unsupported) else {}
        headers.append((b"x-lane-error", failure.code.encode()))
    body = json.dumps({"error": shown}).encode()
    if started:
        await send({"type": "http.response.body", "body": b"data: %b\n\n" % body})
        return
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class _Line(logging.Formatter):
    """Names what happened without the texts: the library puts prompts into its messages."""

    def format(self, record: logging.LogRecord) -> str:
        kind = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else record.name
        return json.dumps({"level": record.levelname.lower(), "msg": f"litellm: {kind}"})


def _quiet() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Line())
    logging.basicConfig(level=logging.ERROR, handlers=[handler], force=True)
    for name in list(logging.root.manager.loggerDict):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


def main(fd: int) -> None:
    """Serves until standard input, which begins with a line of settings, ends: the parent is gone, however it went."""
    listener = socket.socket(fileno=fd)
    path = Path(listener.getsockname())
    server = uvicorn.Server(
        uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1)
    )
    _quiet()

    os.environ.update(json.loads(sys.stdin.buffer.readline() or b"{}"))

    def parent_gone() -> None:
        sys.stdin.buffer.read()
        server.should_exit = True

    threading.Thread(target=parent_gone, daemon=True).start()
    try:
        server.run(sockets=[listener])
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
            path.parent.rmdir()
        # The library leaves threads and loops behind that would keep the process for seconds.
        os._exit(0)
