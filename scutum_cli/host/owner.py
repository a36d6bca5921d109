"""Whose processes and files these are: root hands them to a system user, anybody else keeps them."""

from __future__ import annotations

import encodings.idna  # noqa: F401  (a stepped-down process may be unable to load it later)
import json
import os
import pwd
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scutum_cli import output
from scutum_cli.errors import HALF_WAY, CliError
from scutum_cli.host import process

SYSTEM_USER = "scutum"


@dataclass(frozen=True, slots=True)
class Owner:
    """A user of this host; `missing` says that it still has to be made."""

    name: str
    uid: int
    gid: int
    home: str
    missing: bool = False

    @property
    def is_other(self) -> bool:
        """Whether we are root and must step down to be this user."""
        return os.geteuid() == 0 and self.uid != 0


def _from(entry: pwd.struct_passwd) -> Owner:
    return Owner(entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_dir)


def myself() -> Owner:
    try:
        return _from(pwd.getpwuid(os.geteuid()))
    except KeyError:
        raise CliError(
            f"The user with number {os.geteuid()} has no entry in the passwd file, and Postgres refuses to run for it.",
            code="no_passwd_entry",
            hint="install as a user that `getent passwd` knows",
        ) from None


def choose(run_as: str | None, home: Path) -> Owner:
    """The user that owns an install: as root the one named, the owner of what is there, or the system user."""
    if os.geteuid() != 0:
        me = myself()
        if run_as and run_as != me.name:
            raise CliError("Only root can install for another user.", hint=f"sudo sh install.sh --run-as {run_as}")
        return me
    # One that is root's was killed before it was handed over.
    if (home / "config").is_dir() and (present := of(home)).uid != 0:
        if run_as and run_as != present.name:
            raise CliError(
                f"The install in {home} belongs to {present.name}.", code="other_owner", hint="leave --run-as away"
            )
        return present
    name = run_as or SYSTEM_USER
    try:
        owner = _from(pwd.getpwnam(name))
    except KeyError:
        if run_as:
            raise CliError(f"There is no user {name!r} on this host.", hint=f"useradd --system {name}") from None
        # Readability is tried as nobody, who may no more than a user that does not exist yet.
        return Owner(name, 65534, 65534, str(home), missing=True)
    if owner.uid == 0:
        raise CliError("Postgres refuses to run as root.", hint="leave --run-as away, or name an ordinary user")
    return owner


def of(home: Path) -> Owner:
    """The user that an existing install belongs to."""
    status = (home / "config").stat()
    try:
        return _from(pwd.getpwuid(status.st_uid))
    except KeyError:
        return Owner(str(status.st_uid), status.st_uid, status.st_gid, str(home))


def step_down(owner: Owner) -> None:
    """Become `owner` for good; nothing to do unless we are root."""
    if not owner.is_other:
        return
    try:
        os.initgroups(owner.name, owner.gid)
    except (OSError, OverflowError):
        os.setgroups([owner.gid])
    os.setgid(owner.gid)
    os.setuid(owner.uid)
    os.environ.update(HOME=owner.home, USER=owner.name, LOGNAME=owner.name)
    # Where root stood may be out of the new user's reach.
    os.chdir("/")


def run_as(owner: Owner, action: Callable[[], Any]) -> Any:
    """Calls `action` as `owner`: here when we are that user, else in a child that stepped down; its result is JSON.

    The child's CliError is raised here again; what the child prints goes where ours goes.
    """
    if not owner.is_other:
        return action()
    sys.stdout.flush()
    sys.stderr.flush()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        os._exit(_in_child(owner, action, writer))
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        raw = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        raise (
            KeyboardInterrupt
            if os.WTERMSIG(status) == 2
            else CliError(
                f"A step running as {owner.name} was killed by signal {os.WTERMSIG(status)}.", exit_code=HALF_WAY
            )
        )
    answer: dict[str, Any] = json.loads(raw) if raw else {"interrupted": True}
    if "error" in answer:
        raise CliError(**answer["error"])
    if "result" not in answer:
        raise KeyboardInterrupt
    return answer["result"]


def _in_child(owner: Owner, action: Callable[[], Any], writer: int) -> int:
    code = 0
    try:
        step_down(owner)
        process.die_with_parent()
        answer: dict[str, Any] = {"result": action()}
    except CliError as error:
        answer = {"error": _fields(error)}
    except KeyboardInterrupt:
        answer = {"interrupted": True}
        code = 130
    except Exception as error:  # noqa: BLE001  (it crosses to the parent as one sentence)
        if output.style.debug:
            traceback.print_exc()
        answer = {"error": {"message": f"A step running as {owner.name} failed: {error}.", "exit_code": HALF_WAY}}
    sys.stdout.flush()
    sys.stderr.flush()
    with os.fdopen(writer, "wb") as pipe:
        pipe.write(json.dumps(answer).encode())
    return code


def _fields(error: CliError) -> dict[str, Any]:
    names = ("message", "exit_code", "code", "why", "hint", "request_id")
    return {name: getattr(error, name) for name in names}
