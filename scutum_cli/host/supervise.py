"""What runs inside the supervisor's own environment: hooks, log files and the control client for circus.

`scutum install` copies this one file to supervisor/lib/scutum_supervise.py, so it imports nothing of Scutum. The hooks
keep run/services/<name>.json: {"supervisor": pid, "restarts": n, "streak": deaths in a row that came within a minute,
"pids": {pid: start time}, "ready": [pid], "last": {"at", "pid", "reason"} | null}.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

from circus.client import CircusClient
from circus.stream import FileStream

STATE = Path("services")
_QUICK_SECONDS = 60.0
_MAX_LINE = 65_536


class LineFile(FileStream):  # type: ignore[misc]
    """A rotating log file that several processes share by whole lines, and that remembers each one's last words."""

    last_words: ClassVar[dict[int, str]] = {}

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._partial: dict[int, bytes] = {}
        self._service = Path(self._filename).stem

    def __call__(self, data: dict[str, Any]) -> None:
        pid = data["pid"]
        buffered = self._partial.pop(pid, b"") + data["data"]
        lines, newline, rest = buffered.rpartition(b"\n")
        if len(rest) > _MAX_LINE:
            lines, newline, rest = buffered, b"\n", b""
        if rest:
            self._partial[pid] = rest
        if newline:
            text = (lines + newline).decode("utf-8", errors="replace")
            self._remember(pid, text)
            super().__call__({**data, "data": text})

    def flush_process(self, pid: int) -> None:
        """Writes what a dead process said without ending its line."""
        rest = self._partial.pop(pid, b"")
        if rest:
            self({"pid": pid, "data": rest + b"\n", "name": "stderr"})

    def _remember(self, pid: int, text: str) -> None:
        # A hint follows the sentence that says what is wrong; the sentence is the better reason.
        spoken = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("hint:")]
        if spoken:
            self.last_words[pid] = spoken[-1][:500]
        # A process that logs "ready": true can take the place of an older one.
        if '"ready": true' in text:
            state = _read(self._service)
            state["ready"] = sorted({*state["ready"], pid})
            _write(self._service, state)


def _path(name: str) -> Path:
    return STATE / f"{name}.json"


def _read(name: str) -> dict[str, Any]:
    try:
        state = json.loads(_path(name).read_text())
    except (OSError, ValueError):
        state = {}
    if state.get("supervisor") != os.getpid():
        state = {"supervisor": os.getpid(), "restarts": 0, "streak": 0, "pids": {}, "ready": [], "last": None}
    return dict(state)


def _write(name: str, state: dict[str, Any]) -> None:
    partial = _path(name).with_suffix(".partial")
    partial.write_text(json.dumps(state))
    partial.rename(_path(name))


def after_spawn(watcher: Any, pid: int, **_: Any) -> bool:
    """Notes the new process."""
    state = _read(watcher.name)
    alive = {str(known) for known in watcher.processes}
    state["pids"] = {known: at for known, at in state["pids"].items() if known in alive} | {str(pid): time.time()}
    state["ready"] = [known for known in state["ready"] if str(known) in alive]
    _write(watcher.name, state)
    return True


def before_signal(watcher: Any, pid: int, signum: int, **_: Any) -> bool:
    """SIGCONT, which does nothing to a process that runs, makes it the youngest: circus ends the oldest first."""
    process = watcher.processes.get(pid)
    if process is not None and signum == signal.SIGCONT:
        process.started = time.time()
    return True


def before_reap(watcher: Any, process_pid: int, **_: Any) -> bool:
    """Remembers whether we asked it to end: afterwards the process object is gone."""
    process = watcher.processes.get(process_pid)
    if process is not None and process.stopping:
        watcher.asked_to_end = getattr(watcher, "asked_to_end", set()) | {process_pid}
    return True


def after_reap(watcher: Any, process_pid: int, exit_code: int | None, **_: Any) -> bool:
    """Notes why a process ended, and counts it as a restart unless it was asked to end."""
    if watcher.stderr_stream is not None:
        watcher.stderr_stream.flush_process(process_pid)
    words = LineFile.last_words.pop(process_pid, None)
    state = _read(watcher.name)
    started = state["pids"].pop(str(process_pid), time.time())
    state["ready"] = [pid for pid in state["ready"] if pid != process_pid]
    asked: set[int] = getattr(watcher, "asked_to_end", set())
    if watcher.is_stopping() or watcher.is_stopped() or process_pid in asked:
        asked.discard(process_pid)
    else:
        state["restarts"] += 1
        state["streak"] = state["streak"] + 1 if time.time() - started < _QUICK_SECONDS else 1
        state["last"] = {"at": time.time(), "pid": process_pid, "reason": reason(exit_code, words)}
    _write(watcher.name, state)
    return True


def after_stop(watcher: Any, **_: Any) -> bool:
    """A service that was stopped on purpose starts with a clean slate."""
    state = _read(watcher.name)
    state.update(streak=0, pids={}, ready=[])
    _write(watcher.name, state)
    return True


def reason(exit_code: int | None, words: str | None) -> str:
    """One line for people: the signal or the exit code, and the last thing the process said."""
    if exit_code is None:
        return "ended, nobody saw how"
    if exit_code < 0:
        try:
            name = signal.Signals(-exit_code).name
        except ValueError:
            name = "unknown"
        return f"killed by signal {-exit_code} ({name})"
    said = _spoken(words)
    return f"exit code {exit_code}" + (f": {said}" if said else "")


def _spoken(words: str | None) -> str:
    try:
        entry = json.loads(words or "")
    except ValueError:
        entry = None
    if isinstance(entry, dict):
        said = str(entry.get("error") or entry.get("msg") or "")
    else:
        said = (words or "").removeprefix("error: ")
    return said[:200]


def control(endpoint: str) -> int:
    """Sends the circus commands that stdin holds as a JSON list, in order; prints their replies as a JSON list."""
    replies = []
    with_timeout = CircusClient(endpoint=endpoint, timeout=float(os.environ.get("SCUTUM_CONTROL_TIMEOUT", "90")))
    try:
        for command in json.load(sys.stdin):
            reply = with_timeout.call(command)
            replies.append(reply)
            if reply.get("status") != "ok":
                break
    except Exception as error:  # noqa: BLE001  (circus raises its own and zmq's errors; the caller wants one sentence)
        replies.append({"status": "error", "reason": str(error)})
    finally:
        with_timeout.stop()
    sys.stdout.write(json.dumps(replies) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(control(sys.argv[1]))
