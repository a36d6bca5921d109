"""The only place that starts other programs."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from scutum_cli.errors import HALF_WAY, CliError

Tick = Callable[[], None]
_TICK_SECONDS = 0.1
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def die_with_parent(number: signal.Signals = signal.SIGKILL) -> None:
    """Asks the kernel to send us this signal when our parent ends: a killed installer leaves nothing running."""
    _libc.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Result:
    """What a finished program left: its exit code (negative: the signal), and its output as text."""

    code: int
    out: str
    err: str

    @property
    def last_line(self) -> str:
        """The last thing it said, preferably on stderr."""
        lines = [line.strip() for line in (self.err.strip() or self.out.strip()).splitlines() if line.strip()]
        return lines[-1] if lines else f"it said nothing and ended with code {self.code}"


class Running:
    """A program that runs beside us; its output goes to a file."""

    def __init__(
        self,
        argv: Sequence[str | Path],
        log_path: Path,
        log: IO[bytes],
        *,
        env: Mapping[str, str] | None,
        cwd: Path,
        stop_signal: signal.Signals = signal.SIGKILL,
    ) -> None:
        self._stop_signal = stop_signal
        # The position in an append-only log that others write to as well: only what follows can be about us.
        self._log_path = log_path
        self._from = os.fstat(log.fileno()).st_size
        self._process = subprocess.Popen(
            [str(part) for part in argv],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=dict(env) if env is not None else None,
            cwd=cwd,
            preexec_fn=lambda: die_with_parent(stop_signal),  # noqa: PLW1509  (no threads here)
        )

    def done(self) -> bool:
        return self._process.poll() is not None

    def stop(self) -> None:
        """Ends it if it still runs."""
        if not self.done():
            self._process.send_signal(self._stop_signal)
            self._process.wait()

    def result(self, tick: Tick | None = None) -> Result:
        """Waits for the end, calling `tick` about ten times a second."""
        while True:
            try:
                code = self._process.wait(_TICK_SECONDS)
                break
            except subprocess.TimeoutExpired:
                if tick is not None:
                    tick()
        with self._log_path.open("rb") as file:
            file.seek(self._from)
            return Result(code, file.read().decode(errors="replace"), "")


def run(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    text_in: str | None = None,
    timeout: float | None = None,
) -> Result:
    """Runs a program to its end; never raises for its exit code. Code 127: it could not be started; 124: too slow."""
    try:
        done = subprocess.run(
            [str(part) for part in argv],
            input=text_in.encode() if text_in is not None else None,
            stdin=subprocess.DEVNULL if text_in is None else None,
            capture_output=True,
            env=dict(env) if env is not None else None,
            cwd=cwd,
            timeout=timeout,
            check=False,
            preexec_fn=die_with_parent,
        )
    except OSError as error:
        return Result(127, "", f"{argv[0]}: {error.strerror}")
    except subprocess.TimeoutExpired:
        return Result(124, "", f"{argv[0]} did not finish within {timeout:.0f} s")
    return Result(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


def check(what: str, result: Result, *, hint: str | None = None) -> Result:
    """The result, or an error that says what failed and quotes the program's last line."""
    if result.code != 0:
        raise CliError(f"{what} failed.", exit_code=HALF_WAY, code="step_failed", why=result.last_line[:300], hint=hint)
    return result


def start_detached(argv: Sequence[str | Path], *, env: Mapping[str, str], cwd: Path, log: Path) -> int:
    """Starts a daemon in a session of its own with its output appended to `log`; returns its pid."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(part) for part in argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=dict(env),
            cwd=cwd,
            start_new_session=True,
            umask=0o077,
        )
    # It outlives this command on purpose; without this, Popen's destructor warns about that.
    process.returncode = 0
    return process.pid
