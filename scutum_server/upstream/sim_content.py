"""What the simulator says: text, tool arguments and instances of JSON schemas, all a function of a seed.

A token is up to four bytes of UTF-8: usage counts `ceil(bytes / 4)`, and streams send one token a chunk.
"""

from __future__ import annotations

import hashlib
import math
import operator
import random
import struct
from collections.abc import Iterator
from typing import Any

LABEL = "Simulated answer from Scutum's sim provider: "
_ECHO = 60
_DEPTH = 6
_EMBEDDED_WORDS = 128
_SENTENCES = (
    "This text has no meaning and costs nothing.",
    "It only has the right length, so that limits, budgets and streams can be tried.",
    "A real provider is added with scutum providers add.",
    "Until then every answer looks like this one.",
)
_WORDS = (
    "the",
    "only",
    "right",
    "text",
    "length",
    "meaning",
    "answer",
    "provider",
    "sample",
    "simple",
    "limit",
    "budget",
    "stream",
    "model",
    "value",
    "number",
    "letter",
    "word",
    "line",
    "page",
)


def count_tokens(text: str) -> int:
    """The documented rule: four bytes of UTF-8 are a token."""
    return -(-len(text.encode()) // 4)


def split_tokens(text: str) -> list[str]:
    """Exactly `count_tokens(text)` pieces of whole characters."""
    raw = text.encode()
    if len(raw) == len(text):
        return [text[at : at + 4] for at in range(0, len(text), 4)]
    pieces: list[str] = []
    start = 0
    while start < len(raw):
        # The last beginning of a character up to the next multiple of four: one in any four bytes is a beginning.
        end = min(len(raw), (len(pieces) + 1) * 4)
        while end < len(raw) and raw[end] & 0xC0 == 0x80:
            end -= 1
        pieces.append(raw[start:end].decode())
        start = end
    return pieces


def generator(*parts: object) -> random.Random:
    """The same numbers for the same parts, on every machine."""
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    return random.Random(int.from_bytes(digest))  # noqa: S311 - repeatable is the point


def answer_text(question: str, tokens: int, rng: random.Random) -> str:
    """Text of that many tokens that says it is simulated, quotes the question's beginning, and breaks off with “…”."""
    quoted = " ".join(question[: 4 * _ECHO].split())
    quoted = quoted[:_ECHO].rstrip() + "…" if len(quoted) > _ECHO else quoted
    text = LABEL + (f"you said “{quoted}”. " if quoted else "")
    wanted = tokens * 4
    turn = rng.randrange(len(_SENTENCES))
    while len(text.encode()) < wanted:
        text += _SENTENCES[turn % len(_SENTENCES)] + " "
        turn += 1
    pieces = split_tokens(text)[:tokens]
    if pieces[-1].isascii() and len(pieces[-1]) == 4:
        pieces[-1] = pieces[-1][0] + "…"
    return "".join(pieces)


def instance(schema: Any, rng: random.Random) -> Any:
    """A value that a JSON schema allows, as far as types, required, enum, bounds, lengths and local $ref go."""
    return _instance(schema, schema, rng, 0, "")


def _resolve(schema: Any, root: Any, hops: int = 0) -> dict[str, Any]:
    if not isinstance(schema, dict):
        return {}
    pointer = schema.get("$ref")
    if isinstance(pointer, str) and pointer.startswith("#") and hops < _DEPTH:
        target: Any = root
        for step in pointer[1:].split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            target = target.get(key) if isinstance(target, dict) else None
        return _resolve(target, root, hops + 1)
    merged = dict(schema)
    for part in merged.pop("allOf", None) or ():
        other = _resolve(part, root, hops + 1)
        properties = {**(merged.get("properties") or {}), **(other.get("properties") or {})}
        required = [*(merged.get("required") or ()), *(other.get("required") or ())]
        merged = {**other, **merged}
        if properties:
            merged |= {"properties": properties, "required": required}
    return merged


def _instance(schema: Any, root: Any, rng: random.Random, depth: int, name: str) -> Any:
    schema = _resolve(schema, root)
    if "const" in schema:
        return schema["const"]
    for fixed in ("enum", "examples"):
        if isinstance(schema.get(fixed), list) and schema[fixed]:
            return rng.choice(schema[fixed])
    if "default" in schema:
        return schema["default"]
    for choice in ("anyOf", "oneOf"):
        options = schema.get(choice)
        if isinstance(options, list) and options:
            # The last resort of a schema that contains itself is its empty alternative.
            plain = [option for option in options if _type(_resolve(option, root)) in {"null", "string", "integer"}]
            return _instance((plain or options)[0] if depth > _DEPTH else options[0], root, rng, depth + 1, name)
    match _type(schema):
        case "object":
            return _object(schema, root, rng, depth)
        case "array":
            return _array(schema, root, rng, depth, name)
        case "integer":
            return _number(schema, rng, whole=True)
        case "number":
            return _number(schema, rng, whole=False)
        case "boolean":
            return rng.random() < 0.5
        case "null":
            return None
    return _string(schema, rng, name)


def _type(schema: dict[str, Any]) -> str:
    declared = schema.get("type")
    if isinstance(declared, list):
        declared = next((each for each in declared if each != "null"), "null")
    if isinstance(declared, str):
        return declared
    return "object" if "properties" in schema else "array" if "items" in schema else "string"


def _object(schema: dict[str, Any], root: Any, rng: random.Random, depth: int) -> dict[str, Any]:
    properties = schema.get("properties") or {}
    required = schema.get("required") or ()
    wanted = [name for name in properties if depth < _DEPTH or name in required]
    if depth > 3 * _DEPTH:
        return {}
    return {name: _instance(properties[name], root, rng, depth + 1, name) for name in wanted}


def _array(schema: dict[str, Any], root: Any, rng: random.Random, depth: int, name: str) -> list[Any]:
    fixed = schema.get("prefixItems") or []
    least = max(int(schema.get("minItems", 0)), 0 if depth >= _DEPTH else 1)
    count = min(least, int(schema.get("maxItems", 100)), 100)
    members = [_instance(item, root, rng, depth + 1, name) for item in fixed]
    return members + [_instance(schema.get("items"), root, rng, depth + 1, name) for _ in range(count - len(members))]


def _number(schema: dict[str, Any], rng: random.Random, *, whole: bool) -> int | float:
    step = schema.get("multipleOf") or (1 if whole else 0.5)
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    if low is None:
        low = 0 if high is None else high - 100 * step
    if high is None:
        high = low + 100 * step
    first = math.floor(low / step) + 1 if "exclusiveMinimum" in schema else math.ceil(low / step)
    last = math.ceil(high / step) - 1 if "exclusiveMaximum" in schema else math.floor(high / step)
    value = (rng.randint(first, last) if first <= last else first) * step
    return int(value) if whole else float(value)


_FORMATS = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "email": "simulated@example.com",
    "uri": "https://example.com/simulated",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "ipv4": "192.0.2.1",
    "hostname": "example.com",
}


def _string(schema: dict[str, Any], rng: random.Random, name: str) -> str:
    if schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]]
    text = f"simulated {name}".strip() if name else f"simulated {rng.choice(_WORDS)}"
    least, most = int(schema.get("minLength", 0)), int(schema.get("maxLength", 1_000))
    return (text + " simulated" * (max(0, least - len(text)) // 10 + 1) if len(text) < least else text)[:most]


def _direction(word: str, dimensions: int, seed: int) -> tuple[int, ...]:
    digest = hashlib.shake_256(f"{seed}\x1f{word}".encode()).digest(2 * dimensions)
    return struct.unpack(f"<{dimensions}h", digest)


def embedding(text: str, dimensions: int, seed: int) -> list[float]:
    """A unit vector; texts that share words point the same way, so that look-ups by likeness can be tried."""
    words = text.lower().split()[:_EMBEDDED_WORDS]
    total = [part / 8 for part in _direction("\x1f" + text, dimensions, seed)]
    for word in words:
        total = list(map(operator.add, total, _direction(word, dimensions, seed)))
    norm = math.sqrt(sum(part * part for part in total)) or 1.0
    return [part / norm for part in total]


def logprobs(pieces: list[str], top: int, rng: random.Random) -> Iterator[dict[str, Any]]:
    """One entry a token, with `top` alternatives of which the token itself is the first."""
    for piece in pieces:
        own = {"token": piece, "logprob": -round(rng.random(), 6), "bytes": list(piece.encode())}
        others: list[dict[str, Any]] = []
        for place in range(top):
            word = piece if place == 0 else _WORDS[place]
            value = own["logprob"] if place == 0 else float(own["logprob"]) - place  # type: ignore[arg-type]
            others.append({"token": word, "logprob": value, "bytes": list(word.encode())})
        yield {**own, "top_logprobs": others}
