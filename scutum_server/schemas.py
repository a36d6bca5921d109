"""What every HTTP body of the admin API has in common."""

import datetime as dt
import math
from typing import Annotated, Any

from fastapi import Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from scutum_server.infra.listing import Ask

MAX_DEPTH = 20
"""Nesting that a body may have; more is a mistake or an attack."""


def _storable(value: object) -> None:
    """Refuses what JSON can say and Postgres cannot hold: NUL, lone surrogates, infinities."""
    level: list[object] = [value]
    for _ in range(MAX_DEPTH):
        below: list[object] = []
        for item in level:
            if isinstance(item, str):
                if "\0" in item or any("\ud800" <= character <= "\udfff" for character in item):
                    raise ValueError("text must not hold NUL or half a character")
            elif isinstance(item, float):
                if not math.isfinite(item):
                    raise ValueError("numbers must be finite")
            elif isinstance(item, dict):
                below += [*item.keys(), *item.values()]
            elif isinstance(item, list):
                below += item
        if not below:
            return
        level = below
    raise ValueError(f"nested deeper than {MAX_DEPTH} levels")


class Body(BaseModel):
    """A request's body: unknown fields are refused by name."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unstorable(cls, data: Any) -> Any:
        _storable(data)
        return data


class Answer(BaseModel):
    """An answer, read from the attributes of a domain's model."""

    model_config = ConfigDict(from_attributes=True)


def _in_utc(moment: dt.datetime) -> dt.datetime:
    return moment.astimezone(dt.UTC)


Time = Annotated[dt.datetime, AfterValidator(_in_utc)]
"""An instant of an answer, in UTC whatever the database's time zone is."""


class ListQuery(BaseModel):
    """What every list may be asked; a list adds its filters, and which columns it sorts by as `sort`."""

    model_config = ConfigDict(extra="forbid")

    limit: Annotated[int, Field(ge=1, le=500, description="How many items at most.")] = 100
    cursor: Annotated[str | None, Field(max_length=1000, description="`next` of the page before.")] = None

    def ask(self, *but: str) -> Ask:
        """For the store, without the filters that are references and must be resolved first."""
        given = self.model_dump(exclude_none=True)
        own = {name: str(value) for name, value in given.items() if name not in {"limit", "cursor", "sort", *but}}
        return Ask(limit=self.limit, cursor=self.cursor, sort=given.get("sort"), filters=own)


Filter = Annotated[str | None, Field(max_length=200)]
NameFilter = Annotated[str | None, Field(max_length=200, description="Only this one; `ci*` for all that begin so.")]
SORT = "By this column, or the other way with a - before it."

Limit = Annotated[int, Query(ge=1, le=500, description="How many items at most.")]
Cursor = Annotated[str | None, Query(max_length=1000, description="`next` of the page before.")]
