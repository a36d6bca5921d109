"""The server's settings."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from scutum_cli.render.columns import Column
from scutum_cli.render.text import age, when

if TYPE_CHECKING:
    from scutum_cli.client.types import Setting


def value_text(value: Any) -> str:
    """A setting's value as `settings set` takes it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


DETAILS: list[Column[Setting]] = [
    Column("key", "KEY"),
    Column("value", "VALUE", lambda setting, _: value_text(setting["value"])),
    Column("default", "DEFAULT", lambda setting, _: value_text(setting["default"])),
    Column("description", "WHAT IT DOES"),
    Column("updated_at", "CHANGED", lambda setting, face: when(setting["updated_at"], face)),
]
COLUMNS: list[Column[Setting]] = [
    Column("key", "KEY"),
    Column("value", "VALUE", lambda setting, _: value_text(setting["value"])),
    Column("default", "DEFAULT", lambda setting, _: value_text(setting["default"])),
    Column("updated_at", "CHANGED", lambda setting, face: age(setting["updated_at"], face), extra=True),
    Column("description", "WHAT IT DOES"),
]
