"""Bodies of the usage routes."""

from typing import Annotated

from pydantic import Field

from scutum_server.schemas import Answer, Time


class UsageTotal(Answer):
    requests: int
    errors: Annotated[int, Field(description="Requests that ended with status 400 or above.")]
    tokens_in: int
    tokens_out: int
    tokens_cached: int
    cost_usd: Annotated[str, Field(description="Exact decimal, in USD.", examples=["0.001234"])]
    simulated: Annotated[bool, Field(description="Some of these requests were answered by the simulator.")]


class UsageItem(UsageTotal):
    """Only the dimensions that were asked for are present; null where a request had none."""

    model: str | None = None
    provider: str | None = None
    team: Annotated[str | None, Field(description="Name, or the id of a deleted team.")] = None
    team_id: str | None = None
    key: Annotated[str | None, Field(description="Name, or the id of a deleted key.")] = None
    key_id: str | None = None


class UsageReport(Answer):
    items: list[UsageItem]
    total: Annotated[UsageTotal, Field(description="Over all items, not only this page.")]
    since: Time
    until: Time
    next: str | None
