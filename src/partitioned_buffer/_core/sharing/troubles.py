"""
What keeps a process from its server, said once when it begins and once when it is over; and what
the server has lost.
"""

import threading

from ...abc import Clock
from ...errors import StorageError
from ..telemetry import report, warn


class Troubles:
    """Of the buffer called *name*."""

    def __init__(self, name: str, clock: Clock) -> None:
        self._name, self._clock = name, clock
        self._lock = threading.Lock()
        self._of: dict[int, tuple[StorageError, float]] = {}  # by lane, and since when
        self.gaps = self.lost = 0

    @property
    def now(self) -> StorageError | None:
        """One that there is now."""
        troubles = [error for error, _ in list(self._of.values())]
        return troubles[0] if troubles else None

    def note(self, lane: int, error: StorageError | None, count: int) -> None:
        """Note what keeps a lane, and so many records, from the server; None: nothing does."""
        if error is None and lane not in self._of:
            return
        with self._lock:
            others = len(self._of.keys() - {lane})
            before = self._of.pop(lane, None)
            if error is not None:
                since = self._clock.monotonic() if before is None else before[1]
                self._of[lane] = error, since
        if others:  # it has been said that there is trouble
            return
        if error is not None and before is None:
            waiting = f"; {count} records wait for it here" if count else ""
            report("buffer %r: %s%s", self._name, error, waiting)
        if error is None and before is not None:
            away = self._clock.monotonic() - before[1]
            warn("buffer %r: its server is back after %.3g s", self._name, away)

    def note_gap(self, partition: int, lost: int) -> None:
        """Note that the server has lost so many records that it had acknowledged."""
        with self._lock:
            self.gaps += 1
            self.lost += lost
        report(
            "buffer %r, partition %d: the server has lost %d records that it had acknowledged: "
            "see its append-only file, and its replicas",
            *(self._name, partition, lost),
        )
