"""The installer's command line, with nothing but the standard library: it runs before anything is there."""

from __future__ import annotations

import argparse
import signal
import sys
from typing import Any, NoReturn

from scutum_cli import errors, output
from scutum_cli.errors import CliError
from scutum_cli.host import first_answer, packages, path_link, stores
from scutum_cli.host.install import Install, Request
from scutum_cli.host.layout import chosen_home
from scutum_cli.host.progress import Progress
from scutum_cli.host.words import duration
from scutum_cli.render.text import money


def _plan(install: Install) -> dict[str, Any]:
    """What --dry-run tells programs."""
    return {
        "dry_run": True,
        "version": install.source.version,
        "home": str(install.layout.home),
        "user": install.user.name,
        "proxy_url": f"{install.config.proxy_url}/v1",
        "admin_url": install.config.admin_url,
        "steps": [step.title for step in install.needed],
    }


def plan_lines(install: Install) -> list[str]:
    """What will be done, one line a step."""
    head = f"Scutum {install.source.version} into {install.layout.home}, embedded engine, run as {install.user.name}"
    return [head, *(f"  {number}. {step.title}" for number, step in enumerate(install.needed, 1))]


class _ToldToEndError(KeyboardInterrupt):
    """SIGTERM: ends the work as Ctrl-C does."""


def _end(*_: object) -> None:
    raise _ToldToEndError


def perform(request: Request, *, dry_run: bool, ask: bool) -> None:
    """Installs; when SIGTERM comes, stops what was started and says how to go on, with exit code 143."""
    before = signal.signal(signal.SIGTERM, _end)
    try:
        _perform(request, dry_run=dry_run, ask=ask)
    except _ToldToEndError:
        raise CliError(
            "The install was told to end (SIGTERM).",
            exit_code=errors.TERMINATED,
            code="terminated",
            hint="run the same command again; it goes on where it stopped",
        ) from None
    finally:
        signal.signal(signal.SIGTERM, before)


def _perform(request: Request, *, dry_run: bool, ask: bool) -> None:
    """Shows the plan, asks if it should, carries it out, and says what to do next."""
    install = Install(request)
    if dry_run and output.style.format != "table":
        output.emit_object(_plan(install))
    if not install.needed:
        output.say(f"Nothing to do: Scutum {install.source.version} is installed in {install.layout.home} and healthy.")
        return
    for line in plan_lines(install):
        output.say(line)
    if dry_run:
        output.say("Nothing was changed (--dry-run).")
        return
    if ask:
        _ask()
    progress = Progress(len(install.needed))
    install.run(progress)
    _closing_words(install, progress)


def _ask() -> None:
    if not sys.stdin.isatty():
        raise CliError("The plan needs an answer.", code="answer_needed", hint="add --yes to answer yes")
    sys.stderr.write("Go ahead? [Y/n] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"", "y", "yes"}:
        raise CliError("Nothing was changed.", code="declined")


def _closing_words(install: Install, progress: Progress) -> None:
    if install.completion is not None:
        done = install.completion
        simulated = " (simulated)" if done.simulated else ""
        output.say(f"\nFirst answer, from {done.model} at {done.provider}{simulated}, {money(done.cost_usd)}:")
        output.say(f"  {done.text}")
    config = install.config
    output.say(f"\nScutum {install.source.version} runs after {duration(progress.elapsed)}.")
    output.say(f"  proxy  {config.proxy_url}/v1    admin  {config.admin_url}")
    advice = path_link.advice(install.layout)
    if advice is not None:
        output.say(f"\nTo have the command in this shell:\n  {advice}")
    context = first_answer.other_context(install.layout.home)
    if context is not None:
        output.say(f"\nscutum still talks to another gateway; to talk to this one: scutum context use {context}")
    named = f" --context {context}" if context is not None else ""
    steps = (install.layout.says("status"), f'scutum chat "Hello" --model fast{named}', "scutum providers add --help")
    output.say("\n  ".join(("\nNext:", *steps)))


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with the arguments as every error is said."""

    def error(self, message: str) -> NoReturn:
        raise CliError(f"{message[:1].upper()}{message[1:]}.", hint="sh install.sh --help")


def parser() -> argparse.ArgumentParser:
    made = _Parser(
        prog="install.sh",
        description="Sets up Scutum on this host, from nothing to an answer. Safe to run again at any time.",
        allow_abbrev=False,
    )
    made.add_argument("--home", metavar="DIR", help="the deploy root (default ~/.scutum, as root /var/lib/scutum)")
    made.add_argument("--from", dest="origin", metavar="DIR|WHEEL|URL", help="what to install (default: this checkout)")
    made.add_argument("--sha256", metavar="HEX", help="the wheel's sum; needed with a URL")
    made.add_argument("--proxy-port", type=_port, metavar="PORT", help="where clients connect (default 4000)")
    made.add_argument("--admin-port", type=_port, metavar="PORT", help="where the admin API listens (default 8086)")
    made.add_argument("--proxy-workers", type=_count, metavar="N", help="proxy processes (default: one per CPU)")
    made.add_argument("--database-url", metavar="URL|-", help="an external PostgreSQL; - reads its URL from stdin")
    made.add_argument("--redis-url", metavar="URL|-", help="an external Redis or Valkey; - reads its URL from stdin")
    made.add_argument("--with", dest="extras", choices=packages.EXTRAS, action="append", default=[],
                      help="litellm: the library for Gemini, Vertex AI, Bedrock and more, about 260 MB")  # fmt: skip
    made.add_argument("--run-as", metavar="USER", help="as root: the user that runs the services (default scutum)")
    made.add_argument("--yes", "-y", action="store_true", help="ask nothing")
    made.add_argument("--dry-run", action="store_true", help="show the plan, change nothing")
    made.add_argument("--quiet", action="store_true", help="say nothing but errors")
    made.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)
    return made


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"a port is a number from 1 to 65535, not {text!r}")
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 256:
        raise argparse.ArgumentTypeError(f"a number from 1 to 256, not {text!r}")
    return int(text)


def main() -> None:
    """Runs the installer; every failure is a sentence and an exit code."""
    debug = False
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        options = parser().parse_args()
        output.style.quiet, output.style.debug = options.quiet, options.debug
        debug = bool(options.debug)
        request = Request(
            home=chosen_home(options.home),
            origin=options.origin,
            sha256=options.sha256,
            proxy_port=options.proxy_port,
            admin_port=options.admin_port,
            proxy_workers=options.proxy_workers,
            run_as=options.run_as,
            stores=stores.asked(options.database_url, options.redis_url),
            extras=tuple(options.extras),
        )
        # Running install.sh is consent; only somebody who sits at a terminal is asked.
        perform(request, dry_run=options.dry_run, ask=not options.yes and sys.stdin.isatty())
        code = errors.OK
    except CliError as error:
        if debug:
            raise
        code = output.fail(error)
    except KeyboardInterrupt:
        output.say("\ninterrupted; run the same command again and it goes on where it stopped")
        code = errors.INTERRUPTED
    raise SystemExit(code)


if __name__ == "__main__":
    main()
