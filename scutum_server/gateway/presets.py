"""Providers that need no looking up: where they listen and what they ask for."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

AZURE_VERSION = "2024-10-21"
"""Azure's newest stable version of the data plane's API that is addressed by deployment."""


class Preset(Struct, frozen=True, kw_only=True):
    """`kind` is the lane that speaks to it. `needs` names what must be given beside the key: `base_url`, or a setting.

    A required key may be left out where another `base_url` is given, if `others` says that more servers than the
    vendor's speak this format.
    """

    name: str
    title: str
    kind: Literal["openai", "anthropic", "litellm", "sim"] = "openai"
    base_url: str | None
    base_url_example: str | None = None
    needs: tuple[str, ...] = ()
    api_key: Literal["required", "optional", "none"] = "required"
    key: str = "an API key"
    others: bool = False
    settings: dict[str, Any] = {}
    example_model: str


PRESETS = {
    preset.name: preset
    for preset in (
        Preset(
            name="openai",
            title="OpenAI, or any server that speaks its API",
            base_url="https://api.openai.com/v1",
            others=True,
            example_model="gpt-5-mini",
        ),
        Preset(
            name="anthropic",
            title="Anthropic, or any server that speaks its API",
            kind="anthropic",
            base_url="https://api.anthropic.com",
            others=True,
            example_model="claude-haiku-4-5",
        ),
        Preset(
            name="azure",
            title="Azure OpenAI; models are called by the names of your deployments",
            base_url=None,
            base_url_example="https://RESOURCE.openai.azure.com",
            needs=("base_url",),
            settings={"api_version": AZURE_VERSION},
            example_model="my-gpt-5-mini",
        ),
        Preset(
            name="gemini",
            title="Google Gemini, with a key of AI Studio",
            kind="litellm",
            base_url=None,
            settings={"vendor": "gemini"},
            example_model="gemini-2.5-flash",
        ),
        Preset(
            name="vertex",
            title="Google Vertex AI; the project is the service account's unless another is given",
            kind="litellm",
            base_url=None,
            needs=("region",),
            key="a service account's JSON key",
            settings={"vendor": "vertex_ai"},
            example_model="gemini-2.5-flash",
        ),
        Preset(
            name="bedrock",
            title="AWS Bedrock",
            kind="litellm",
            base_url=None,
            needs=("region",),
            key="an access key of AWS or an API key of Bedrock",
            settings={"vendor": "bedrock"},
            example_model="eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
        ),
        Preset(name="xai", title="xAI", base_url="https://api.x.ai/v1", example_model="grok-4"),
        Preset(
            name="deepseek", title="DeepSeek", base_url="https://api.deepseek.com/v1", example_model="deepseek-chat"
        ),
        Preset(
            name="mistral", title="Mistral", base_url="https://api.mistral.ai/v1", example_model="mistral-small-latest"
        ),
        Preset(
            name="groq",
            title="Groq",
            base_url="https://api.groq.com/openai/v1",
            example_model="llama-3.3-70b-versatile",
        ),
        Preset(
            name="together",
            title="Together AI",
            base_url="https://api.together.xyz/v1",
            example_model="meta-llama/Llama-3.3-70B-Instruct-Turbo",
        ),
        Preset(
            name="ollama",
            title="Ollama on this host, or wherever --base-url says",
            api_key="none",
            base_url="http://127.0.0.1:11434/v1",
            example_model="llama3.2",
        ),
        Preset(
            name="vllm",
            title="vLLM on this host, or wherever --base-url says",
            api_key="optional",
            base_url="http://127.0.0.1:8000/v1",
            example_model="Qwen/Qwen3-8B",
        ),
        Preset(
            name="litellm",
            title="Any other provider that LiteLLM knows, under its name there",
            kind="litellm",
            base_url=None,
            needs=("vendor",),
            api_key="optional",
            example_model="command-a-03-2025",
        ),
        Preset(
            name="sim", title="The built-in simulator", kind="sim", base_url=None, api_key="none", example_model="sim"
        ),
    )
}
