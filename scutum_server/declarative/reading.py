"""YAML as a tree whose every part knows its place. Nothing recurses, so that no nesting can hurt.

The parser's events are used and not its loader: that one goes down the C stack with the file's nesting.
"""

from __future__ import annotations

import math
import re
from typing import Any, Final

import yaml
from msgspec import Struct

from scutum_server.declarative.models import Fault, InvalidFile, Place

MAX_FILE: Final = 32 * 1024 * 1024
MAX_DEPTH: Final = 40
MAX_NODES: Final = 2_000_000
_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_BEGINNING: Final = Place(1, 1)
_RESOLVER: Final = yaml.resolver.Resolver()
"""Which plain words are numbers or flags: the same rules by which the writer puts quotes."""
_TAGS: Final = frozenset({None, "!", *(f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map"))})
_DECIMAL: Final = re.compile(r"[-+]?(0|[1-9][0-9]{0,30})")
_FLAGS: Final = {"true": True, "false": False, "yes": True, "no": False, "on": True, "off": False}


class Scalar(Struct, frozen=True):
    """`plain` without quotes: only then it can be a number, a flag or nothing."""

    text: str
    plain: bool
    place: Place

    @property
    def empty(self) -> bool:
        return self.plain and self.text in _NULLS

    @property
    def flag(self) -> bool | None:
        return _FLAGS.get(self.text.lower()) if self.plain else None


class Sequence(Struct):
    items: list[Node]
    place: Place


class Mapping(Struct):
    """`pairs` in the file's order, each name once."""

    pairs: dict[str, Node]
    names: dict[str, Place]
    place: Place


Node = Scalar | Sequence | Mapping


class _Open(Struct):
    """A collection whose end has not come yet."""

    node: Sequence | Mapping
    key: str | None = None
    expects_key: bool = True


def read(text: str) -> Node | None:
    """The one document of a file; None when there is nothing in it. Raises InvalidFile."""
    if len(text) > MAX_FILE:
        raise InvalidFile([Fault("", f"it is larger than {MAX_FILE // 1024 // 1024} MB")])
    if "\0" in text or not _encodable(text):
        raise InvalidFile([Fault("", "it holds characters that cannot be kept")])
    try:
        return _build(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        words = error.problem or "cannot be read"
        place = None if mark is None else Place(mark.line + 1, mark.column + 1)
        raise InvalidFile([Fault("", f"this is not YAML: {words}", place)]) from None
    except yaml.YAMLError as error:
        raise InvalidFile([Fault("", f"this is not YAML: {str(error).splitlines()[0]}")]) from None


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _build(text: str) -> Node | None:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    stack: list[_Open] = []
    root: Node | None = None
    documents = nodes = 0
    for event in yaml.parse(text, Loader=loader):
        mark = event.start_mark
        place = Place(mark.line + 1, mark.column + 1) if mark is not None else _BEGINNING
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise InvalidFile([Fault("", "a second document begins here: one file holds one", place)])
        elif isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise InvalidFile([Fault("", "anchors and aliases (& and *) are not understood: write it out", place)])
        elif getattr(event, "tag", None) not in _TAGS:
            raise InvalidFile([Fault("", "tags (!) are not understood: leave it out", place)])
        elif isinstance(event, yaml.ScalarEvent):
            nodes += 1
            scalar = Scalar(event.value, event.implicit[0] and event.tag is None, place)
            root = _put(stack, scalar, root)
        elif isinstance(event, yaml.SequenceStartEvent | yaml.MappingStartEvent):
            nodes += 1
            if len(stack) >= MAX_DEPTH:
                raise InvalidFile([Fault("", f"it is nested deeper than {MAX_DEPTH} levels", place)])
            made: Sequence | Mapping
            made = Sequence([], place) if isinstance(event, yaml.SequenceStartEvent) else Mapping({}, {}, place)
            root = _put(stack, made, root)
            stack.append(_Open(made))
        elif isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
            stack.pop()
        if nodes > MAX_NODES:
            raise InvalidFile([Fault("", f"it has more than {MAX_NODES} values", place)])
    return root


def _put(stack: list[_Open], node: Node, root: Node | None) -> Node:
    """Hangs the node where the parser is; returns the root."""
    if not stack:
        return node
    top = stack[-1]
    if isinstance(top.node, Sequence):
        top.node.items.append(node)
    elif top.expects_key:
        if not isinstance(node, Scalar):
            raise InvalidFile([Fault("", "a name is expected here", node.place)])
        if node.text in top.node.pairs or node.text in top.node.names:
            raise InvalidFile([Fault(node.text[:60], "is there twice", node.place)])
        top.key, top.expects_key = node.text, False
        top.node.names[node.text] = node.place
    else:
        top.node.pairs[str(top.key)] = node
        top.expects_key = True
    return root if root is not None else node


def plain_value(node: Node) -> Any:
    """What JSON would have of it; raises ValueError for what is neither."""
    if isinstance(node, Sequence):
        return [plain_value(item) for item in node.items]
    if isinstance(node, Mapping):
        return {name: plain_value(item) for name, item in node.pairs.items()}
    if not node.plain:
        return node.text
    if node.empty:
        return None
    tag = str(_RESOLVER.resolve(yaml.ScalarNode, node.text, (True, False))).rpartition(":")[2]  # type: ignore[no-untyped-call]
    if tag == "bool":
        return node.flag
    if tag == "int":
        if not _DECIMAL.fullmatch(node.text):
            raise ValueError("write this number in plain decimal digits, or with quotes if it is text")
        return int(node.text)
    if tag == "float":
        number = (
            float(node.text.replace("_", "")) if ":" not in node.text and "n" not in node.text.lower() else math.nan
        )
        if not math.isfinite(number):
            raise ValueError("this is no number that can be kept; with quotes it is text")
        return number
    return node.text
