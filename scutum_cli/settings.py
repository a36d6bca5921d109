"""The servers that this command knows, and its sessions with them: `$XDG_CONFIG_HOME/scutum/contexts.json`, 0600."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from scutum_cli import output
from scutum_cli.errors import NOT_FOUND, CliError

MASTER_KEY = "SCUTUM_API_KEY"


@dataclass(slots=True)
class Context:
    """One server. `home` is its deploy root when it lies on this host; `key` is the client key that `chat` uses.

    `token_expires_at` is in seconds since 1970. `account` is whose session it is, None for the master key's; `vault`
    says that the session is in the system's keyring and not here. Keys and tokens never show in a repr.
    """

    name: str
    admin_url: str
    proxy_url: str
    home: str | None = None
    key: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    token_expires_at: float | None = None
    refresh_token: str | None = field(default=None, repr=False)
    device_token: str | None = field(default=None, repr=False)
    account: str | None = None
    vault: bool = False

    def master_key(self) -> str | None:
        """The master key from `<home>/config/.env`; None without a home or when the file cannot be read."""
        if self.home is None:
            return None
        try:
            text = (Path(self.home) / "config" / ".env").read_text()
        except OSError:
            return None
        for line in text.splitlines():
            name, _, value = line.strip().partition("=")
            if name == MASTER_KEY:
                return value.strip().strip("'\"") or None
        return None


@dataclass(slots=True)
class Contexts:
    """All contexts by name, and the one in use unless --context says otherwise."""

    contexts: dict[str, Context] = field(default_factory=dict)
    current_name: str | None = None

    @property
    def current(self) -> Context:
        """The context of --context, else of SCUTUM_CONTEXT, else the one in use; CliError when there is none."""
        name = selected() or self.current_name
        if name is None:
            raise CliError(
                "No server is known yet.",
                code="no_context",
                hint="scutum install, or for a server elsewhere: scutum context add NAME --admin-url URL",
            )
        return self.get(name)

    def get(self, name: str) -> Context:
        """The context called `name`; CliError (exit 3) when there is none."""
        if name not in self.contexts:
            known = ", ".join(sorted(self.contexts)) or "none"
            raise CliError(
                f"There is no context {name!r}.",
                exit_code=NOT_FOUND,
                code="context_not_found",
                why=f"Known: {known}.",
                hint="scutum context list",
            )
        return self.contexts[name]

    def put(self, context: Context, *, use: bool = False) -> None:
        """Adds or replaces a context; the first one, and one put with `use`, becomes the current one."""
        self.contexts[context.name] = context
        if use or self.current_name is None:
            self.current_name = context.name

    def use(self, name: str) -> None:
        """Makes `name` the current context; CliError (exit 3) when there is none."""
        self.current_name = self.get(name).name

    def remove(self, name: str) -> None:
        """Forgets a context; the first that remains takes its place when it was the current one."""
        self.get(name)
        del self.contexts[name]
        if self.current_name == name:
            self.current_name = next(iter(self.contexts), None)

    def save(self) -> None:
        """Writes the file whole or not at all, readable by its owner only."""
        target = path()
        _make_private_directory(target.parent)
        data = {
            "current": self.current_name,
            "contexts": {name: asdict(context) for name, context in self.contexts.items()},
        }
        temporary = target.with_name(f"{target.name}.{os.getpid()}.tmp")
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as file:
                json.dump(data, file, indent=2)
                file.write("\n")
            temporary.replace(target)
        except OSError as error:
            raise _unwritable(error) from None


def selected() -> str | None:
    """The context that --context or SCUTUM_CONTEXT names."""
    return output.style.context or os.environ.get("SCUTUM_CONTEXT") or None


def path() -> Path:
    """Where the contexts are kept."""
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "scutum" / "contexts.json"


def load() -> Contexts:
    """Reads the file; no file is no contexts. CliError when it cannot be read or is broken."""
    file = path()
    try:
        data = json.loads(file.read_text())
    except FileNotFoundError:
        return Contexts()
    except OSError as error:
        raise CliError(
            f"{file} cannot be read: {error.strerror}.", code="contexts_unreadable", hint=f"ls -l {file}"
        ) from None
    except ValueError:
        raise _broken(file) from None
    known = {item.name for item in fields(Context)}
    try:
        contexts = {
            name: Context(**{key: value for key, value in entry.items() if key in known})
            for name, entry in data["contexts"].items()
        }
        return Contexts(contexts, data["current"])
    except (KeyError, TypeError, AttributeError):
        raise _broken(file) from None


@contextmanager
def edit() -> Iterator[Contexts]:
    """Reads, lets the caller change, and saves, while no other `scutum` does the same; saves nothing on an error."""
    with _locked("contexts.lock"):
        contexts = load()
        yield contexts
        contexts.save()


@contextmanager
def session_lock(name: str) -> Iterator[None]:
    """One process at a time renews a context's session: a refresh token works once."""
    with _locked(f"session-{name}.lock"):
        yield


@contextmanager
def _locked(file: str) -> Iterator[None]:
    lock_path = path().with_name(file)
    _make_private_directory(lock_path.parent)
    try:
        descriptor = os.open(lock_path, os.O_WRONLY | os.O_CREAT, 0o600)
    except OSError as error:
        raise _unwritable(error) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def remember(name: str, **changes: Any) -> None:
    """Changes some fields of one context in the file, if it is still there."""
    with edit() as contexts:
        context = contexts.contexts.get(name)
        if context is not None:
            for key, value in changes.items():
                setattr(context, key, value)


def refresh(home: Path, admin_url: str, proxy_url: str) -> list[str]:
    """Gives the contexts of a deploy root its present addresses; the names of those that changed."""
    wanted = (admin_url, proxy_url)

    def stale(known: Contexts) -> list[Context]:
        mine = [context for context in known.contexts.values() if context.home == str(home)]
        return [context for context in mine if (context.admin_url, context.proxy_url) != wanted]

    if not stale(load()):
        return []
    with edit() as contexts:
        changed = stale(contexts)
        for context in changed:
            context.admin_url, context.proxy_url = wanted
    return [context.name for context in changed]


def _make_private_directory(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(error) from None


def _broken(file: Path) -> CliError:
    return CliError(
        f"{file} is not a contexts file.",
        code="contexts_broken",
        hint=f"move it away and add the servers again: mv {file} {file}.broken",
    )


def _unwritable(error: OSError) -> CliError:
    return CliError(
        f"{path()} cannot be written: {error.strerror}.",
        code="contexts_unwritable",
        hint="set XDG_CONFIG_HOME to a directory that you may write to",
    )
