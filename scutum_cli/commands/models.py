"""`scutum models`."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scutum_cli import output
from scutum_cli.client import api
from scutum_cli.commands import present
from scutum_cli.errors import CliError
from scutum_cli.options import DryRun, Yes, examples, listing, whole
from scutum_cli.render import models

if TYPE_CHECKING:
    from scutum_cli.client.types import ModelCreate, ModelUpdate, Price

app = typer.Typer(
    help="The models that clients may call, each at a provider.",
    epilog=examples("scutum models add gpt-5-mini --provider openai", "scutum models list"),
)
KINDS = ("chat", "embedding")
Model = Annotated[str, typer.Argument(metavar="MODEL", help="Id or name.")]
Kind = Annotated[str | None, typer.Option("--kind", metavar="|".join(KINDS), help="What it does.")]
UpstreamModel = Annotated[
    str | None, typer.Option("--upstream-model", metavar="M", help="The provider's name for it; default: the same.")
]
PerMinute = "So many the provider takes in a minute; none: not known. For aliases with --strategy usage-based."
Rpm = Annotated[str | None, typer.Option("--rpm", metavar="N", help=f"Requests. {PerMinute}")]
Tpm = Annotated[str | None, typer.Option("--tpm", metavar="N", help=f"Tokens. {PerMinute}")]
PriceText = Annotated[
    str | None,
    typer.Option("--price", metavar="IN,OUT", help="US dollars per million tokens, over the catalogue's price."),
]


@app.command("list", epilog=examples("scutum models list", "scutum models list --provider openai -o json"))
@listing
def list_(
    provider: Annotated[str | None, typer.Option("--provider", metavar="P", help="Only those of this one.")] = None,
) -> None:
    """List the models."""
    server = api.connect()
    empty = "No models yet. Add one: scutum models add NAME --provider PROVIDER"
    present.show_served(
        "models",
        lambda limit, **asked: server.models(limit, **{"provider": provider, **asked}),
        models.COLUMNS,
        empty=empty,
    )


@app.command(epilog=examples("scutum models show gpt-5-mini"))
def show(model: Model) -> None:
    """Show one model."""
    present.show_one(api.connect().model(model), models.DETAILS)


@app.command(
    epilog=examples(
        "scutum models add gpt-5-mini                      # out of the catalogue, at the provider that has it",
        "scutum models add gpt-5-mini --provider openai-eu",
        "scutum models add small --provider local --upstream-model smollm2 --price 0.10,0.40",
        "scutum models add text-embedding-3-small --provider openai --kind embedding",
    )
)
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What clients send as the model.")],
    provider: Annotated[
        str | None,
        typer.Option("--provider", metavar="P", help="Id or name; default: the one that the catalogue lists it for."),
    ] = None,
    upstream_model: UpstreamModel = None,
    kind: Kind = None,
    price: PriceText = None,
    rpm: Rpm = None,
    tpm: Tpm = None,
    dry_run: DryRun = False,
) -> None:
    """Add a model at a provider."""
    body: ModelCreate = {"name": name}
    if provider is not None:
        body["provider"] = provider
    if upstream_model is not None:
        body["upstream_model"] = upstream_model
    if kind is not None:
        body["kind"] = _kind(kind)
    if price is not None:
        body["price"] = _price(price)
    if rpm is not None:
        body["rpm"] = _per_minute(rpm, "--rpm")
    if tpm is not None:
        body["tpm"] = _per_minute(tpm, "--tpm")
    made = api.connect(dry_run=dry_run).create_model(body)
    if dry_run:
        output.preview(
            f"add the model {name} at {provider or 'the provider that the catalogue lists it for'}", body, made
        )
        return
    output.changed(made, f"Model {made['name']} added at {made['provider']} ({made['id']}).")
    if made["price_source"] == "unknown":
        step = f"scutum models update {made['id']} --price IN,OUT"
        output.say(f"note: its price is unknown: its requests cost 0, and no budget holds them. Give one: {step}")


@app.command(epilog=examples("scutum models update small --price 0.10,0.40", "scutum models update small --price none"))
def update(
    model: Model,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="A new name.")] = None,
    upstream_model: UpstreamModel = None,
    kind: Kind = None,
    price: PriceText = None,
    rpm: Rpm = None,
    tpm: Tpm = None,
    dry_run: DryRun = False,
) -> None:
    """Change a model; --price none goes back to the catalogue's."""
    body: ModelUpdate = {}
    if name is not None:
        body["name"] = name
    if upstream_model is not None:
        body["upstream_model"] = upstream_model
    if kind is not None:
        body["kind"] = _kind(kind)
    if price is not None:
        body["price"] = None if price == "none" else _price(price)
    if rpm is not None:
        body["rpm"] = _per_minute(rpm, "--rpm")
    if tpm is not None:
        body["tpm"] = _per_minute(tpm, "--tpm")
    if not body:
        raise CliError("Nothing to change was given.", hint="scutum models update --help")
    changed = api.connect(dry_run=dry_run).update_model(model, body)
    if dry_run:
        output.preview(f"update the model {model}", body, changed)
        return
    output.changed(changed, f"Model {changed['name']} updated.")


@app.command(epilog=examples("scutum models delete gpt-5-mini"))
def delete(model: Model, yes: Yes = False, dry_run: DryRun = False) -> None:
    """Delete a model: clients can no longer call it."""
    server = api.connect(dry_run=dry_run)
    found = server.model(model)
    if not dry_run:
        output.confirm(f"Delete the model {found['name']} at {found['provider']}?", yes=yes)
    server.delete_model(found["id"])
    if dry_run:
        output.preview(f"delete the model {found['name']} at {found['provider']} ({found['id']})")
        return
    output.changed({"id": found["id"], "deleted": True}, f"Model {found['name']} deleted.")


@app.command(epilog=examples("scutum models catalog --provider mistral", "scutum models catalog --all -o csv"))
@listing
def catalog(
    provider: Annotated[str | None, typer.Option("--provider", metavar="NAME", help="Only of this vendor.")] = None,
) -> None:
    """List the models that vendors are known to offer, with context size and price."""
    server = api.connect()
    empty = "The catalogue knows no model of this vendor. All of them: scutum models catalog"
    present.show_list(lambda limit: server.catalog(limit, provider), models.CATALOG, empty=empty)


def _per_minute(text: str, flag: str) -> int | None:
    return None if text == "none" else whole(text, flag, low=1, high=10**12)


def _kind(text: str) -> Any:
    if text not in KINDS:
        raise CliError(f"--kind must be chat or embedding, not {text!r}.")
    return text


def _price(text: str) -> Price:
    """`IN,OUT` in US dollars per million tokens as nano-USD per token."""
    parts = text.split(",")
    try:
        given, made = (Decimal(part) * 1000 for part in parts)
        exact = all(amount.is_finite() and amount >= 0 and amount == int(amount) for amount in (given, made))
    except (InvalidOperation, ValueError):
        exact = False
    if not exact:
        raise CliError(
            f"--price takes two prices in US dollars per million tokens, to a tenth of a cent, not {text!r}.",
            hint="for example: --price 0.25,2.00",
        )
    return {"input_nano": int(given), "output_nano": int(made)}
