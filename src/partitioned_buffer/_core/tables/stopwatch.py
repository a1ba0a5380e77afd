"""
How long calls of a partition's processor take, that go one after the other.

One reading of the clock ends a call and begins the next one. Who calls alone writes; anybody may
read, at any time.
"""

from bisect import bisect_left
from collections.abc import Callable

Times = tuple[tuple[int, ...], int, float, float, float | None]
"""How many calls took as long as each bound at most, and longer; of these, how many were first
attempts; how long all took together, and the longest, if longer than the first bound; when the
last one ended that went well."""


class Stopwatch:
    """Sorts calls by *bounds*, seconds by the clock that *monotonic* reads."""

    # fmt: off
    __slots__ = (
        "_batches", "_began", "_bounds", "_counts", "_longest", "_monotonic", "_quick", "_seconds",
        "_succeeded_at", "settled_at",
    )
    # fmt: on

    def __init__(self, monotonic: Callable[[], float], bounds: tuple[float, ...], /) -> None:
        self._monotonic, self._bounds, self._quick = monotonic, bounds, bounds[0]
        self._counts, self._batches = [0] * (len(bounds) + 1), 0
        self._seconds, self._longest = 0.0, 0.0
        self._succeeded_at: float | None = None
        self.settled_at = self._began = monotonic()

    def begin(self) -> float:
        """Note that a call begins; return when."""
        self._began = now = self._monotonic()
        return now

    def returned(self, again: bool = False, /) -> float:
        """Note that the call went well, and that the next one begins; return when."""
        now = self._monotonic()
        if again or (seconds := now - self._began) > self._quick:
            self._ended(now, again)
        else:  # as it is most often, and at a third of the cost
            self._counts[0] += 1
            self._batches += 1
            self._seconds += seconds
            self._began = now
        self._succeeded_at = self.settled_at = now
        return now

    def raised(self, again: bool = False, /) -> float:
        """Note that the call failed, and that the next one begins; return when."""
        now = self._monotonic()
        self._ended(now, again)
        return now

    def _ended(self, now: float, again: bool) -> None:
        seconds = now - self._began
        place = bisect_left(self._bounds, seconds)
        self._counts[place] += 1
        self._batches += not again
        self._seconds += seconds
        if place:
            self._longest = max(self._longest, seconds)
        self._began = now

    def times(self) -> Times:
        """Return all that was noted; in C as of one instant, here each number as it is."""
        batches, counts = self._batches, tuple(self._counts)
        return counts, batches, self._seconds, self._longest, self._succeeded_at
