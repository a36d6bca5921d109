"""Long work, told while it happens: a live line on a terminal, one line per step elsewhere; and a log file."""

from __future__ import annotations

import datetime as dt
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scutum_cli import output
from scutum_cli.host import files
from scutum_cli.host.words import duration

_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


class Progress:
    """Counts steps of `total` (0: does not count them); `tick` may be called at any time to move the live line."""

    def __init__(self, total: int = 0, log: Path | None = None) -> None:
        self._total = total
        self._log = log
        self._number = 0
        self._name = ""
        self._began = time.monotonic()
        self._step_began = self._began
        self._live = sys.stderr.isatty() and output.style.progress and not output.style.quiet

    def log_to(self, path: Path) -> None:
        """From now on every line also goes to this file."""
        self._log = path

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self._began

    @contextmanager
    def step(self, name: str) -> Iterator[list[str]]:
        """One step; what the block appends to the list is said behind its name when it is done."""
        self._number += 1
        self._name = name
        self._step_began = time.monotonic()
        notes: list[str] = []
        self.note(f"begins: {name}")
        self.tick()
        try:
            yield notes
        except BaseException:
            self._clear()
            self._finish("failed", name, notes)
            raise
        self._clear()
        self._finish("done", name, notes)

    def tick(self) -> None:
        """Draws the live line anew."""
        if self._live:
            spent = time.monotonic() - self._step_began
            sign = _SPINNER[int(spent * 8) % len(_SPINNER)]
            took = f"  {duration(spent)}"
            # A wrapped line could not be drawn over.
            room = shutil.get_terminal_size().columns - len(took) - 1
            sys.stderr.write(f"\r\x1b[2K{f'{sign} {self._head()}{self._name}'[:room]}{took}")
            sys.stderr.flush()

    def wait(self, pause: float = 0.1) -> None:
        """A short pause that keeps the line alive."""
        time.sleep(pause)
        self.tick()

    def note(self, text: str) -> None:
        """A line for the log file only."""
        if self._log is not None:
            stamp = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
            with files.append_to(self._log) as file:
                file.write(f"{stamp} {text}\n".encode())

    def _head(self) -> str:
        return f"[{self._number:>{len(str(self._total))}}/{self._total}] " if self._total else ""

    def _clear(self) -> None:
        if self._live:
            sys.stderr.write("\r\x1b[2K")

    def _finish(self, word: str, name: str, notes: list[str]) -> None:
        spent = duration(time.monotonic() - self._step_began)
        text = f"{name}: {', '.join(notes)}" if notes else name
        output.say(f"{self._head()}{text}  ({'failed after ' if word == 'failed' else ''}{spent})")
        self.note(f"{word}: {text} ({spent})")
