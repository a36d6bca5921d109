"""What a worker does about money when Redis has lost its data, or when the worker itself is new."""

from __future__ import annotations

from collections.abc import Callable

HandOver = Callable[[], Callable[[], bool]]
"""Hands the records of what was spent until now to where budgets are rebuilt from; the answer: are they there yet?"""


class Recovery:
    """Budgets are rebuilt from records. Until a worker's are there it is `owing`, and nobody opens a budget."""

    def __init__(self, hand_over: HandOver) -> None:
        self.epoch = ""
        self._hand_over = hand_over
        self._handed_over: Callable[[], bool] | None = None
        self._forgets = False

    @property
    def owing(self) -> bool:
        if self._handed_over is not None and not self._forgets and self._handed_over():
            self._handed_over = None
        return self._handed_over is not None

    def begin(self, epoch: str) -> None:
        """A new worker may have records of one that died; only a loss of data makes spent leases count twice."""
        self._forgets = bool(self.epoch)
        self.epoch = epoch
        self._handed_over = self._hand_over()

    def forgets(self) -> bool:
        """True once: what was spent counts by its records from now on."""
        if not self._forgets or self._handed_over is None or not self._handed_over():
            return False
        self._handed_over = None
        return True
