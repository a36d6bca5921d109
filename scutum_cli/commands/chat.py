"""`scutum chat`."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer

from scutum_cli import errors, options, output, settings
from scutum_cli.client.chat import Completion, Told
from scutum_cli.errors import CliError
from scutum_cli.options import examples
from scutum_cli.render.text import money

app = typer.Typer()
KEY_VARIABLE = "SCUTUM_KEY"


@app.command(
    epilog=examples(
        'scutum chat "What do you do?"',
        "scutum chat - --model smart < question.txt",
        'scutum chat "Answer in one word: who are you?" --system "Be brief." -o json',
    )
)
def chat(
    text: Annotated[str, typer.Argument(metavar="TEXT|-", help="What to say; - reads it from standard input.")],
    model: Annotated[str, typer.Option("--model", metavar="M", help="A model or an alias.")] = "fast",
    system: Annotated[str | None, typer.Option("--system", metavar="S", help="How the model should behave.")] = None,
    no_stream: Annotated[bool, typer.Option("--no-stream", help="Wait for the whole answer.")] = False,
    key: Annotated[
        str | None,
        typer.Option(
            "--key", metavar="-", help="- reads the key from standard input; else the context's, or SCUTUM_KEY."
        ),
    ] = None,
) -> None:
    """Send one message through the gateway and print the answer as it comes."""
    context = settings.load().current
    secret = _key(context, key, text)
    messages = [{"role": "system", "content": system}] if system is not None else []
    body: dict[str, Any] = {"model": model, "messages": [*messages, {"role": "user", "content": _text(text)}]}
    if no_stream or output.style.format != "table":
        answer = Completion(context, secret, body)
        document = answer.whole()
        if output.style.format == "table":
            output.emit_words(_content(document))
        else:
            output.emit_object(document)
    else:
        answer = Completion(context, secret, {**body, "stream": True, "stream_options": {"include_usage": True}})
        _stream(answer)
    output.say(output.paint(footer(answer.told), "dim", err=True))


def footer(told: Told) -> str:
    """One line: model, provider, tokens, cost, time, and whether it was simulated."""
    parts = [f"{told.model or 'unknown model'} at {told.provider}" if told.provider else told.model or "unknown model"]
    if told.tokens_in is not None and told.tokens_out is not None:
        parts.append(f"{told.tokens_in} tokens in, {told.tokens_out} out")
    if told.cost_usd is not None:
        parts.append(money(told.cost_usd))
    parts.append(f"{told.seconds:.1f} s" if told.seconds >= 1 else f"{told.seconds * 1000:.0f} ms")
    if told.simulated:
        parts.append("simulated")
    return " · ".join(parts)


def _stream(answer: Completion) -> None:
    last = "\n"
    words = answer.words()
    try:
        for piece in words:
            output.emit_words(piece, end="")
            last = piece
    finally:
        # Ctrl-C lands here too: the proxy sees the connection close and stops the provider's work.
        words.close()  # type: ignore[attr-defined]
        if not last.endswith("\n"):
            output.emit_text("")


def _content(document: dict[str, Any]) -> str:
    choices = document.get("choices") or [{}]
    message = choices[0].get("message") or {}
    content = message.get("content")
    return content if isinstance(content, str) else str(message.get("tool_calls") or "")


def _text(text: str) -> str:
    if text != "-":
        # Bytes that are no text in this locale are taken for UTF-8, which is what the wire speaks.
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    said = sys.stdin.read()
    if not said.strip():
        raise CliError("No text came on standard input.", code="text_missing")
    return said


def _key(context: settings.Context, given: str | None, text: str) -> str:
    if given is not None:
        if given != "-":
            raise CliError(
                "A key on the command line can be read by everybody on this host.",
                code="key_in_argv",
                hint="scutum chat TEXT --key - < FILE, or set SCUTUM_KEY",
            )
        if text == "-":
            raise CliError("Only one of TEXT and --key can come from standard input.", hint=f"set {KEY_VARIABLE}")
        return options.secret_from_stdin("key")
    found = os.environ.get(KEY_VARIABLE, "").strip() or context.key
    if not found:
        raise CliError(
            f"The context {context.name} has no key to chat with, and {KEY_VARIABLE} is not set.",
            exit_code=errors.NOT_ALLOWED,
            code="no_key",
            hint="scutum keys create NAME --use",
        )
    return found
