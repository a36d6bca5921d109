"""Rate limits and budgets of the control plane."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from msgspec import Struct

from scutum_server.errors import Conflict, InvalidInput, NotFound

LimitScope = Literal["global", "team", "key", "user", "model", "team+model"]
BudgetScope = Literal["global", "org", "unit", "team", "key", "user"]
Period = Literal["day", "week", "month"]
OnFailure = Literal["open", "closed"]
BudgetState = Literal["ok", "soft", "exceeded"]

RATES = ("rpm", "tpm", "rpd", "tpd", "concurrency", "burst")


class Limit(Struct, frozen=True, kw_only=True):
    """Requests and tokens a minute and a day, requests at once and in a second; None where there is no such limit."""

    id: str
    scope: LimitScope
    org_id: str | None
    team: str | None
    team_id: str | None
    key: str | None
    key_id: str | None
    user: str | None
    model: str | None
    rpm: int | None
    tpm: int | None
    rpd: int | None
    tpd: int | None
    concurrency: int | None
    burst: int | None
    on_failure: OnFailure
    created_at: dt.datetime
    updated_at: dt.datetime


class Budget(Struct, frozen=True, kw_only=True):
    """Money for each period in the org's time zone; amounts are nano-USD.

    `output_tokens` is what a request without a maximum of its own may generate: without one its cost has no bound.
    """

    id: str
    scope: BudgetScope
    org: str | None
    org_id: str | None
    unit: str | None
    unit_id: str | None
    team: str | None
    team_id: str | None
    key: str | None
    key_id: str | None
    user: str | None
    period: Period
    amount_nano_usd: int
    soft_percent: int
    output_tokens: int
    on_failure: OnFailure
    zone: str
    created_at: dt.datetime
    updated_at: dt.datetime
    soft_told: dt.datetime | None = None
    """The beginning of the last period in which an event told of the soft cap."""


class BudgetStatus(Struct, frozen=True, kw_only=True):
    """A budget as it stands: what the spend log has of the running period. `state` is soft from `soft_percent` on."""

    budget: Budget
    spent_nano_usd: int
    since: dt.datetime
    until: dt.datetime

    @property
    def state(self) -> BudgetState:
        budget = self.budget
        if self.spent_nano_usd >= budget.amount_nano_usd:
            return "exceeded"
        return "soft" if self.spent_nano_usd * 100 >= budget.amount_nano_usd * budget.soft_percent else "ok"


class Spend(Struct, frozen=True):
    """A request's cost that may not be in the spend log yet."""

    ts: dt.datetime
    request_id: str
    org_id: str | None
    team_id: str | None
    key_id: str | None
    nano_usd: int


class LimitNotFound(NotFound):
    code = "limit_not_found"


class BudgetNotFound(NotFound):
    code = "budget_not_found"


class TargetNotFound(NotFound):
    code = "target_not_found"


class AlreadyLimited(Conflict):
    code = "already_limited"


class BadField(InvalidInput):
    code = "invalid_field"
