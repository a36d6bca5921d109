"""Registers a scripted upstream as a model of its own, and asks it without blocking the test's event loop."""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import Any

from tests.fixtures.gateway import Proxy
from tests.fixtures.servers import wait_until

PROVIDER_KEY = "sk-provider-secret-key"


async def provide(
    proxy: Proxy, base_url: str, kind: str = "openai", *, deployment: dict[str, Any] | None = None, **settings: Any
) -> str:
    """The name of a new model at `base_url`; `settings` are its provider's."""
    name = f"m-{secrets.token_hex(4)}"

    def register() -> None:
        provider = proxy.rows.provider(f"p-{name}", kind, base_url, api_key=PROVIDER_KEY, settings=settings)
        proxy.rows.deployment(name, provider, "upstream-model", settings=deployment)
        proxy.wait_for(name)

    await asyncio.to_thread(register)
    return name


async def new_key(proxy: Proxy, **columns: Any) -> str:
    """A key that the proxy knows already."""

    def make() -> str:
        plain = proxy.rows.key(**columns)
        wait_until(lambda: proxy.request("GET", "/v1/models", key=plain)[0] != 401, what="the proxy to know the key")
        return plain

    return await asyncio.to_thread(make)


async def ask(proxy: Proxy, model: str, **fields: Any) -> tuple[int, dict[str, str], bytes]:
    return await asyncio.to_thread(lambda: proxy.chat(model, **fields))


async def ask_path(proxy: Proxy, path: str, body: Any) -> tuple[int, dict[str, str], bytes]:
    return await asyncio.to_thread(lambda: proxy.request("POST", path, body, key=proxy.master_key))


async def record_of(proxy: Proxy, headers: dict[str, str]) -> dict[str, Any]:
    return await asyncio.to_thread(proxy.record, headers["x-request-id"])


async def record_for(proxy: Proxy, model: str) -> dict[str, Any]:
    """The one record of a model's requests, waited for."""

    def found() -> list[dict[str, Any]]:
        return [record for record in proxy.records() if record.get("requested_model") == model]

    await asyncio.to_thread(wait_until, found, what="the usage record")
    (record,) = found()
    return record


def error(body: bytes) -> dict[str, Any]:
    """The error object of an answer, which must be in OpenAI's shape."""
    document = json.loads(body)
    assert set(document) == {"error"}
    assert set(document["error"]) == {"message", "type", "param", "code"}
    return document["error"]


async def send_raw(proxy: Proxy, model: str, **fields: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A chat request on a bare socket, its answer unread."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port, limit=2**16)
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hello"}], **fields}).encode()
    writer.write(
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\nContent-Length: %d\r\n\r\n%b"
        % (proxy.master_key.encode(), len(body), body)
    )
    await writer.drain()
    return reader, writer


def send_form(
    proxy: Proxy, path: str, parts: list[tuple[str, Any]], *, headers: dict[str, str] | None = None, key: str | None = None
) -> tuple[int, dict[str, str], bytes]:
    """A form whose parts come in this order; bytes are files."""
    body = b""
    for name, value in parts:
        filename = '; filename="f"' if isinstance(value, bytes) else ""
        data = value if isinstance(value, bytes) else value.encode()
        body += f'--xx\r\nContent-Disposition: form-data; name="{name}"{filename}\r\n\r\n'.encode() + data + b"\r\n"
    kind = {"Content-Type": "multipart/form-data; boundary=xx"}
    return proxy.request("POST", path, body + b"--xx--\r\n", key=key or proxy.master_key, headers=kind | (headers or {}))
