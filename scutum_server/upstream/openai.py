"""The native lane of any server that speaks OpenAI's wire format."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from scutum_server.upstream import native
from scutum_server.upstream.native import NativeLane, Traits
from scutum_server.upstream.options import OpenAIOptions
from scutum_server.upstream.transport import Transport

DEFAULT_BASE_URL: Final = "https://api.openai.com/v1"
OPENAI_HOST: Final = "api.openai.com"

PATHS: Final = {
    native.CHAT: "chat/completions",
    native.EMBEDDINGS: "embeddings",
    native.COMPLETIONS: "completions",
}


class OpenAILane(NativeLane):
    """Calls one provider account. `base_url` includes the version path, as `https://api.openai.com/v1`."""

    def __init__(self, transport: Transport, base_url: str | None, api_key: str | None, options: OpenAIOptions) -> None:
        url = base_url or DEFAULT_BASE_URL
        theirs = urlsplit(url).hostname == OPENAI_HOST
        has_responses = options.responses == "native" or (options.responses is None and theirs)
        traits = Traits(
            paths=PATHS | {native.RESPONSES: "responses"} if has_responses else PATHS,
            # OpenAI's own reasoning models refuse max_tokens; other servers know no other name for it.
            cap_field="max_completion_tokens" if theirs else "max_tokens",
        )
        super().__init__(transport, url, api_key, "Authorization: Bearer ", options, traits)
