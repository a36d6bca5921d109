"""A configuration as a file says it, the live one in the same terms, and what leads from one to the other."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

from msgspec import Struct

from scutum_server.errors import Conflict, InvalidInput

VERSION: Final = 1
"""Of the file's form; files of every form up to this one are understood."""
MAX_FAULTS: Final = 20

Identity = tuple[str, ...]
"""Names that tell an object from all others of its section; empty where one of them does not apply."""
Action = Literal["create", "update", "delete"]


class Place(Struct, frozen=True):
    """Where something stands in the file, both from 1 on."""

    line: int
    column: int


class Item(Struct, frozen=True, kw_only=True):
    """One object of a file. `fields` holds what it says, defaults left out; `places` where."""

    identity: Identity
    fields: dict[str, Any]
    place: Place
    places: dict[str, Place]


Sections = dict[str, dict[Identity, Item]]
"""What a file manages: a section that it does not have is left alone."""


class Live(Struct, frozen=True, kw_only=True):
    """An object as it is; `fields` in the same form as a file's, `id` what it is called by inside."""

    id: str
    fields: dict[str, Any]


State = dict[str, dict[Identity, Live]]


class Change(Struct, frozen=True, kw_only=True):
    """One object that is not as the file has it. `fields` are the ones that differ, as [before, after]."""

    action: Action
    section: str
    noun: str
    name: str
    fields: dict[str, tuple[Any, Any]]
    identity: Identity
    place: Place | None = None
    places: dict[str, Place] = {}


class Plan(Struct, frozen=True, kw_only=True):
    """Changes in the order in which they are made, and the secrets that they need, by reference.

    `digest` is the same for the same changes; `missing` are the references that nobody has told the value of.
    """

    changes: list[Change]
    secrets: list[str]
    missing: list[str]
    digest: str

    def count(self, action: Action) -> int:
        return sum(change.action == action for change in self.changes)


class Applied(Struct, frozen=True, kw_only=True):
    """The file that was applied last, and since when the live state is not what it says."""

    sha256: str
    pruned: bool
    objects: int
    applied_at: dt.datetime
    applied_by: str
    drifted_since: dt.datetime | None
    checked_at: dt.datetime | None


class Drift(Struct, frozen=True, kw_only=True):
    """`applied` is None when no file ever was."""

    applied: Applied | None
    changes: list[Change]


class Fault(Struct, frozen=True):
    """What is wrong at one place of a file; `field` says in words where that is."""

    field: str
    message: str
    place: Place | None = None

    def told(self) -> dict[str, Any]:
        place = self.place
        found: dict[str, Any] = {"field": self.field, "message": self.message}
        return found if place is None else found | {"line": place.line, "column": place.column}

    def __str__(self) -> str:
        where = f"line {self.place.line}, column {self.place.column}: " if self.place is not None else ""
        return f"{where}{self.field}: {self.message}" if self.field else f"{where}{self.message}"


class InvalidFile(InvalidInput):
    """Nothing was changed; `errors` names every place that is wrong, the first ones at least."""

    code = "invalid_file"

    def __init__(self, faults: Iterable[Fault], *, hint: str | None = None) -> None:
        self.faults = list(faults)[:MAX_FAULTS]
        first = str(self.faults[0]).rstrip(".")
        more = f" ({len(self.faults) - 1} more)" if len(self.faults) > 1 else ""
        super().__init__(
            f"The file is wrong in {first}{more}." if self.faults[0].place else f"{first}{more}.", hint=hint
        )
        self.errors = [fault.told() for fault in self.faults]


class PlanChanged(Conflict):
    """What was agreed to is no longer what would be done."""

    code = "plan_changed"


class ApplyRunning(Conflict):
    code = "apply_running"


def shown(identity: Iterable[str]) -> str:
    """An identity as people read it: `default/search/my-app`."""
    return "/".join(part for part in identity if part) or "global"


def compact(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is not said."""
    return {name: value for name, value in fields.items() if value is not None}
