"""
Say aloud what is given up: how much, of which buffer, why, and what to do.

A burst is one line in the log: what a cycle gives up is counted until its worker rests, or the
cycle is over. What nobody took is an error, for it is gone; what a dead letter handler took is a
warning.
"""

from typing import Any

from ..measures import described
from ..telemetry import warn
from .partition import Partition


class Losses:
    """
    Of one partition's worker.

    It notes them; others, too, may have them told, when its call of the processor does not return.
    So nothing is taken back from the counts: what was told of them is another count.
    """

    def __init__(self, partition: Partition[Any]) -> None:
        self._partition = partition
        self._taken = self._lost = self._attempts = 0
        self._told = (0, 0)
        self._error: BaseException | None = None

    def note(self, size: int, error: BaseException, attempts: int, *, taken: bool) -> None:
        """Note that so many items, whose last of *attempts* raised *error*, were given up."""
        self._error, self._attempts = error, max(self._attempts, attempts)
        if taken:
            self._taken += size
        else:
            self._lost += size

    def tell(self) -> None:
        """Say what has been noted, and not been told."""
        before, now = self._told, (self._taken, self._lost)
        if now == before:
            return
        self._told, taken, lost = now, now[0] - before[0], now[1] - before[1]
        error, attempts = self._error, self._attempts
        self._error, self._attempts = None, 0
        name, index = self._partition.name, self._partition.index
        if taken:
            warn(
                "buffer %r, partition %d: dead-lettered %s after %s: %s. %s",
                *(name, index, _items(taken), _tries(attempts), _said(error)),
                self._partition.taker,
            )
        if lost:
            self._partition.report(
                "dead-lettered %s after %s, which are lost: give the buffer a dead_letter handler, "
                "such as dead_letters.DeadLetterFile, to keep what cannot be delivered",
                _items(lost),
                _tries(attempts),
                error=error,
            )


def _items(count: int) -> str:
    return "1 item" if count == 1 else f"{count} items"


def _tries(count: int) -> str:
    return "1 attempt" if count == 1 else f"{count} attempts"


def _said(error: BaseException | None) -> str:
    if error is None:
        return "as said before"
    return described(error)
