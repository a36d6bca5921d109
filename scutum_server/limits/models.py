"""Rate limits and budgets of the control plane."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from msgspec import Struct

from scutum_server.errors import Conflict, InvalidInput, NotFound
from scutum_server.limits.forecast import Forecast

LimitScope = Literal["global", "team", "key", "user", "model", "team+model"]
BudgetScope = Literal["global", "org", "unit", "team", "key", "user"]
Period = Literal["day", "week", "month"]
OnFailure = Literal["open", "closed"]
BudgetState = Literal["ok", "soft", "hard"]
Cap = Literal["soft", "hard"]

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
    hard_told: dt.datetime | None = None
    """The beginnings of the last periods in which events told of these caps."""


class Reserved(Struct, frozen=True):
    """What running requests have set aside of a budget; `refused`: since there was enough last, one was turned away."""

    nano_usd: int
    refused: bool


class BudgetStatus(Struct, frozen=True, kw_only=True):
    """A budget as it stands: what the spend log has of the running period, and what the proxies hold beside it.

    `reserved` is None while Redis does not answer, `forecast` while too little is recorded.
    """

    budget: Budget
    spent_nano_usd: int
    since: dt.datetime
    until: dt.datetime
    forecast: Forecast | None = None
    reserved: Reserved | None = None

    @property
    def key(self) -> str:
        """By which the proxies know the period."""
        return f"{self.budget.id}.{self.budget.period}:{int(self.since.timestamp() * 1000)}"

    @property
    def left_nano_usd(self) -> int:
        taken = self.spent_nano_usd + (self.reserved.nano_usd if self.reserved is not None else 0)
        return max(0, self.budget.amount_nano_usd - taken)

    @property
    def state(self) -> BudgetState:
        """Hard also when the last tenth is too little for the requests that come."""
        budget, spent = self.budget, self.spent_nano_usd
        if spent >= budget.amount_nano_usd:
            return "hard"
        if spent * 100 < budget.amount_nano_usd * budget.soft_percent:
            return "ok"
        return "hard" if self.refusing and spent * 10 >= budget.amount_nano_usd * 9 else "soft"

    @property
    def refusing(self) -> bool | None:
        """Whether a request was turned away although no other that runs was in its way; None if that is not known."""
        held = self.reserved
        return None if held is None else held.refused and not held.nano_usd


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
