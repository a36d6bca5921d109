"""The live state as a file: sections and objects in a fixed order, so that the same state is the same bytes."""

from __future__ import annotations

from typing import Any, Final

import yaml

from scutum_server.declarative.form import SECTIONS
from scutum_server.declarative.models import VERSION, Identity, State

_HEAD: Final = """\
# Scutum's configuration, written by: scutum config export
# No secrets: keys by their hash, providers' keys by reference (api_key: env:NAME, told where scutum config apply runs).
"""


def write(state: State) -> str:
    """A file that, applied to an empty install, makes this state."""
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    parts = [_HEAD, f"version: {VERSION}\n"]
    for name, section in SECTIONS.items():
        objects = state.get(name, {})
        if name == "settings":
            content: Any = {key[0]: live.fields["value"] for key, live in sorted(objects.items())}
        else:
            rows = objects.items() if name == "models" else sorted(objects.items())
            content = [_entry(section.identity, identity, live.fields) for identity, live in rows]
        if not content:
            parts.append(f"\n{name}: {'{}' if name == 'settings' else '[]'}\n")
            continue
        text = yaml.dump(
            {name: content}, Dumper=dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=1000
        )
        parts.append(f"\n{text}")
    return "".join(parts)


def _entry(names: tuple[str, ...], identity: Identity, fields: dict[str, Any]) -> dict[str, Any]:
    said = {name: value for name, value in zip(names, identity, strict=True) if value}
    return said | fields
