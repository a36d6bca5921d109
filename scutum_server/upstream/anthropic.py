"""The native lane of any server that speaks Anthropic's wire format."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from scutum_server.upstream import native
from scutum_server.upstream.native import NativeLane, Traits
from scutum_server.upstream.options import AnthropicOptions
from scutum_server.upstream.transport import Response, Transport

DEFAULT_BASE_URL: Final = "https://api.anthropic.com"
ANTHROPIC_HOST: Final = "api.anthropic.com"
VERSION: Final = b"anthropic-version: 2023-06-01\r\n"
"""The version that our translations speak; a client of the same format names its own, and that is passed on."""


class AnthropicLane(NativeLane):
    """Calls one provider account. `base_url` is without the version path; a trailing `/v1` is taken off."""

    def __init__(
        self, transport: Transport, base_url: str | None, api_key: str | None, options: AnthropicOptions
    ) -> None:
        url = (base_url or DEFAULT_BASE_URL).rstrip("/").removesuffix("/v1")
        theirs = urlsplit(url).hostname == ANTHROPIC_HOST
        has_schemas = options.structured_output == "native" or (options.structured_output is None and theirs)
        paths = {native.MESSAGES: "v1/messages", native.COUNT_TOKENS: "v1/messages/count_tokens"}
        super().__init__(
            transport,
            url,
            api_key,
            "x-api-key: ",
            options,
            Traits(paths=paths, max_tokens=options.max_tokens, has_schemas=has_schemas),
        )

    async def call(self, path: str, body: bytes, *, stream: bool, fields: bytes = b"") -> Response:
        """As every lane's; a request says which version of the format it speaks."""
        if b"anthropic-version:" not in fields:
            fields = VERSION + fields
        return await super().call(path, body, stream=stream, fields=fields)
