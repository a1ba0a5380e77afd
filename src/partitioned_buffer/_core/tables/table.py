"""
A partition's table: what collects writes, and what is in flight. What both kinds share.

         writers                 worker                            swap: exchanged, once nothing is
            │ push, put            │ swap          │ take             in flight
            ▼                      ▼               ▼               take: into the worker's hand
     ┌─────────────┐        ┌─────────────┐   ┌────────┐           acknowledge, bury, keep: of what
     │   waiting   │ ─────► │   flying    │ ─►│  hand  │             was taken, settled
     └─────────────┘        └─────────────┘   └────────┘           release: back, first in line

Every change is a step that nothing parts (see `step`). These modules in plain Python say what a
table is; `_speed.c` does the same, step for step.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from .room import Room
from .step import AGAIN, CLOSED, FULL, MADE, Lock


def _nobody() -> None:
    """Stand in for a worker before there is one."""


class _Unraisable:
    """Says, when it is let go, what an observer raised."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __del__(self) -> None:
        raise self._error


class Table(ABC):
    """The two ends of a life, the counters, and what a write does that finds no room."""

    # fmt: off
    __slots__ = (
        "__weakref__", "_accepted", "_bell", "_buried", "_closed", "_coalesced", "_deleted",
        "_delivered", "_dropped", "_flush_at", "_lock", "_room", "_turn", "_wake", "_weighed",
        "observer", "partition",
    )
    # fmt: on
    _waiting: Any

    def __init__(self, room: Room | None = None) -> None:
        self.partition: object = None
        self.observer: Callable[[Any], object] | None = None
        self._room = room
        self._weighed = room is not None and room.weighed
        if room is not None:
            room.tables.append(self)
        self.reset()

    def reset(self) -> None:
        """Be as new, empty and closed: in a forked child, after the room."""
        self._lock = Lock() if self._room is None else self._room.lock
        self._closed = True
        self._wake: Callable[[], object] = _nobody
        self._flush_at: int | None = None
        self._bell: int | None = None  # the same, until it has been rung
        self._turn = 0  # changes with everything that is no write
        self._accepted = self._delivered = self._buried = 0
        self._dropped = self._coalesced = self._deleted = 0

    # --- the two ends of a life ------------------------------------------------

    @property
    def closed(self) -> bool:
        """Whether it takes no writes."""
        return self._closed

    def open(self, wake: Callable[[], object], flush_at: int | None, /) -> None:
        """Let writers in; `wake` is called once per swap, when `flush_at` items wait."""
        self._wake = wake
        self._closed = False
        self.retune(flush_at)

    def close(self) -> None:
        """Refuse writes from now on: none is in the middle of its step when this returns."""
        lock = self._lock
        _ = lock.take
        try:
            # zone
            self._closed = True
            # end
        finally:
            _ = lock.free

    def rewire(self, wake: Callable[[], object], /) -> None:
        """Let another worker be woken."""
        self._wake = wake

    def retune(self, flush_at: int | None, /) -> None:
        """Change how many waiting items wake the worker; look how many there are."""
        self._flush_at = self._bell = flush_at
        if flush_at is not None:
            self._look(flush_at)

    # --- what follows a write, without the lock --------------------------------

    def _follow(self, outcome: int) -> None:
        """Tell the observer of a write, whose errors are not the writer's; wake the worker."""
        observer = self.observer
        if observer is not None and outcome == MADE:
            try:
                observer(self.partition)
            except Exception as error:
                _Unraisable(error)
        bell = self._bell
        if bell is not None and len(self._waiting) >= bell:
            self._look(bell)

    def _look(self, bell: int) -> None:
        if self._sizes()[0] >= bell:
            try:
                self._bell = None
                self._wake()
            except BaseException:
                self._bell = bell
                raise

    def _serve(self) -> None:
        """Let the first in line look: there is room again."""
        room = self._room
        if room is not None and room.line and room.serve is not None:
            room.serve()

    # --- a write that finds no room --------------------------------------------

    def _make_room(self, size: int, weight: int) -> int:
        """Do what `when_full` says: `AGAIN` after dropping something that was older."""
        room = self._room
        if room is None or room.when_full in ("block", "raise"):
            return FULL
        if room.when_full == "drop_oldest" and room.fits(size, weight):
            for table in (self, *room.tables):
                if table.drop_oldest():
                    return AGAIN
        return self.drop(size)

    def drop(self, count: int, /) -> int:
        """Count so many writes as accepted and dropped."""
        lock = self._lock
        _ = lock.take
        try:
            # zone
            outcome = CLOSED if self._closed else MADE
            if outcome == MADE:
                self._accepted += count
                self._dropped += count
            # end
        finally:
            _ = lock.free
        return outcome

    @abstractmethod
    def drop_oldest(self) -> bool:
        """Drop what has been here longest and is not in hand; return whether there was any."""

    def faults(self) -> list[BaseException]:
        """Return what went wrong in putting values over older ones since the last call."""
        return []

    # --- the numbers -----------------------------------------------------------

    @property
    def delivered(self) -> int:
        """How much was delivered so far."""
        return self._delivered

    def counts(self) -> dict[str, int]:
        """Return the table's part of the ledger, at one instant."""
        lock = self._lock
        while True:
            turn, before = self._turn, self._accepted
            waiting, in_flight = self._sizes()
            _ = lock.take
            try:
                # zone
                accepted = self._accepted
                delivered = self._delivered
                buried = self._buried
                dropped = self._dropped
                coalesced = self._coalesced
                deleted = self._deleted
                same = turn == self._turn and before == accepted
                # end
            finally:
                _ = lock.free
            if same:
                break
        return {
            "accepted": accepted,
            "delivered": delivered,
            "dead_lettered": buried,
            "dropped": dropped,
            "coalesced": coalesced,
            "deleted": deleted,
            "waiting": waiting,
            "in_flight": in_flight,
        }

    def __len__(self) -> int:
        counts = self.counts()
        return counts["waiting"] + counts["in_flight"]

    @abstractmethod
    def load(self) -> tuple[int, int]:
        """Return how many items are held, and how many bytes where those are bounded."""

    @abstractmethod
    def _sizes(self) -> tuple[int, int]:
        """Return how much waits, and how much is in flight."""
