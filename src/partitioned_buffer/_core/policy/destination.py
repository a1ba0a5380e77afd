"""
What the partitions of one buffer know together of where they deliver to.

It gives news and pace, never verdicts: whether an item is poison, its own partition finds out.
Each change is one that may come between any others: no lock.
"""

from collections.abc import Callable
from typing import Final

QUIET: Final = 300.0
"""Seconds without a success after which that is said for the first time."""


class Destination:
    """Of one buffer."""

    # fmt: off
    __slots__ = (
        "_said", "_since", "busy", "listeners", "news", "troubled", "turns", "until",
    )
    # fmt: on

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Know nothing."""
        self.news = 0  # changes with a success while any partition is in trouble
        self.troubled: set[int] = set()  # partitions with a batch that has failed
        self.turns: dict[int, float] = {}  # when those call next that hear of no success
        self.listeners: dict[int, Callable[[], object]] = {}  # how to wake those who wait for news
        self.until = 0.0  # when to come back, as it said to everyone
        self.busy: BaseException | None = None
        self._since: float | None = None  # when it failed first after something went through
        self._said = QUIET

    def turn(self, partition: int, now: float, seconds: float) -> float:
        """Return how many seconds *partition* waits until so many after the last one's turn."""
        others = [at for other, at in list(self.turns.items()) if other != partition]
        at = self.turns[partition] = max([now, *others]) + seconds
        return at - now

    def success(self) -> None:
        """Note that something went through; wake those who wait to hear of it."""
        self.news += 1
        self._since, self._said = None, QUIET
        for wake in list(self.listeners.values()):
            wake()

    def failed(self, now: float) -> None:
        """Note that a call has failed."""
        if self._since is None:
            self._since = now

    def quiet_for(self, now: float) -> float | None:
        """Return for how long nothing has gone through, if that is to be said: at each doubling."""
        since = self._since
        if since is None or now - since < self._said:
            return None
        while self._said <= now - since:
            self._said *= 2
        return now - since
