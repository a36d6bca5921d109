"""The native lane of any server that speaks OpenAI's wire format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlsplit

from scutum_server.upstream import native
from scutum_server.upstream.native import NativeLane, Traits
from scutum_server.upstream.options import OpenAIOptions
from scutum_server.upstream.transport import Transport

DEFAULT_BASE_URL: Final = "https://api.openai.com/v1"
OPENAI_HOST: Final = "api.openai.com"
AZURE_KNOWS_BOTH: Final = "2024-09-01"
"""The API version with which Azure took up `max_completion_tokens`; a deployment's name does not tell its model."""

PATHS: Final = {
    native.CHAT: "chat/completions",
    native.EMBEDDINGS: "embeddings",
    native.COMPLETIONS: "completions",
    **{path: path for path in sorted(native.PASSED)},
}


def path_prefix(options: object, upstream_model: str) -> str:
    """What comes before `chat/completions` and the like: Azure addresses its deployments in the URL."""
    azure = isinstance(options, Mapping) and options.get("api_version") is not None
    return f"deployments/{quote(upstream_model, safe='')}/" if azure else ""


class OpenAILane(NativeLane):
    """Calls one provider account. `base_url` includes the version path, as `https://api.openai.com/v1`.

    For Azure (`api_version` is set) it ends in `/openai`, and callers put `path_prefix()` before each path.
    """

    def __init__(self, transport: Transport, base_url: str | None, api_key: str | None, options: OpenAIOptions) -> None:
        url = base_url or DEFAULT_BASE_URL
        theirs = urlsplit(url).hostname == OPENAI_HOST
        has_responses = options.responses == "native" or (options.responses is None and theirs)
        version = options.api_version
        # OpenAI's own reasoning models refuse max_tokens; other servers know no other name for it.
        knows_both = theirs or (version is not None and version >= AZURE_KNOWS_BOTH)
        traits = Traits(
            paths=PATHS | {native.RESPONSES: "responses"} if has_responses else PATHS,
            cap_field="max_completion_tokens" if knows_both else "max_tokens",
        )
        scheme, query = ("Authorization: Bearer ", "") if version is None else ("api-key: ", f"?api-version={version}")
        super().__init__(transport, url, api_key, scheme, options, traits, query)
