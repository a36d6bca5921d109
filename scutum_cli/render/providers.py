"""Providers, and what a test call to one found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from scutum_cli.render.columns import Column
from scutum_cli.render.text import NOTHING, Face, age, listed, when

if TYPE_CHECKING:
    from scutum_cli.client.types import Preset, Probe, Provider, ProviderKey


def settings_text(settings: Mapping[str, Any]) -> str:
    """What differs from the defaults: `latency_ms=200, timeouts.total_ms=600000`."""
    flat = []
    for name, value in settings.items():
        inner = value.items() if isinstance(value, dict) else [("", value)]
        flat += [f"{name}.{key}={one}".replace(".=", "=") for key, one in inner]
    return listed(flat, "all at their defaults")


def _kind(provider: Provider, face: Face) -> str:
    del face
    return f"{provider['kind']} (simulated)" if provider["simulated"] else provider["kind"]


def _key(provider: Provider, face: Face) -> str:
    del face
    further = provider["keys"] - (provider["api_key_hint"] is not None)
    return (provider["api_key_hint"] or "none") + (f" and {further} more" if further else "")


def _settings(provider: Provider, face: Face) -> str:
    del face
    return settings_text(provider["settings"])


COLUMNS: list[Column[Provider]] = [
    Column("name", "NAME"),
    Column("kind", "KIND"),
    Column("base_url", "ADDRESS"),
    Column("api_key_hint", "KEY", _key),
    Column("models", "MODELS", lambda provider, _: listed(provider["models"])),
    Column("created_at", "CREATED", lambda provider, face: age(provider["created_at"], face), extra=True),
    Column("settings", "SETTINGS", _settings, extra=True),
    Column("simulated", "SIMULATED", extra=True),
    Column("id", "ID", extra=True),
]

DETAILS: list[Column[Provider]] = [
    Column("name", "NAME"),
    Column("id", "ID"),
    Column("kind", "KIND", _kind),
    Column("base_url", "ADDRESS"),
    Column("api_key_hint", "KEY", _key),
    Column("models", "MODELS", lambda provider, _: listed(provider["models"])),
    Column("settings", "SETTINGS", _settings),
    Column("created_at", "CREATED", lambda provider, face: when(provider["created_at"], face)),
]

KEYS: list[Column[ProviderKey]] = [
    Column("id", "ID"),
    Column("hint", "KEY"),
    Column("created_at", "ADDED", lambda key, face: age(key["created_at"], face)),
]

_WORDS = {"base_url": "its address", "vendor": "LiteLLM's name of the vendor"}


def _needs(preset: Preset, face: Face) -> str:
    del face
    needs = [_WORDS.get(name, name) for name in preset["needs"]]
    if preset["api_key"] == "required":
        needs.append(preset["key"] + (" (other servers may need none)" if preset["others"] else ""))
    return listed(needs)


def _address(preset: Preset, face: Face) -> str:
    del face
    theirs = "the vendor's own" if preset["kind"] == "litellm" else NOTHING
    return preset["base_url"] or preset["base_url_example"] or theirs


PRESETS: list[Column[Preset]] = [
    Column("name", "KIND"),
    Column("title", "PROVIDER"),
    Column("needs", "NEEDS", _needs),
    Column("base_url", "ADDRESS", _address),
    Column("api_key", "KEY", extra=True),
    Column("example_model", "A MODEL", extra=True),
    Column("settings", "SETTINGS", lambda preset, _: settings_text(preset["settings"]), extra=True),
]

PROBE: list[Column[Probe]] = [
    Column("ok", "RESULT", lambda probe, _: "answers" if probe["ok"] else "fails"),
    Column("model", "MODEL"),
    Column("latency_ms", "LATENCY", lambda probe, _: f"{probe['latency_ms']} ms"),
    Column("reply", "REPLY", lambda probe, _: " ".join((probe["reply"] or NOTHING).split())),
]
