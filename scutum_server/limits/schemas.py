"""Bodies of the routes for limits and budgets."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from scutum_server.schemas import SORT, Answer, Body, Filter, ListQuery, Time

Ref = Annotated[str, Field(min_length=1, max_length=200)]
Rate = Annotated[int, Field(ge=1, le=10**12)]
Usd = Annotated[str, Field(max_length=30, description="Decimal number of US dollars.", examples=["25.50"])]
OnFailure = Annotated[
    Literal["open", "closed"],
    Field(description="While Redis cannot be asked: let requests pass uncounted, or refuse them with 503."),
]
SoftPercent = Annotated[int, Field(ge=1, le=100, description="From here on the state is soft.")]
OutputTokens = Annotated[
    int, Field(ge=16, le=10**7, description="What a request without a maximum of its own may generate.")
]
LimitScope = Literal["global", "team", "key", "user", "model", "team+model"]
BudgetScope = Literal["global", "org", "unit", "team", "key", "user"]
Period = Literal["day", "week", "month"]


TargetRef = Annotated[str | None, Field(max_length=200, description="Id or name.")]


class LimitQuery(ListQuery):
    sort: Annotated[Literal["created_at", "-created_at", "scope", "-scope"], Field(description=SORT)] = "created_at"
    scope: LimitScope | None = None
    team: TargetRef = None
    key: TargetRef = None
    user: Filter = None
    model: Filter = None


class BudgetQuery(ListQuery):
    sort: Annotated[
        Literal["created_at", "-created_at", "scope", "-scope", "amount_usd", "-amount_usd"], Field(description=SORT)
    ] = "created_at"
    scope: BudgetScope | None = None
    period: Period | None = None
    org: TargetRef = None
    unit: TargetRef = None
    team: TargetRef = None
    key: TargetRef = None
    user: Filter = None


class LimitCreate(Body):
    """A scope needs the fields that it names: team, key, user, model; team+model needs both; global none."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"scope": "team", "team": "search", "rpm": 600}]})

    scope: LimitScope
    team: Annotated[Ref | None, Field(description="Id or name.")] = None
    key: Annotated[Ref | None, Field(description="Id or name.")] = None
    user: Annotated[Ref | None, Field(description="The owner of keys.")] = None
    model: Annotated[Ref | None, Field(description="A model's name.")] = None
    rpm: Annotated[Rate | None, Field(description="Requests a minute.")] = None
    tpm: Annotated[Rate | None, Field(description="Tokens a minute.")] = None
    rpd: Annotated[Rate | None, Field(description="Requests a day.")] = None
    tpd: Annotated[Rate | None, Field(description="Tokens a day.")] = None
    concurrency: Annotated[Rate | None, Field(description="Requests at once.")] = None
    burst: Annotated[Rate | None, Field(description="Requests in a second.")] = None
    on_failure: OnFailure = "closed"


class LimitUpdate(Body):
    """Only the fields that are sent change; null takes a rate away."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"rpm": 1200, "burst": None}]})

    rpm: Rate | None = None
    tpm: Rate | None = None
    rpd: Rate | None = None
    tpd: Rate | None = None
    concurrency: Rate | None = None
    burst: Rate | None = None
    on_failure: OnFailure = "closed"


class RateLimit(Answer):
    id: str
    scope: LimitScope
    team: str | None
    key: str | None
    user: str | None
    model: str | None
    rpm: int | None
    tpm: int | None
    rpd: int | None
    tpd: int | None
    concurrency: int | None
    burst: int | None
    on_failure: Literal["open", "closed"]
    created_at: Time
    updated_at: Time


class RateLimitList(Answer):
    items: list[RateLimit]
    next: str | None


class BudgetCreate(Body):
    """A scope needs the field of its name; global needs none."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"scope": "team", "team": "search", "period": "month", "amount_usd": "250"}]}
    )

    scope: BudgetScope
    org: Annotated[Ref | None, Field(description="Id or name.")] = None
    unit: Annotated[Ref | None, Field(description="Id or name.")] = None
    team: Annotated[Ref | None, Field(description="Id or name.")] = None
    key: Annotated[Ref | None, Field(description="Id or name.")] = None
    user: Annotated[Ref | None, Field(description="The owner of keys.")] = None
    period: Annotated[Period, Field(description="It begins at midnight in the org's time zone.")]
    amount_usd: Usd
    soft_percent: SoftPercent = 80
    output_tokens: OutputTokens = 4096
    on_failure: OnFailure = "closed"


class BudgetUpdate(Body):
    """Only the fields that are sent change."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"amount_usd": "500"}]})

    amount_usd: Usd = "0"
    soft_percent: SoftPercent = 80
    output_tokens: OutputTokens = 4096
    on_failure: OnFailure = "closed"


class Budget(Answer):
    id: str
    scope: BudgetScope
    org: str | None
    org_id: Annotated[str | None, Field(description="Of every scope that belongs to an org.")]
    unit: str | None
    unit_id: str | None
    team: str | None
    team_id: str | None
    key: str | None
    key_id: str | None
    user: str | None
    period: Period
    amount_usd: Usd
    spent_usd: Annotated[str, Field(description="What the spend log has of the running period.")]
    reserved_usd: Annotated[str | None, Field(description="What running requests have set aside; null without Redis.")]
    left_usd: Annotated[str, Field(description="Neither spent nor reserved; never below 0.")]
    forecast_usd: Annotated[
        str | None,
        Field(
            description="Spent at the period's end at the pace of the last four weeks, as if there were no cap; "
            "null before three whole days are recorded."
        ),
    ]
    runs_out_at: Annotated[Time | None, Field(description="When the forecast reaches the amount in this period.")]
    state: Annotated[
        Literal["ok", "soft", "hard"],
        Field(
            description="hard: all is spent, or requests are turned away because the last tenth cannot pay for them."
        ),
    ]
    refusing: Annotated[
        bool | None,
        Field(description="What is left could not pay for a request; null without Redis. It may for a smaller one."),
    ]
    soft_percent: int
    output_tokens: int
    on_failure: Literal["open", "closed"]
    since: Annotated[Time, Field(description="When the running period began.")]
    until: Time
    time_zone: Annotated[str, Field(description="In which the period begins and ends.")]
    created_at: Time
    updated_at: Time


class BudgetList(Answer):
    items: list[Budget]
    next: str | None
