"""What the tests ask, in each format's words."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any

from pydantic import BaseModel, Field

WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
CLOCK = {"type": "object", "properties": {"zone": {"type": "string"}}, "required": ["zone"], "additionalProperties": False}
BOTH = "What is the weather in Bern, and what time is it? Call get_weather and get_clock."

CHAT_TOOLS: list[Any] = [
    {"type": "function", "function": {"name": "get_weather", "description": "Weather of a city.", "parameters": WEATHER, "strict": True}},
    {"type": "function", "function": {"name": "get_clock", "parameters": CLOCK}},
]
RESPONSES_TOOLS: list[Any] = [{"type": "function", **tool["function"], "strict": False} for tool in CHAT_TOOLS]
MESSAGES_TOOLS: list[Any] = [
    {"name": "get_weather", "description": "Weather of a city.", "input_schema": WEATHER},
    {"name": "get_clock", "input_schema": CLOCK},
]


class Person(BaseModel):
    """Has a bound, which not every vendor enforces, and a field that may be missing, which not every vendor allows."""

    name: str
    age: int = Field(ge=0, le=150)


class Guest(Person):
    title: str | None = None


def _png() -> bytes:
    def part(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    size = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", size) + part(b"IDAT", zlib.compress(b"\0\0")) + part(b"IEND", b"")


PNG = base64.b64encode(_png()).decode()
