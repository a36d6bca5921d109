"""`scutum budgets`."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from scutum_cli import options, output
from scutum_cli.client import api
from scutum_cli.commands import present
from scutum_cli.commands.limits import OnFailure, policy
from scutum_cli.errors import CliError
from scutum_cli.options import DryRun, Yes, examples, listing
from scutum_cli.render import budgets
from scutum_cli.render.text import money

if TYPE_CHECKING:
    from scutum_cli.client.types import BudgetCreate, BudgetUpdate

CONSUMERS = 5
app = typer.Typer(
    help="What may be spent in a day, week or month. At the end of one, requests get 429 budget_exceeded.",
    epilog=examples("scutum budgets create --team search --month 250", "scutum budgets list"),
)
Budget = Annotated[str, typer.Argument(metavar="BUDGET", help="Id, or a unique part of it.")]
Soft = Annotated[str | None, typer.Option("--soft", metavar="80%", help="From here on the state is soft.")]
OutputTokens = Annotated[
    str | None,
    typer.Option("--output-tokens", metavar="N", help="What requests without a maximum may generate; default 4096."),
]


@app.command("list", epilog=examples("scutum budgets list", "scutum budgets list --filter state=hard"))
@listing
def list_() -> None:
    """List the budgets with what is spent and left."""
    empty = "No budgets yet. Make one: scutum budgets create --team TEAM --month 250"
    present.show_served("budgets", api.connect().budgets, budgets.COLUMNS, empty=empty, spare=budgets.SPARE)


@app.command(epilog=examples("scutum budgets show budget_0k3v"))
def show(budget: Budget) -> None:
    """Show one budget as it stands, and what takes its money."""
    server = api.connect()
    found = server.budget(budget)
    if output.style.format != "table":
        output.emit_object(found)
        return
    present.show_one(found, budgets.DETAILS)
    whose = budgets.whose(found)
    if whose is None:
        return
    asked = {"by": "key,model", "since": found["since"], "zone": found["time_zone"], **whose}
    taking = budgets.consumers(server.usage(asked, limit=CONSUMERS))
    if taking:
        output.emit_text("\nWhat takes it, dearest first:")
        width = max(len(who) for who, _ in taking)
        for who, what in taking:
            output.emit_words(f"  {who:<{width}}  {what}\n", end="")


@app.command(
    epilog=examples(
        "scutum budgets create --team search --month 250",
        "scutum budgets create --key ci --day 5 --output-tokens 1000",
        "scutum budgets create --global --month 2000 --soft 70%",
    )
)
def create(
    org: Annotated[str | None, typer.Option("--org", metavar="ORG", help="For this org.")] = None,
    unit: Annotated[str | None, typer.Option("--unit", metavar="UNIT", help="For this unit.")] = None,
    team: Annotated[str | None, typer.Option("--team", metavar="TEAM", help="For this team.")] = None,
    key: Annotated[str | None, typer.Option("--key", metavar="KEY", help="For this key.")] = None,
    user: Annotated[str | None, typer.Option("--user", metavar="WHO", help="For all keys of this owner.")] = None,
    everything: Annotated[bool, typer.Option("--global", help="For all requests together.")] = False,
    day: Annotated[str | None, typer.Option("--day", metavar="USD", help="US dollars a day.")] = None,
    week: Annotated[str | None, typer.Option("--week", metavar="USD", help="US dollars a week.")] = None,
    month: Annotated[str | None, typer.Option("--month", metavar="USD", help="US dollars a month.")] = None,
    soft: Soft = None,
    output_tokens: OutputTokens = None,
    on_failure: OnFailure = None,
    dry_run: DryRun = False,
) -> None:
    """Cap what a team, a key, a user, a unit, an org or everything may cost."""
    given = {"org": org, "unit": unit, "team": team, "key": key, "user": user}
    named = {name: value for name, value in given.items() if value is not None}
    if len(named) + everything != 1:
        raise CliError(
            "Say whom the budget is for: one of --team, --key, --user, --unit, --org, --global.",
            hint="for example: scutum budgets create --team search --month 250",
        )
    amounts = {name: text for name, text in (("day", day), ("week", week), ("month", month)) if text is not None}
    if len(amounts) != 1:
        raise CliError("Give the amount as one of --day, --week, --month.")
    ((period, text),) = amounts.items()
    scope = next(iter(named), "global")
    settings = {**_settings(soft, output_tokens), **policy(on_failure)}
    amount = {"period": period, "amount_usd": _usd(text, f"--{period}")}
    body = cast("BudgetCreate", {"scope": scope, **named, **amount, **settings})
    made = api.connect(dry_run=dry_run).create_budget(body)
    if dry_run:
        output.preview(f"create a budget ({scope})", body, made)
        return
    output.changed(
        made, f"Budget of {money(made['amount_usd'])} a {period} for {budgets.target(made)} created ({made['id']})."
    )


@app.command(epilog=examples("scutum budgets update budget_0k3v --amount 500"))
def update(
    budget: Budget,
    amount: Annotated[str | None, typer.Option("--amount", metavar="USD", help="US dollars for each period.")] = None,
    day: Annotated[str | None, typer.Option("--day", metavar="USD", help="The same, of a budget by the day.")] = None,
    week: Annotated[str | None, typer.Option("--week", metavar="USD", help="By the week.")] = None,
    month: Annotated[str | None, typer.Option("--month", metavar="USD", help="By the month.")] = None,
    soft: Soft = None,
    output_tokens: OutputTokens = None,
    on_failure: OnFailure = None,
    dry_run: DryRun = False,
) -> None:
    """Change a budget. It holds within a second."""
    body = cast("BudgetUpdate", {**_settings(soft, output_tokens), **policy(on_failure)})
    server = api.connect(dry_run=dry_run)
    given = {"amount": amount, "day": day, "week": week, "month": month}
    amounts = {name: text for name, text in given.items() if text is not None}
    if len(amounts) > 1:
        raise CliError("Give the amount once.")
    for name, text in amounts.items():
        body["amount_usd"] = _usd(text, f"--{name}")
        if name != "amount" and (period := server.budget(budget)["period"]) != name:
            raise CliError(
                f"This budget is by the {period}: a budget keeps its period.", hint=f"use --{period} or --amount"
            )
    if not body:
        raise CliError("Nothing to change was given.", hint="scutum budgets update --help")
    changed = server.update_budget(budget, body)
    if dry_run:
        output.preview(f"update the budget {budget}", body, changed)
        return
    output.changed(changed, f"Budget for {budgets.target(changed)} updated: {money(changed['left_usd'])} left.")


@app.command(epilog=examples("scutum budgets delete budget_0k3v"))
def delete(budget: Budget, yes: Yes = False, dry_run: DryRun = False) -> None:
    """Lift a budget; what was spent stays in the reports."""
    server = api.connect(dry_run=dry_run)
    found = server.budget(budget)
    if not dry_run:
        output.confirm(f"Delete the budget for {budgets.target(found)}?", yes=yes)
    server.delete_budget(found["id"])
    if dry_run:
        output.preview(f"delete the budget for {budgets.target(found)} ({found['id']})")
        return
    output.changed({"id": found["id"], "deleted": True}, f"Budget for {budgets.target(found)} deleted.")


def _settings(soft: str | None, output_tokens: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if soft is not None:
        found["soft_percent"] = round(options.fraction(soft, "--soft") * 100)
    if output_tokens is not None:
        found["output_tokens"] = options.whole(output_tokens, "--output-tokens", low=16, high=10**7)
    return found


def _usd(text: str, flag: str) -> str:
    try:
        amount = Decimal(text.removeprefix("$"))
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        raise CliError(f"{flag} takes US dollars such as 250 or 25.50, not {text!r}.")
    return f"{amount:f}"
