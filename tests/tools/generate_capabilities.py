"""Writes scutum_server/upstream/capabilities.json: `python -m tests.tools.generate_capabilities`.

What models can do, from the data inside the locked `litellm` package, under the ids that `genai-prices` has for them. The
gateway reads the file alone: the library is an extra, and heavy.
"""

from __future__ import annotations

import ast
import json
from collections import defaultdict
from pathlib import Path

from genai_prices.data_snapshot import get_snapshot
from tests.fixtures.litellm_venv import litellm_python

TARGET = Path(__file__).parents[2] / "scutum_server" / "upstream" / "capabilities.json"
VENDORS = {
    "openai": "openai", "azure": "azure", "azure_ai": "azure", "xai": "x-ai", "deepseek": "deepseek",
    "mistral": "mistral", "groq": "groq", "together_ai": "together", "anthropic": "anthropic", "gemini": "google",
    "bedrock": "aws", "bedrock_converse": "aws", "cohere": "cohere", "cohere_chat": "cohere",
    "perplexity": "perplexity", "fireworks_ai": "fireworks", "text-completion-openai": "openai",
}  # fmt: skip
WORDS = {
    "supports_function_calling": "tools", "supports_vision": "vision", "supports_response_schema": "schema",
    "supports_reasoning": "reasoning", "supports_audio_input": "audio",
}  # fmt: skip
KINDS = {
    "chat": "chat", "responses": "chat", "completion": "chat", "embedding": "embedding", "rerank": "rerank",
    "image_generation": "image", "audio_transcription": "transcription", "audio_speech": "speech",
    "moderation": "moderation", "video_generation": "video",
}  # fmt: skip


def generate() -> str:
    """The file's text; loads nothing of the library but its data."""
    packages = next((litellm_python().parents[1] / "lib").glob("python*/site-packages"))
    version = next(packages.glob("litellm-*.dist-info")).name.removeprefix("litellm-").removesuffix(".dist-info")
    entries = json.loads((packages / "litellm" / "model_prices_and_context_window_backup.json").read_text())
    snapshot = get_snapshot()
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for name, entry in sorted(entries.items()):
        vendor, kind = str(entry.get("litellm_provider", "")), KINDS.get(str(entry.get("mode")))
        ours = "google" if vendor.startswith("vertex_ai") else VENDORS.get(vendor)
        if ours is None or kind is None:
            continue
        provider = snapshot.find_provider(None, ours, None)
        known = provider.find_model(name.rpartition("/")[2] if ours in {"google", "aws"} else name.partition("/")[2] or name)
        if known is not None:
            found[ours][known.id] |= {kind, *(word for field, word in WORDS.items() if entry.get(field))}
    models = {vendor: {name: " ".join(sorted(words)) for name, words in sorted(each.items())} for vendor, each in sorted(found.items())}
    vendors = _vendors((packages / "litellm" / "types" / "utils.py").read_text())
    return json.dumps({"source": f"litellm:{version}", "vendors": vendors, "models": models}, indent=0) + "\n"


def _vendors(source: str) -> list[str]:
    """The names that the library calls vendors by."""
    known = next(node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef) and node.name == "LlmProviders")
    return sorted(step.value.value for step in known.body if isinstance(step, ast.Assign) and isinstance(step.value, ast.Constant))


if __name__ == "__main__":
    TARGET.write_text(generate())
