"""
A partition's table: what collects writes, and what is in flight.

Rules of all tables in memory (`_queue_table`, `_map_log` and `_map_table`)
  - A writer takes no lock. It appends to a list that is never replaced, *then*
    looks whether somebody wants its attention. Appending first is what makes
    the end safe: whoever closes the table sees the write, or the writer sees
    the closing and takes its own write back (`attend`). Only for that does it
    take the lock, and once per swap, when it is the one that reaches `flush_at`.
  - A swap copies the list and deletes just the copied front, so a write that
    comes between the two stays for the next swap. Both steps are single list
    operations: atomic under the GIL, locked per list on free-threaded builds.
  - Everything else (swap, acknowledge, counts) holds the table's lock, briefly
    and without calling the user. The lock is re-entrant, because a finalizer or
    a signal handler may write in the middle of it, on the same thread.

         writers                     worker
            │ append                   │ swap            │ take, acknowledge
            ▼                          ▼                 ▼
     ┌─────────────┐            ┌─────────────┐     ┌───────────┐
     │   waiting   │ ─────────► │  in flight  │ ──► │ processor │
     └─────────────┘            └─────────────┘     └───────────┘
"""

import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, Generic, NamedTuple, ParamSpec, TypeVar

B = TypeVar("B")
P = ParamSpec("P")
R = TypeVar("R")


def _nobody() -> None:
    """Stand in for a worker before there is one."""


class Drop(NamedTuple):
    """What a table had to drop, to be announced by its worker."""

    size: int
    reason: str
    error: Exception | None = None


def busily(method: Callable[P, R]) -> Callable[P, R]:
    """
    Hold the lock during *method*, and let writers see that it is held for something long.

    A finalizer or signal handler may come here in the middle of it, on the same thread: what it
    may not touch now, it finds `_busy`.
    """

    @wraps(method)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        table: Any = args[0]
        with table._lock:
            table._busy = True
            try:
                return method(*args, **kwargs)
            finally:
                table._busy = False
                table._catch_up()

    return run


class Table(ABC, Generic[B]):
    """What both kinds have in common: the two ends of a life, and the counters."""

    # fmt: off
    __slots__ = (
        "_busy", "_drop_reasons", "_dropped", "_drops", "_flush_at", "_in_flight_since", "_lock",
        "_pressed", "_rung", "_sealed", "_since", "_tuned", "_wake", "closed",
    )
    # fmt: on

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Be as new: empty, closed, and with a lock that nobody holds."""
        self._lock = threading.RLock()
        self._busy = False
        self._wake: Callable[[], None] = _nobody
        self._tuned: int | None = None
        self._pressed = False
        self._flush_at: int | None = None  # as tuned; 1 while pressed
        self._rung = False
        self._sealed = True
        self._since = self._in_flight_since = 0.0
        self._dropped = 0
        self._drop_reasons: Counter[str] = Counter()
        self._drops: list[Drop] = []  # to be announced
        self.closed = True

    def open(self, wake: Callable[[], None], flush_at: int | None, now: float) -> None:
        """Let writers in; `wake` is called once per swap, when `flush_at` items wait."""
        with self._lock:
            self._wake = wake
            self._since = now
            self._sealed = self.closed = self._pressed = False
            self.retune(flush_at)

    def rewire(self, wake: Callable[[], None]) -> None:
        """Let another worker be woken."""
        with self._lock:
            self._wake = wake

    def close(self) -> None:
        """Refuse writes from now on. What is held stays for the last swap."""
        with self._lock:
            self.closed = True
            self._watch()

    def retune(self, flush_at: int | None) -> None:
        """Change how many waiting items wake the worker."""
        with self._lock:
            self._tuned = flush_at
            self._rung = False
            self._press(on=self._pressed)

    def press(self) -> None:
        """Wake the worker now, and for whatever is written while writers wait for room."""
        with self._lock:
            self._rung = True
            self._press(on=True)
            self._wake()

    def _ease(self, count_line: Callable[[], int]) -> None:
        """Be pressed no longer, if nobody waits for room any more."""
        if self._pressed:
            with self._lock:  # which is the room's, so that nobody joins the line meanwhile
                self._press(on=count_line() > 0)

    def _press(self, *, on: bool) -> None:
        self._pressed, self._flush_at = on, 1 if on else self._tuned
        self._watch()

    def _catch_up(self) -> None:
        """Do what writers had to leave undone while the table was busy."""

    @abstractmethod
    def _watch(self) -> None:
        """Set when writers have to call `attend`."""

    @abstractmethod
    def write(self, batch: list[Any], /) -> bool:
        """Append *batch* in one piece; return whether the write stands."""

    @abstractmethod
    def swap(self, now: float, *, seal: bool = False) -> int:
        """Put what waits behind what is in flight; return how much that is together.

        After a swap that *seals*, writes still to come are the writers' own to take back.
        """

    @abstractmethod
    def take(self, size: int | None) -> B | None:
        """Return the next *size* items in flight (None: all) as a container of their own."""

    @abstractmethod
    def acknowledge(self) -> None:
        """Count what `take` or `again` returned last as delivered, and let go of it."""

    @abstractmethod
    def bury(self) -> None:
        """Count what `take` or `again` returned last as dead-lettered, and let go of it."""

    @abstractmethod
    def keep(self, failed: Iterable[Any] | None) -> int:
        """
        Keep in hand what *failed* (None: all) of what was returned last; return how much.

        The rest counts as delivered. If *failed* names a stranger, all of it failed.
        """

    @abstractmethod
    def again(self, size: int | None, *, newest: bool = True) -> B | None:
        """Return the first *size* items in hand (None: all), anew; None if there are none."""

    @abstractmethod
    def release(self) -> None:
        """Have nothing in hand: what is still held is in line."""

    def drops(self) -> list[Drop]:
        """Return what was dropped since the last call."""
        with self._lock:
            drops, self._drops = self._drops, []
            return drops

    def _drop(self, drop: Drop) -> None:
        self._dropped += drop.size
        self._note(drop)

    def _note(self, drop: Drop) -> None:
        self._drop_reasons[drop.reason] += drop.size
        if drop.error is None and self._drops and self._drops[-1].reason == drop.reason:
            drop = Drop(self._drops.pop().size + drop.size, drop.reason)
        self._drops.append(drop)

    @abstractmethod
    def held(self) -> list[Any]:
        """Return everything that is not settled, oldest first."""

    @abstractmethod
    def counts(self, now: float) -> dict[str, Any]:
        """Return the table's part of `PartitionStats`."""

    @property
    @abstractmethod
    def delivered(self) -> int:
        """How many items were delivered so far."""

    def _ages(self, now: float, waiting: int, in_flight: int) -> dict[str, Any]:
        since = self._in_flight_since if in_flight else self._since
        age = now - since if waiting or in_flight else None
        return {"waiting": waiting, "in_flight": in_flight, "oldest_age": age}

    def __len__(self) -> int:
        counts = self.counts(0.0)
        return int(counts["waiting"] + counts["in_flight"])
