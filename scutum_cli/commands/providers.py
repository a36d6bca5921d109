"""`scutum providers`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scutum_cli import errors, options, output
from scutum_cli.client import api
from scutum_cli.commands import present, provider_keys
from scutum_cli.errors import CliError
from scutum_cli.options import DryRun, Yes, examples, listing
from scutum_cli.render import providers

if TYPE_CHECKING:
    from scutum_cli.client.types import Probe, ProviderCreate, ProviderUpdate

app = typer.Typer(
    help="The vendor accounts and servers that requests go to.",
    epilog=examples(
        "scutum providers add openai --api-key-stdin < key.txt",
        "scutum providers test openai",
        "scutum models add gpt-5-mini --provider openai",
    ),
)
app.add_typer(provider_keys.app, name="keys")
KINDS = (
    "openai", "anthropic", "azure", "gemini", "vertex", "bedrock", "xai", "deepseek", "mistral", "groq", "together",
    "ollama", "vllm", "litellm", "sim",
)  # fmt: skip
Provider = Annotated[str, typer.Argument(metavar="PROVIDER", help="Id or name.")]
BaseUrl = Annotated[
    str | None, typer.Option("--base-url", metavar="URL", help="Where it listens; with /v1 for the kind openai.")
]
KeyStdin = Annotated[bool, typer.Option("--api-key-stdin", help="Read the vendor's key from standard input.")]
Timeout = Annotated[str | None, typer.Option("--timeout", metavar="10m", help="For a whole call.")]
ApiVersion = Annotated[
    str | None, typer.Option("--api-version", metavar="DATE", help="Azure's, when not the preset's.")
]
Proxy = Annotated[
    str | None,
    typer.Option("--proxy", metavar="URL|direct", help="A forward proxy on the way to it, http://[USER@]HOST:PORT."),
]
Region = Annotated[str | None, typer.Option("--region", metavar="REGION", help="For vertex and bedrock.")]
Project = Annotated[
    str | None, typer.Option("--project", metavar="PROJECT", help="For vertex, when not the service account's own.")
]
Vendor = Annotated[
    str | None, typer.Option("--vendor", metavar="NAME", help="For litellm: its name of the vendor, such as cohere.")
]
CaBundle = Annotated[
    str | None, typer.Option("--ca-bundle", metavar="FILE", help="On the server: who vouches for its certificate.")
]

Responses = Annotated[
    str | None,
    typer.Option(
        "--responses", metavar="native|translate", help="Whether an openai server has the Responses API itself."
    ),
]
MaxTokens = Annotated[
    str | None,
    typer.Option(
        "--max-tokens", metavar="N", help="For anthropic: the bound where a client sets none; 4096 by default."
    ),
]

StructuredOutput = Annotated[
    str | None,
    typer.Option(
        "--structured-output", metavar="native|tool", help="For anthropic: how the server takes a JSON schema."
    ),
]


@app.command("list", epilog=examples("scutum providers list", "scutum providers list --columns name,models"))
@listing
def list_() -> None:
    """List the providers."""
    empty = "No providers yet. Add one: scutum providers add openai --api-key-stdin < key.txt"
    present.show_served("providers", api.connect().providers, providers.COLUMNS, empty=empty)


@app.command(epilog=examples("scutum providers show openai"))
def show(provider: Provider) -> None:
    """Show one provider; of its key only the beginning and the end."""
    present.show_one(api.connect().provider(provider), providers.DETAILS)


@app.command(
    epilog=examples(
        "scutum providers add openai --api-key-stdin < key.txt",
        "scutum providers add gemini-eu --kind gemini --api-key-stdin < key.txt",
        "scutum providers add az --kind azure --base-url https://RESOURCE.openai.azure.com --api-key-stdin < key.txt",
        "scutum providers add vertex --region europe-west1 --api-key-stdin < service-account.json",
        "scutum providers add bedrock --region eu-central-1 --api-key-stdin < access-key.json",
        "scutum providers add local --kind openai --base-url http://127.0.0.1:8000/v1",
    )
)
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it; a preset's name is its kind too.")],
    kind: Annotated[
        str | None,
        typer.Option(
            "--kind",
            metavar="|".join(KINDS),
            help="See `scutum providers presets`; openai and anthropic are any server of that format.",
        ),
    ] = None,
    base_url: BaseUrl = None,
    api_key_stdin: KeyStdin = False,
    region: Region = None,
    project: Project = None,
    vendor: Vendor = None,
    timeout: Timeout = None,
    ca_bundle: CaBundle = None,
    proxy: Proxy = None,
    responses: Responses = None,
    max_tokens: MaxTokens = None,
    structured_output: StructuredOutput = None,
    api_version: ApiVersion = None,
    dry_run: DryRun = False,
) -> None:
    """Add a provider; its key is kept encrypted and never shown again."""
    body: ProviderCreate = {"name": name, "kind": _kind(name if kind is None and name in KINDS else kind)}
    if base_url is not None:
        body["base_url"] = base_url
    given = {"region": region, "project": project, "vendor": vendor, "ca_bundle": ca_bundle, "proxy": proxy,
             "responses": responses, "structured_output": structured_output, "api_version": api_version}  # fmt: skip
    settings = _settings(timeout, max_tokens, given)
    if settings:
        body["settings"] = settings
    server, shown = api.connect(dry_run=dry_run), dict(body)
    if api_key_stdin:
        body["api_key"] = options.secret_from_stdin("API key", lines=True)
    elif sys.stdin.isatty():
        _ask_for_missing(server, body)
    made = server.create_provider(body)
    if dry_run:
        output.preview(f"add the provider {name} of kind {body['kind']}", shown, made)
        return
    follow = f"Then: scutum models add NAME --provider {made['name']}; test it: scutum providers test {made['name']}"
    output.changed(made, f"Provider {made['name']} added ({made['id']}). {follow}")
    if made["kind"] == "litellm":
        output.say("note: the LiteLLM library calls it. If the gateway's host lacks it: scutum install --with litellm")


def _ask_for_missing(server: api.Api, body: ProviderCreate) -> None:
    """What the preset needs and no option gave, one question each."""
    preset = next(each for each in server.presets()["items"] if each["name"] == body["kind"])
    settings = body.get("settings") or {}
    for need in preset["needs"]:
        if need == "base_url" and "base_url" not in body:
            body["base_url"] = options.ask(f"Its address, such as {preset['base_url_example']}")
        elif need != "base_url" and need not in settings:
            settings[need] = options.ask(f"Its {need}")
    if settings:
        body["settings"] = settings
    elsewhere = preset["others"] and body.get("base_url") not in {None, preset["base_url"]}
    if preset["api_key"] == "required" and not elsewhere:
        body["api_key"] = options.secret_from_stdin(f"Its key ({preset['key']})")


@app.command(
    epilog=examples(
        "scutum providers update openai --api-key-stdin < new-key.txt",
        "scutum providers update local --base-url http://127.0.0.1:8001/v1",
        "scutum providers update openai --proxy http://gw@proxy.corp:3128 --proxy-password-stdin < password.txt",
    )
)
def update(
    provider: Provider,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="A new name.")] = None,
    base_url: BaseUrl = None,
    api_key_stdin: KeyStdin = False,
    region: Region = None,
    project: Project = None,
    timeout: Timeout = None,
    ca_bundle: CaBundle = None,
    proxy: Proxy = None,
    proxy_password_stdin: Annotated[
        bool, typer.Option("--proxy-password-stdin", help="Read the password of the proxy's user from standard input.")
    ] = False,
    responses: Responses = None,
    max_tokens: MaxTokens = None,
    structured_output: StructuredOutput = None,
    api_version: ApiVersion = None,
    dry_run: DryRun = False,
) -> None:
    """Change a provider; what is not named stays."""
    body: ProviderUpdate = {}
    if name is not None:
        body["name"] = name
    if base_url is not None:
        body["base_url"] = base_url
    given = {"region": region, "project": project, "ca_bundle": ca_bundle, "proxy": proxy,
             "responses": responses, "structured_output": structured_output, "api_version": api_version}  # fmt: skip
    settings = _settings(timeout, max_tokens, given)
    if settings:
        body["settings"] = settings
    if api_key_stdin and proxy_password_stdin:
        raise CliError("Standard input carries one secret: change key and proxy password one after the other.")
    if not body and not api_key_stdin and not proxy_password_stdin:
        raise CliError("Nothing to change was given.", hint="scutum providers update --help")
    shown = dict(body)
    if api_key_stdin:
        body["api_key"] = options.secret_from_stdin("API key", lines=True)
    if proxy_password_stdin:
        body["settings"] = settings | {"proxy_password": options.secret_from_stdin("proxy password")}
    changed = api.connect(dry_run=dry_run).update_provider(provider, body)
    if dry_run:
        output.preview(f"update the provider {provider}", shown, changed)
        return
    output.changed(changed, f"Provider {changed['name']} updated.")


@app.command(epilog=examples("scutum providers delete openai", "scutum providers delete openai --cascade --yes"))
def delete(
    provider: Provider,
    cascade: Annotated[bool, typer.Option("--cascade", help="Delete its models too.")] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Delete a provider."""
    server = api.connect(dry_run=dry_run)
    found = server.provider(provider)
    models = f" and its models {', '.join(found['models'])}" if cascade and found["models"] else ""
    if not dry_run:
        output.confirm(f"Delete the provider {found['name']}{models}?", yes=yes)
    server.delete_provider(found["id"], cascade=cascade)
    if dry_run:
        output.preview(f"delete the provider {found['name']}{models} ({found['id']})")
        return
    output.changed({"id": found["id"], "deleted": True}, f"Provider {found['name']}{models} deleted.")


@app.command(epilog=examples("scutum providers presets", "scutum providers presets --columns name,example_model"))
@listing
def presets() -> None:
    """List the vendors that --kind knows, and what each of them needs."""
    present.show_list(api.connect().presets, providers.PRESETS, empty="None.")


@app.command(epilog=examples("scutum providers test openai"))
def test(provider: Provider) -> None:
    """Make one small real call to a provider and say what came of it."""
    probe = api.connect().test_provider(provider)
    if not probe["ok"]:
        raise _failed(provider, probe)
    present.show_one(probe, providers.PROBE)


@app.command(
    epilog=examples(
        "scutum providers sim sim --latency 200ms --ttft 50ms",
        "scutum providers sim sim --error-rate 30% --error-kind rate_limit",
        "scutum providers sim sim --reset",
    )
)
def sim(
    provider: Provider,
    latency: Annotated[str | None, typer.Option("--latency", metavar="200ms", help="Before each answer.")] = None,
    ttft: Annotated[str | None, typer.Option("--ttft", metavar="50ms", help="Before a stream's first piece.")] = None,
    chunk: Annotated[str | None, typer.Option("--chunk", metavar="10ms", help="Between a stream's pieces.")] = None,
    error_rate: Annotated[
        str | None, typer.Option("--error-rate", metavar="0.3", help="The share of calls that fail: 0.3 or 30%.")
    ] = None,
    error_kind: Annotated[
        str | None,
        typer.Option(
            "--error-kind",
            metavar="rate_limit|server_error|overloaded|timeout|truncated|garbage|refused",
            help="How they fail.",
        ),
    ] = None,
    shape: Annotated[
        str | None, typer.Option("--shape", metavar="normal|tools|changed", help="Of the answers.")
    ] = None,
    tokens: Annotated[str | None, typer.Option("--tokens", metavar="N", help="In each answer.")] = None,
    seed: Annotated[str | None, typer.Option("--seed", metavar="N", help="Another seed, other answers.")] = None,
    reset: Annotated[bool, typer.Option("--reset", help="First set every dial back.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Set the dials of a simulated provider: how slow it is, how it fails, what it answers."""
    dials: dict[str, Any] = dict.fromkeys(SIM_DIALS) if reset else {}
    for name, text, flag in (
        ("latency_ms", latency, "--latency"),
        ("ttft_ms", ttft, "--ttft"),
        ("chunk_ms", chunk, "--chunk"),
    ):
        if text is not None:
            dials[name] = options.milliseconds(text, flag)
    if error_rate is not None:
        dials["error_rate"] = options.fraction(error_rate, "--error-rate")
    dials |= {name: text for name, text in (("error_kind", error_kind), ("shape", shape)) if text is not None}
    if tokens is not None:
        dials["completion_tokens"] = options.whole(tokens, "--tokens", low=1)
    if seed is not None:
        dials["seed"] = options.whole(seed, "--seed")
    if not dials:
        raise CliError("No dial was given.", hint="scutum providers sim --help")
    changed = api.connect(dry_run=dry_run).update_provider(provider, {"settings": dials})
    if dry_run:
        output.preview(f"set the dials of {provider}", {"settings": dials}, changed)
        return
    output.changed(changed, f"Dials of {changed['name']}: {providers.settings_text(changed['settings'])}.")


SIM_DIALS = ("latency_ms", "ttft_ms", "chunk_ms", "error_rate", "error_kind", "shape", "completion_tokens", "seed")


def _kind(text: str | None) -> Any:
    if text is None:
        raise CliError(f"--kind is needed: one of {', '.join(KINDS)}.", hint="See: scutum providers presets")
    if text not in KINDS:
        raise CliError(f"--kind must be one of {', '.join(KINDS)}, not {text!r}.")
    return text


def _settings(timeout: str | None, max_tokens: str | None, given: dict[str, str | None]) -> dict[str, Any]:
    settings: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if timeout is not None:
        settings["timeouts"] = {"total_ms": options.milliseconds(timeout, "--timeout")}
    if max_tokens is not None:
        settings["max_tokens"] = options.whole(max_tokens, "--max-tokens")
    return settings


def _failed(provider: str, probe: Probe) -> CliError:
    error = probe["error"]
    return CliError(
        f"{provider} does not answer as it should.",
        exit_code=errors.UNREACHABLE,
        code=error["code"] if error else "upstream_error",
        why=error["message"] if error else None,
        hint=(error["hint"] if error else None) or f"scutum providers show {provider}",
    )
