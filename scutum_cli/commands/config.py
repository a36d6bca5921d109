"""scutum config."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scutum_cli import errors, options, output
from scutum_cli.errors import CliError

if TYPE_CHECKING:
    from scutum_cli.client.types import ConfigApply, ConfigDiff, ConfigPlan

app = typer.Typer(
    help="The configuration: where it lies on this host, and the gateway's whole as one file.",
    epilog=options.examples(
        "scutum config export > gateway.yaml",
        "scutum config diff gateway.yaml",
        "scutum config apply gateway.yaml --prune",
    ),
)
_SECRET_WORDS = ("KEY", "PASSWORD", "SECRET", "TOKEN")
PATIENCE_SECONDS = 600.0
MAX_FILE = 32 * 2**20
MOST_SHOWN = 100
"""Objects that are shown before it is asked whether to apply them."""
File = Annotated[str, typer.Argument(metavar="FILE", help="The file; - for standard input.")]
Prune = Annotated[
    bool, typer.Option("--prune", help="Also delete what the sections of the file do not have; keys are revoked.")
]


@app.command("path", epilog=options.examples("scutum config path", "cd $(scutum config path)"))
def path(home: options.Home = None) -> None:
    """Print the directory of the configuration."""
    from scutum_cli.host.layout import installed

    layout = installed(home)
    if output.style.format == "table":
        output.emit_text(str(layout.config))
    else:
        output.emit_object(
            {
                "home": str(layout.home),
                "config": str(layout.config),
                "env": str(layout.env_file),
                "yaml": str(layout.yaml_file),
            }
        )


@app.command("show", epilog=options.examples("scutum config show", "scutum config show -o yaml"))
def show(home: options.Home = None) -> None:
    """Print the settings of this host; of secrets only whether they are set."""
    from dataclasses import asdict

    from scutum_cli.host import config, files
    from scutum_cli.host.layout import installed

    layout = installed(home)
    shown = {name.replace("_", ".", 1): value for name, value in asdict(config.load(layout.yaml_file)).items()}
    for name, value in files.read_env(layout.env_file).items():
        secret = name in files.GENERATED or any(word in name for word in (*_SECRET_WORDS, "_URL"))
        shown[name] = ("set" if value else "missing") if secret else value
    output.emit_object(dict(sorted(shown.items())))


@app.command(
    epilog=options.examples("scutum config export > gateway.yaml", "scutum config export -o json | jq '.keys | length'")
)
def export(context: options.Context = None) -> None:
    """Print the gateway's whole configuration as one YAML file: the same text for the same state, and no secrets."""
    del context
    from scutum_cli.client import api

    text = api.connect(seconds=PATIENCE_SECONDS).export_config()["file"]
    if output.style.format in {"table", "yaml"}:
        output.emit_text(text, end="")
    elif output.style.format == "json":
        import yaml

        output.emit_object(yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))  # noqa: S506 - safe
    else:
        raise CliError("A configuration is no table: take yaml or json.", hint="scutum config export -o json")


@app.command(
    epilog=options.examples(
        "scutum config diff gateway.yaml", "scutum config diff gateway.yaml -o json  # exit code 1 when not empty"
    )
)
def diff(file: File, prune: Prune = False, context: options.Context = None) -> None:
    """Show what applying a file would change; exit code 1 when that is anything."""
    del context
    from scutum_cli.client import api
    from scutum_cli.render import plans

    body: ConfigDiff = {"file": _read(file), "prune": prune}
    plan = api.connect(seconds=PATIENCE_SECONDS).diff_config(body)
    if output.style.format == "table":
        _show(plan["changes"])
        output.say(f"{plans.summary(plan).capitalize()}.")
        for reference in plan["missing"]:
            output.say(f"Needs the secret {reference} where it is applied.")
    else:
        output.emit_object(plan)
    raise typer.Exit(errors.FINDINGS if plan["changes"] else errors.OK)


@app.command(
    epilog=options.examples(
        "scutum config apply gateway.yaml",
        "scutum config apply gateway.yaml --dry-run  # everything is tried, and nothing of it stays",
        "OPENAI_API_KEY=$(cat key) scutum config apply gateway.yaml --prune --yes",
    )
)
def apply(
    file: File,
    prune: Prune = False,
    yes: options.Yes = False,
    dry_run: options.DryRun = False,
    context: options.Context = None,
) -> None:
    """Make the gateway what a file says: all of it, or nothing, in one transaction."""
    del context
    from scutum_cli.client import api
    from scutum_cli.render import plans

    text = _read(file)
    server = api.connect(seconds=PATIENCE_SECONDS)
    body: ConfigDiff = {"file": text, "prune": prune}
    plan = server.diff_config(body)
    order: ConfigApply = {"file": text, "prune": prune, "expected": plan["digest"]}
    order["secrets"] = _secrets(plan, Path(file).parent)
    shown = output.style.format == "table"
    if shown:
        _show(plan["changes"][:MOST_SHOWN])
        more = len(plan["changes"]) - MOST_SHOWN
        if more > 0:
            output.say(f"… and {more:,} more: scutum config diff shows all of them.")
    if plan["changes"] and not dry_run:
        output.confirm(f"Apply this ({plans.summary(plan)})?", yes=yes)
    made = server.apply_config(order, dry_run=dry_run)
    if not shown:
        output.emit_object({**made, "dry_run": dry_run})
    elif dry_run:
        output.say(f"Tried, and nothing was changed (--dry-run): {plans.summary(made)}.")
    else:
        output.say(f"{plans.done(made)}.")


@app.command(
    epilog=options.examples("scutum config drift", "scutum config drift --forget  # the file need not hold any more")
)
def drift(
    forget: Annotated[bool, typer.Option("--forget", help="The file that was applied last need not hold.")] = False,
    context: options.Context = None,
) -> None:
    """Show how the gateway differs from the file applied last; exit code 1 when it does."""
    del context
    from scutum_cli.client import api
    from scutum_cli.commands import present
    from scutum_cli.render.text import age, plural

    server = api.connect(seconds=PATIENCE_SECONDS)
    if forget:
        server.forget_config()
        output.changed({"applied": False}, "No file is expected to hold any more.")
        return
    found = server.config_drift()
    if output.style.format != "table":
        output.emit_object(found)
    elif not found["applied"]:
        output.say("No file was applied yet: scutum config apply FILE")
    else:
        _show(found["changes"])
        when = f"the file applied {age(found['applied_at'], present.face())} by {found['applied_by']}"
        if found["changes"]:
            count = len(found["changes"])
            verb = "differs" if count == 1 else "differ"
            output.say(f"{plural(count, 'object')} {verb} from {when}; to bring it back, apply it again.")
        else:
            output.say(f"As {when} has it.")
    raise typer.Exit(errors.FINDINGS if found["changes"] else errors.OK)


def _show(changes: Any) -> None:
    from scutum_cli.render import plans

    for line, colour in plans.lines(changes):
        output.emit_text(output.paint(line, colour))


def _read(file: str) -> str:
    try:
        if file == "-":
            text = sys.stdin.read(MAX_FILE + 1)
        else:
            with Path(file).open(encoding="utf-8") as content:
                text = content.read(MAX_FILE + 1)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise CliError(f"{file} cannot be read: {reason}.", code="file_unreadable") from None
    if len(text) > MAX_FILE:
        raise CliError(f"{file} is larger than {MAX_FILE // 2**20} MB.", code="file_too_large")
    return text


def _secrets(plan: ConfigPlan, beside: Path) -> dict[str, str]:
    """The values of the file's references, as far as they are known here; CliError when one that is needed is not."""
    found = {}
    for reference in plan["secrets"]:
        kind, _, name = reference.partition(":")
        value = os.environ.get(name, "") if kind == "env" else _secret_file(beside / name)
        if value.strip():
            found[reference] = value.strip()
    lacking = [reference for reference in plan["missing"] if reference not in found]
    if lacking:
        raise CliError(
            f"The file needs a secret that is not here: {', '.join(lacking)}.",
            code="secret_missing",
            hint="set it in the environment of this command, or leave api_key out to keep what the provider has",
        )
    return found


def _secret_file(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
