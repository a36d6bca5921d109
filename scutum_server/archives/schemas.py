"""Bodies of the archive routes."""

import datetime as dt
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from scutum_server.schemas import SORT, Answer, Body, ListQuery, Time

TableName = Literal["audit_logs", "spend_logs"]


class ArchiveQuery(ListQuery):
    sort: Annotated[Literal["month", "-month", "rows", "-rows"], Field(description=SORT)] = "-month"
    table: TableName | None = None
    state: Literal["writing", "verified", "failed"] | None = None


class Archive(Answer):
    """A month's rows, or some of them, as one Parquet file in an object store."""

    id: str
    table: str
    month: dt.date
    part: Annotated[int, Field(description="0, or more for rows that came after their month was archived.")]
    state: Annotated[str, Field(description="writing, verified or failed.")]
    store_url: str
    key: str
    version: str | None
    rows: int | None
    bytes: int | None
    sha256: str | None
    first_at: Time | None
    last_at: Time | None
    locked_until: Annotated[Time | None, Field(description="Until when the object store lets nobody delete it.")]
    error: str | None
    started_at: Time
    verified_at: Time | None
    dropped_at: Annotated[Time | None, Field(description="When its rows left the database; null: they are in both.")]


class ArchiveList(Answer):
    items: list[Archive]
    next: str | None


class ArchiveMonth(Answer):
    """A month in the database. `rows` is an estimate, `bytes` with indexes."""

    table: str
    month: dt.date
    rows: int
    bytes: int
    due_at: Time
    due: bool


class ArchiveRetention(Answer):
    """Days that rows stay in the database."""

    days: Annotated[int, Field(description="In force.")]
    licensed: Annotated[int, Field(description="What the licence gives.")]
    confirmed: Annotated[int, Field(description="What is kept until somebody confirms that the licence gives fewer.")]
    wanted: Annotated[int | None, Field(description="The setting archive.retention_days.")]
    to_confirm: Annotated[int | None, Field(description="The licence's fewer days, while nobody has confirmed them.")]


class ArchiveStatus(Answer):
    url: str | None
    at: str
    other_roots: list[str]
    lock_days: int
    lock_compliance: bool
    retention: ArchiveRetention
    months: list[ArchiveMonth]
    running: bool
    problem: str | None


class ArchiveRun(Answer):
    queued: Annotated[bool, Field(description="Whether the worker was told to.")]
    running: Annotated[bool, Field(description="One was under way already.")]
    months: list[ArchiveMonth]


class ArchiveRetentionConfirm(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [{"days": 30}]})

    days: Annotated[int, Field(ge=1, le=36_500, description="What the licence gives.")]


class ArchiveCheck(Answer):
    ok: bool
    detail: Annotated[str | None, Field(description="What is wrong with the object.")]


class ArchiveProbe(Answer):
    """What the object store does with a locked object, as tried out."""

    url: str
    enforced: bool
    reason: str
