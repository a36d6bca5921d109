"""Cancellation that survives redis-py on Python 3.11."""

from __future__ import annotations

import asyncio


class Heed:
    """Call it in every turn of a loop that awaits Redis: raises CancelledError if the task was cancelled meanwhile.

    redis-py sends each command under `asyncio.wait_for`, and before Python 3.12 that swallows a cancellation that comes
    in the same turn as the end of what it waits for: the loop would never end.
    """

    def __init__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("Heed belongs inside a task")
        self._task = task
        self._before = task.cancelling()

    def __call__(self) -> None:
        if self._task.cancelling() > self._before:
            raise asyncio.CancelledError
