"""Bodies of the usage routes."""

import datetime as dt
from typing import Annotated

from pydantic import Field

from scutum_server.schemas import Answer, Time

Usd = Annotated[str, Field(description="Exact decimal, in USD.", examples=["0.001234"])]


class UsageBefore(Answer):
    requests: int
    cost_usd: Usd


class UsageChange(Answer):
    """Now less before; a percentage is null where there was nothing before."""

    requests: int
    requests_percent: float | None
    cost_usd: Usd
    cost_percent: float | None


class UsageTotal(Answer):
    requests: int
    errors: Annotated[int, Field(description="Requests that ended with status 400 or above.")]
    tokens_in: int
    tokens_out: int
    tokens_cached: int
    cost_usd: Usd
    simulated: Annotated[bool, Field(description="Some of these requests were answered by the simulator.")]
    requests_simulated: Annotated[int, Field(description="Answered by the simulator, which costs nothing.")]
    requests_unpriced: Annotated[
        int, Field(description="Of models whose price nobody knows: they are in the cost with 0.")
    ]
    before: Annotated[UsageBefore | None, Field(description="With `trend`, unless groups are days.")] = None
    change: UsageChange | None = None


class UsageItem(UsageTotal):
    """Only the dimensions that were asked for are present; null where a request had none."""

    org: Annotated[str | None, Field(description="Name, or the id of a deleted org.")] = None
    org_id: str | None = None
    unit: Annotated[str | None, Field(description="The unit that the team is in today.")] = None
    unit_id: str | None = None
    team: Annotated[str | None, Field(description="Name, or the id of a deleted team.")] = None
    team_id: str | None = None
    key: Annotated[str | None, Field(description="Name, or the id of a deleted key.")] = None
    key_id: str | None = None
    user: Annotated[str | None, Field(description="The request's `user`, or the key's owner.")] = None
    model: str | None = None
    provider: str | None = None
    route: str | None = None
    day: Annotated[dt.date | None, Field(description="In the report's time zone.")] = None


class UsagePeriod(Answer):
    since: Time
    until: Time
    complete: Annotated[bool, Field(description="False when nothing was recorded at its beginning yet.")]


class UsageReport(Answer):
    items: list[UsageItem]
    total: Annotated[UsageTotal, Field(description="Over all items, not only this page.")]
    since: Time
    until: Time
    zone: Annotated[str, Field(description="Whose days these are.")]
    before: Annotated[UsagePeriod | None, Field(description="With `trend`: what it is compared with.")] = None
    next: str | None
