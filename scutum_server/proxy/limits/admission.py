"""The pipeline's admit: limits and budgets, out of leases at hand; settled when the request is accounted for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from scutum_server.leases.keeper import Keeper
from scutum_server.leases.lease import Lease, Refusal
from scutum_server.leases.queue import Need
from scutum_server.proxy.limits.bounds import FREE, WITHOUT_OUTPUT, Most, asked_output, choices, most
from scutum_server.proxy.limits.rates import RateCard
from scutum_server.proxy.limits.refusals import headers, limit_reached
from scutum_server.proxy.passthrough.reserve import reserve
from scutum_server.upstream.native import BATCHES, CHAT, COUNT_TOKENS, FILES, PASSED, RESPONSES
from scutum_server.wire import gpt
from scutum_server.wire.output_cap import with_output_cap

if TYPE_CHECKING:
    from scutum_server.proxy.call import Call
    from scutum_server.proxy.config.snapshot import Deployment, Snapshot
    from scutum_server.proxy.passthrough.batch_charge import Payer

_UNCOUNTED: Final = frozenset({COUNT_TOKENS, FILES, BATCHES})
"""Requests that generate nothing at once."""
_MOST_PLANS: Final = 50_000


class Plan(Struct, frozen=True):
    """The leases that requests of one key to one model need; `output_tokens` is what a budget lets them generate.

    `fewest_tokens` is the smallest quota of tokens: no request reserves more.

    Of `once` a request takes each a single time, however many attempts it makes; of the others each attempt anew.
    """

    once: tuple[Lease, ...]
    slots: tuple[Lease, ...]
    tokens: tuple[Lease, ...]
    money: tuple[Lease, ...]
    output_tokens: int
    fewest_tokens: int
    requests_shown: Lease | None
    tokens_shown: Lease | None

    def head(self, now: float) -> bytes:
        return headers(self.requests_shown, self.tokens_shown, now)


class Hold:
    """What one attempt of a request has taken, at `at`, until it is settled; `previous` is the attempt before it."""

    __slots__ = ("asked", "at", "money", "money_units", "once", "open", "output_cap", "plan", "slots", "taken",
                 "token_units", "tokens")  # fmt: skip

    def __init__(self, plan: Plan, token_units: int, asked: int | None, previous: Hold | None) -> None:
        self.plan = plan
        self.asked = asked
        """The client's own maximum of output tokens for each choice."""
        self.once = plan.once if previous is None else tuple(each for each in plan.once if each not in previous.taken)
        self.taken: tuple[Lease, ...] = () if previous is None else previous.taken
        self.at = 0.0
        self.open = False
        self.slots = plan.slots
        self.tokens = plan.tokens if token_units else ()
        self.token_units = token_units
        self.money: tuple[Lease, ...] = ()
        self.money_units = 0
        self.output_cap = 0
        """What the money buys of output; 0 without a budget."""


class Admission:
    """One for a worker."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._plans: dict[tuple[str, str], Plan | None] = {}
        self._made_for: tuple[Snapshot | None, int, int] = (None, 0, 0)
        self._rates = RateCard()
        self._input_factors: dict[str, float] = {}
        """Tokens per byte of a request's body, by model, as providers report them."""
        self._outputs: dict[str, float] = {}

    async def admit(self, call: Call, deployment: Deployment) -> None:
        """Takes what the request may need; raises LimitReached, or Unavailable when a quota cannot be checked."""
        if not call.snapshot.rules:
            return
        plan = self._plan(call, deployment)
        if plan is None:
            return
        asked = asked_output(call)
        counts = call.endpoint.wire not in _UNCOUNTED
        tokens = self._token_estimate(call, deployment, plan, asked) if plan.tokens and counts else 0
        cost = self._most(call, deployment, plan, asked) if plan.money else FREE
        hold = call.hold = Hold(plan, tokens, asked, call.hold)
        keeper = self._keeper
        now = keeper.now()
        if now < keeper.fresh and _at_hand(hold, tokens, cost.most, now):
            self._take(hold, cost, now)
            return
        needs = [Need(lease, 1) for lease in hold.once + plan.slots]
        needs += [Need(lease, tokens) for lease in hold.tokens]
        if cost.most:
            needs += [Need(lease, cost.most, cost.least) for lease in plan.money]
        for need in needs:
            if need.lease.refuses(need.least or need.need, now) and not need.lease.has(need.least or need.need, now):
                raise limit_reached(need.lease.refusal(now), plan.head(now))
        refusal: Refusal | None = await keeper.acquire(needs, lambda now, without: self._take(hold, cost, now, without))
        if refusal is not None:
            raise limit_reached(refusal, plan.head(keeper.now()))

    async def debit(self, payer: Payer, deployment: Deployment, nano_usd: int) -> None:
        """Takes what was spent unreserved out of the budgets, whatever is left of them; raises Unavailable."""
        plan = self._plan(payer, deployment) if payer.snapshot.rules else None
        if plan is None or not plan.money:
            return
        await self._keeper.acquire([Need(lease, 1) for lease in plan.money], lambda _now, _without: None)
        now = self._keeper.now()
        for lease in plan.money:
            lease.settle(0, nano_usd, now)
            self._keeper.settled(lease, now)

    def settle(self, call: Call) -> None:
        """Gives back what the request did not use; call it once tokens and cost are known."""
        hold = call.hold
        if hold is None or not hold.open:
            return
        hold.open = False
        keeper, at = self._keeper, hold.at
        now = keeper.now()
        used = call.tokens.input + call.tokens.output
        busy = bool(keeper.queue)
        for lease in hold.slots:
            lease.settle(1, 0, at)
            if busy or lease.stale or now < lease.scarce_until:
                keeper.settled(lease, now)
        for lease in hold.tokens:
            lease.settle(hold.token_units, used, at)
            if busy or lease.stale or now < lease.scarce_until:
                keeper.settled(lease, now)
        for lease in hold.money:
            lease.settle(hold.money_units, call.cost, at)
            if busy or lease.stale or now < lease.scarce_until:
                keeper.settled(lease, now)
        if hold.tokens and call.usage_source == "reported" and call.deployment is not None:
            self._learn(call, call.deployment.name)

    def _take(self, hold: Hold, cost: Most, now: float, without: list[Lease] | None = None) -> None:
        """What `without` names is not counted: Redis is away, and those quotas are to be open then."""
        plan, keeper = hold.plan, self._keeper
        once, money = hold.once, plan.money if cost.most else ()
        if without:
            once = hold.once = tuple(lease for lease in once if lease not in without)
            money = tuple(lease for lease in money if lease not in without)
            hold.slots = tuple(lease for lease in plan.slots if lease not in without)
            hold.tokens = tuple(lease for lease in hold.tokens if lease not in without)
        hold.at, hold.open = now, True
        hold.taken += once
        for lease in once:
            lease.use()
            if lease.unused <= lease.low:
                keeper.renew(lease)
        for lease in hold.slots:
            lease.reserve(1)
        for lease in hold.tokens:
            lease.reserve(hold.token_units)
            if lease.unused <= lease.low:
                keeper.renew(lease)
        if money:
            units = cost.most
            for lease in money:
                units = min(units, lease.unused)
            for lease in money:
                lease.reserve(units)
                if lease.unused <= lease.low:
                    keeper.renew(lease)
            hold.money, hold.money_units = money, units
            if cost.token:
                affordable = (units - cost.input) // cost.token
                hold.output_cap = min(affordable, cost.output)

    # -- how much a request may need

    def _token_estimate(self, call: Call, deployment: Deployment, plan: Plan, asked: int | None) -> int:
        name = deployment.name
        output = self._outputs.get(name, 256.0) if asked is None else asked * choices(call)
        if call.endpoint.wire in WITHOUT_OUTPUT:
            output = 0
        estimate = int(len(call.body) * self._input_factors.get(name, 0.3) + output) + 1
        return min(plan.fewest_tokens, estimate)

    def _most(self, call: Call, deployment: Deployment, plan: Plan, asked: int | None) -> Most:
        if call.endpoint.wire in PASSED:
            return reserve(call, deployment, plan.output_tokens)
        if call.endpoint.wire == COUNT_TOKENS:
            return FREE
        return most(call, deployment, self._rates, plan.output_tokens if asked is None else asked)

    def _learn(self, call: Call, name: str) -> None:
        if not call.body:
            return  # a form, which is not kept
        factor = call.tokens.input / len(call.body)
        known = self._input_factors.get(name)
        # Up at once and down slowly: an estimate below the truth is charged to the next window.
        self._input_factors[name] = factor if known is None or factor > known else known + 0.05 * (factor - known)
        output = self._outputs.get(name, 256.0)
        self._outputs[name] = output + 0.05 * (call.tokens.output - output)

    # -- which quotas a request is under

    def _plan(self, call: Call | Payer, deployment: Deployment) -> Plan | None:
        snapshot = call.snapshot
        made_for = (snapshot, snapshot.version, self._keeper.generation)
        if made_for != self._made_for or len(self._plans) > _MOST_PLANS:
            self._plans.clear()
            self._made_for = made_for
        at = (call.key.id, deployment.name)
        try:
            return self._plans[at]
        except KeyError:
            plan = self._plans[at] = self._make(call, deployment)
            return plan

    def _make(self, call: Call | Payer, deployment: Deployment) -> Plan | None:
        team = call.team
        rules = call.snapshot.rules.find(
            key=call.key.id,
            user=call.key.owner,
            team=team.id if team is not None else None,
            org=team.org_id if team is not None else None,
            unit=team.unit_id if team is not None else None,
            model=deployment.name,
        )
        if not rules:
            return None
        leases = [self._keeper.lease(meter) for rule in rules for meter in rule.meters]
        kinds = {
            unit: tuple(lease for lease in leases if lease.meter.unit == unit)
            for unit in ("requests", "slots", "tokens", "money")
        }
        return Plan(
            once=kinds["requests"],
            slots=kinds["slots"],
            tokens=kinds["tokens"],
            money=kinds["money"],
            output_tokens=min((rule.output_tokens for rule in rules if rule.output_tokens is not None), default=0),
            fewest_tokens=min((lease.meter.capacity for lease in kinds["tokens"]), default=0),
            requests_shown=_narrowest(kinds["requests"]),
            tokens_shown=_narrowest(kinds["tokens"]),
        )


def capped(call: Call, body: bytes, wire: str, deployment: Deployment) -> bytes:
    """The body for the provider, in its format, with the output that the request's budgets pay for."""
    hold = call.hold
    if hold is None or not hold.output_cap:
        return body
    field = "max_output_tokens" if wire == RESPONSES else "max_tokens"
    if wire == CHAT:
        field = gpt.cap_field(deployment.upstream_model, deployment.provider.lane.traits.cap_field)
    asked = hold.asked
    if asked is not None and asked <= hold.output_cap and (call.endpoint.wire != wire or _says(call, field)):
        return body
    return with_output_cap(body, hold.output_cap, field=field)


def _says(call: Call, field: str) -> bool:
    """Whether the client's own maximum has a name that the provider knows; OpenAI knows both of chat's."""
    parsed = call.parsed
    if (getattr(parsed, field, None) or 0) > 0:
        return True
    return field == "max_completion_tokens" and (getattr(parsed, "max_tokens", None) or 0) > 0


def _at_hand(hold: Hold, tokens: int, money: int, now: float) -> bool:
    plan = hold.plan
    for lease in hold.once:
        if lease.unused < 1 or now >= lease.end:
            return False
    for lease in plan.slots:
        if lease.unused < 1:
            return False
    for lease in hold.tokens:
        if lease.unused < tokens or now >= lease.end:
            return False
    if money:
        for lease in plan.money:
            if lease.unused < money or now >= lease.end:
                return False
    return True


def _narrowest(leases: tuple[Lease, ...]) -> Lease | None:
    """The quota that the headers tell of: of the longest window below a day, the smallest."""
    order = {"minute": 0, "day": 1, "second": 2}
    return min(leases, key=lambda lease: (order[lease.meter.period or "second"], lease.meter.capacity), default=None)
