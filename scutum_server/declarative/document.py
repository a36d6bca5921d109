"""From a file's text to the objects that it manages: every value checked, every fault with its place."""

from __future__ import annotations

import datetime as dt
import difflib
import ipaddress
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from scutum_server.declarative.form import DEFAULT_ORG, PERIODS, SECTIONS, Field, Section, without_defaults
from scutum_server.declarative.models import (
    MAX_FAULTS,
    VERSION,
    Fault,
    Identity,
    InvalidFile,
    Item,
    Place,
    Sections,
    shown,
)
from scutum_server.declarative.reading import Mapping, Node, Scalar, Sequence, plain_value, read
from scutum_server.infra import names

_HASH: Final = re.compile(r"[0-9a-fA-F]{64}")
_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]{0,18})")
_REFERENCE: Final = re.compile(r"(env:[A-Za-z_][A-Za-z0-9_]{0,199}|file:.{1,1000})")
_MAX_TEXT: Final = 2000
_MAX_NANO: Final = 9_000_000


class _Wrong(ValueError):
    """A value that its field cannot have; the text goes on after the field's name."""

    def __init__(self, message: str, place: Place | None = None) -> None:
        super().__init__(message)
        self.place = place


def parse(text: str) -> Sections:
    """The objects of a file by section and identity; raises InvalidFile, which names every fault with its place."""
    return _Reader().document(read(text))


class _Reader:
    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def document(self, root: Node | None) -> Sections:
        if not isinstance(root, Mapping):
            place = root.place if root is not None else Place(1, 1)
            raise InvalidFile([Fault("", "a file begins with `version: 1` and has sections such as `teams:`", place)])
        self._version(root)
        found: Sections = {}
        for name, node in root.pairs.items():
            if name == "version":
                continue
            if name not in SECTIONS:
                self._fault(name, _unknown(name, [*SECTIONS, "version"]), root.names[name])
                continue
            found[name] = self._settings(node) if name == "settings" else self._section(name, node)
        if self._faults:
            raise InvalidFile(self._faults)
        return found

    def _fault(self, field: str, message: str, place: Place) -> None:
        self._faults.append(Fault(field, message, place))
        if len(self._faults) >= MAX_FAULTS:
            raise InvalidFile(self._faults)

    def _version(self, root: Mapping) -> None:
        node = root.pairs.get("version")
        if node is None:
            self._fault("version", "is missing: a file begins with `version: 1`", root.place)
            return
        text = node.text if isinstance(node, Scalar) else ""
        if not text.isdecimal() or not 1 <= int(text) <= VERSION:
            newer = text.isdecimal() and int(text) > VERSION
            why = "is of a newer release than this one" if newer else f"is {VERSION} in this release"
            raise InvalidFile([Fault("version", why, node.place)])

    def _section(self, name: str, node: Node) -> dict[Identity, Item]:
        found: dict[Identity, Item] = {}
        if isinstance(node, Scalar) and node.empty:
            return found
        if not isinstance(node, Sequence):
            self._fault(name, "is a list: each object begins with a dash", node.place)
            return found
        for number, entry in enumerate(node.items):
            where = f"{name}[{number}]"
            if not isinstance(entry, Mapping):
                self._fault(where, "is an object with names and values", entry.place)
                continue
            item = self._item(name, where, entry)
            if item is None:
                continue
            first = found.get(item.identity)
            if first is not None:
                said = f"“{shown(item.identity)}” is on line {first.place.line} already"
                self._fault(where, said, item.place)
                continue
            found[item.identity] = item
        return found

    def _item(self, name: str, where: str, node: Mapping) -> Item | None:
        section, before = SECTIONS[name], len(self._faults)
        for key, place in node.names.items():
            if key not in section.fields and key not in section.identity:
                self._fault(f"{where}.{key}", _unknown(key, [*section.identity, *section.fields]), place)
        identity = self._identity(section, where, node)
        fields: dict[str, Any] = {}
        for key, field in section.fields.items():
            count = len(self._faults)
            value = self._value(field, f"{where}.{key}", node.pairs.get(key))
            if value is None and field.required and len(self._faults) == count:
                place = node.names.get(key, node.place)
                self._fault(f"{where}.{key}", "is missing", place)
            fields[key] = value
        if len(self._faults) > before or identity is None:
            return None
        fields = _canonical(name, identity, fields)
        self._sense(name, where, node, fields)
        if len(self._faults) > before:
            return None
        return Item(identity=identity, fields=fields, place=node.place, places=dict(node.names))

    def _identity(self, section: Section, where: str, node: Mapping) -> Identity | None:
        found: dict[str, str] = {}
        before = len(self._faults)
        for key in section.identity:
            value = self._value(Field(kind="text"), f"{where}.{key}", node.pairs.get(key))
            if value is not None:
                # An address of mail is the same in capitals.
                found[key] = names.canonical(value).lower() if key == "email" else names.canonical(value)
        if section.scopes is not None:
            self._scope(section, where, node, found)
        elif section.org:
            found.setdefault("org", DEFAULT_ORG)
        if section.scopes is None:
            for key in section.identity:
                if key not in found and not (section.anywhere and key == "org"):
                    self._fault(f"{where}.{key}", "is missing", node.place)
        if len(self._faults) > before:
            return None
        return tuple(found.get(key, "") for key in section.identity)

    def _scope(self, section: Section, where: str, node: Mapping, found: dict[str, str]) -> None:
        scope = found.get("scope", "")
        scopes = section.scopes or {}
        if scope not in scopes:
            self._fault(f"{where}.scope", f"is one of {', '.join(scopes)}", node.names.get("scope", node.place))
            return
        wanted = scopes[scope]
        if "org" in wanted:
            found.setdefault("org", DEFAULT_ORG)
        for key in section.identity:
            if key == "period":
                if found.get(key) not in PERIODS:
                    self._fault(f"{where}.period", "is day, week or month", node.names.get(key, node.place))
            elif key != "scope" and (key in found) != (key in wanted):
                said = f"is needed by the scope {scope}" if key in wanted else f"is not taken by the scope {scope}"
                self._fault(f"{where}.{key}", said, node.names.get(key, node.place))

    def _value(self, field: Field, where: str, node: Node | None) -> Any:
        if node is None or (isinstance(node, Scalar) and node.empty and field.kind != "any"):
            return None
        try:
            value = _READERS[field.kind](field, node)
        except _Wrong as wrong:
            self._fault(where, str(wrong), wrong.place or node.place)
            return None
        if field.choices and value not in field.choices:
            self._fault(where, f"is one of {', '.join(field.choices)}", node.place)
            return None
        return value

    def _settings(self, node: Node) -> dict[Identity, Item]:
        """`settings` is a mapping of names to values."""
        found: dict[Identity, Item] = {}
        if isinstance(node, Scalar) and node.empty:
            return found
        if not isinstance(node, Mapping):
            self._fault("settings", "has names and values such as `keys.default_ttl_days: 90`", node.place)
            return found
        for key, value in node.pairs.items():
            place = node.names[key]
            read_value = self._value(Field(kind="any"), f"settings.{key}", value)
            places = {"key": place, "value": value.place}
            found[(key,)] = Item(identity=(key,), fields={"value": read_value}, place=place, places=places)
        return found

    def _sense(self, name: str, where: str, node: Mapping, fields: dict[str, Any]) -> None:
        """What concerns several fields of one object."""
        if name == "aliases":
            automatic = bool(fields.get("automatic"))
            if automatic and set(fields) - {"automatic"}:
                field = next(iter(set(fields) - {"automatic"}))
                self._fault(f"{where}.{field}", "is chosen by itself for an automatic alias", node.names[field])
            if not automatic and not fields.get("targets"):
                self._fault(f"{where}.targets", "is missing", node.names.get("targets", node.place))
        if name == "limits" and not any(
            rate in fields for rate in ("rpm", "tpm", "rpd", "tpd", "concurrency", "burst")
        ):
            self._fault(where, "has at least one of rpm, tpm, rpd, tpd, concurrency, burst", node.place)


def _canonical(section: str, identity: Identity, fields: dict[str, Any]) -> dict[str, Any]:
    if section == "models" and fields.get("upstream_model") == identity[1]:
        fields["upstream_model"] = None
    return without_defaults(section, fields)


def _unknown(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"is not known here; did you mean {near[0]}?" if near else f"is not known here; known: {', '.join(known)}"


def _scalar(node: Node, words: str) -> Scalar:
    if not isinstance(node, Scalar):
        raise _Wrong(f"is {words}, not a list or an object")
    return node


def _text(field: Field, node: Node) -> str:
    del field
    text = _scalar(node, "a text").text
    if len(text) > _MAX_TEXT or not text.isprintable():
        raise _Wrong(f"is a text of at most {_MAX_TEXT} characters that can be shown")
    return text


def _number(field: Field, node: Node) -> int:
    scalar = _scalar(node, "a whole number")
    if not scalar.plain or not _NUMBER.fullmatch(scalar.text) or not field.low <= int(scalar.text) <= field.high:
        raise _Wrong(f"is a whole number from {field.low} to {field.high}")
    return int(scalar.text)


def _flag(field: Field, node: Node) -> bool:
    del field
    found = _scalar(node, "true or false").flag
    if found is None:
        raise _Wrong("is true or false")
    return found


def _list(node: Node, words: str) -> list[Node]:
    if not isinstance(node, Sequence):
        raise _Wrong(f"is a list of {words}")
    return node.items


def _texts(field: Field, node: Node) -> list[str]:
    found = []
    for item in _list(node, "texts"):
        text = _text(field, item) if isinstance(item, Scalar) and not item.empty else ""
        if not text:
            raise _Wrong("has an entry that is no text", item.place)
        found.append(text)
    return list(dict.fromkeys(found))


def _networks(field: Field, node: Node) -> list[str]:
    try:
        return [str(ipaddress.ip_network(text)) for text in _texts(field, node)]
    except ValueError as error:
        raise _Wrong(f"lists addresses or networks: {error}") from None


def _numbers(field: Field, node: Node) -> list[int]:
    return [_number(field, item) for item in _list(node, "whole numbers")]


def _time(field: Field, node: Node) -> str:
    del field
    text = _scalar(node, "a time").text
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise _Wrong("is a time with its zone, such as 2027-01-31T12:00:00Z")
    return instant(moment)


def instant(moment: dt.datetime) -> str:
    """A time as files have it: in UTC, as short as it can be."""
    return moment.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


def _money(field: Field, node: Node) -> str:
    del field
    text = _scalar(node, "a number of US dollars").text
    try:
        amount = Decimal(text)
        fine = amount.is_finite() and 0 <= amount <= _MAX_NANO and amount * 10**9 == int(amount * 10**9)
    except (InvalidOperation, ValueError, OverflowError):
        fine = False
    if not fine:
        raise _Wrong(f"is a number of US dollars from 0 to {_MAX_NANO}, such as 25.50")
    return dollars(amount)


def dollars(amount: Decimal) -> str:
    """US dollars as files have them: no exponent, no needless zeros."""
    text = f"{amount:f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


def _any(field: Field, node: Node) -> Any:
    del field
    try:
        return plain_value(node)
    except ValueError as error:
        raise _Wrong(f"cannot be read: {error}") from None


def _map(field: Field, node: Node) -> dict[str, Any]:
    if not isinstance(node, Mapping):
        raise _Wrong("is an object with names and values")
    found: dict[str, Any] = _any(field, node)
    return found


def _price(field: Field, node: Node) -> dict[str, int]:
    del field
    if not isinstance(node, Mapping):
        raise _Wrong("has input_nano, output_nano and perhaps cached_nano")
    known = ("input_nano", "output_nano", "cached_nano")
    found = {}
    for name, place in node.names.items():
        if name not in known:
            raise _Wrong(f"has an unknown {name}: it has {', '.join(known)}", place)
    for name in known:
        item = node.pairs.get(name)
        if item is not None and not (isinstance(item, Scalar) and item.empty):
            found[name] = _number(Field(kind="number", high=10**12), item)
        elif name != "cached_nano":
            raise _Wrong(f"has no {name}")
    return found


def _hash(field: Field, node: Node) -> str:
    text = _text(field, node).removeprefix("sha256:")
    if not _HASH.fullmatch(text):
        raise _Wrong("is the SHA-256 of the key in 64 hexadecimal digits, never the key itself")
    return text.lower()


def _reference(field: Field, node: Node) -> str:
    text = _text(field, node)
    if not _REFERENCE.fullmatch(text):
        # Whatever it is, it may be a secret: it is not repeated.
        raise _Wrong(
            "names where the secret is, such as env:OPENAI_API_KEY or file:/run/secrets/openai; never the secret"
        )
    return text


_READERS: Final[dict[str, Callable[[Field, Node], Any]]] = {
    "text": _text, "number": _number, "flag": _flag, "texts": _texts, "networks": _networks, "numbers": _numbers,
    "time": _time, "money": _money, "any": _any, "map": _map, "price": _price, "hash": _hash, "reference": _reference,
}  # fmt: skip
