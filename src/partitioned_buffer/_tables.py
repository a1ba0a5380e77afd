"""
Tables in memory: what collects writes, and what is in flight.

Rules of this file
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
from collections.abc import Callable, Sequence
from operator import is_
from typing import Any, Generic, TypeVar

from ._ledger import PartitionStats

T = TypeVar("T")
B = TypeVar("B")


def _nobody() -> None:
    """Stand in for a worker before there is one."""


class Table(ABC, Generic[B]):
    """What both kinds have in common: the two ends of a life, and the counters."""

    __slots__ = (
        "_flush_at",
        "_in_flight_since",
        "_lock",
        "_rung",
        "_sealed",
        "_since",
        "_wake",
        "closed",
    )

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Be as new: empty, closed, and with a lock that nobody holds."""
        self._lock = threading.RLock()
        self._wake: Callable[[], None] = _nobody
        self._flush_at: int | None = None
        self._rung = False
        self._sealed = True
        self._since = self._in_flight_since = 0.0
        self.closed = True

    def open(self, wake: Callable[[], None], flush_at: int | None, now: float) -> None:
        """Let writers in; `wake` is called once per swap, when `flush_at` items wait."""
        with self._lock:
            self._wake = wake
            self._since = now
            self._sealed = self.closed = False
            self.retune(flush_at)

    def close(self) -> None:
        """Refuse writes from now on. What is held stays for the last swap."""
        with self._lock:
            self.closed = True
            self._watch()

    def retune(self, flush_at: int | None) -> None:
        """Change how many waiting items wake the worker."""
        with self._lock:
            self._flush_at = flush_at
            self._rung = False
            self._watch()

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
        """Count what `take` returned last as delivered, and let go of it."""

    def release(self) -> None:
        """Take back what `take` returned last: it was not delivered."""

    def faults(self) -> list[Exception]:
        """Return why items were dropped since the last call."""
        return []

    @abstractmethod
    def held(self) -> list[Any]:
        """Return everything that is neither delivered nor given up, oldest first."""

    @abstractmethod
    def stats(self, partition: int, restarts: int, now: float) -> PartitionStats:
        """Count."""

    def _stats(self, now: float, waiting: int, in_flight: int, **counts: int) -> PartitionStats:
        since = self._in_flight_since if in_flight else self._since
        return PartitionStats(
            waiting=waiting,
            in_flight=in_flight,
            dead_lettered=0,
            oldest_age=now - since if waiting or in_flight else None,
            **counts,
        )

    def __len__(self) -> int:
        counts = self.stats(0, 0, 0.0)
        return counts.held


class QueueTable(Table[list[T]]):
    """Items in the order they were pushed."""

    __slots__ = ("_batch", "_in_flight", "_progress", "_taken", "alert", "limit", "next", "waiting")

    def __init__(self) -> None:
        super().__init__()
        self.next: QueueTable[T] = self

    def reset(self) -> None:
        super().reset()
        self.waiting: list[T] = []
        self.alert = True
        self.limit = 0
        # Last item first, so that taking from the front is cutting off the end:
        # memory is given back batch by batch, and no cut moves the others.
        self._in_flight: list[T] = []
        self._batch = 0
        # In flight and delivered, in one piece: what is stored at once is read at once,
        # so that an acknowledgement takes no lock and the ledger always holds.
        self._progress = (0, 0)
        self._taken = 0

    def _watch(self) -> None:
        # `alert` says whether to compare with `limit` at all: a flag costs less than a length.
        self.limit = 0 if self.closed else self._flush_at or 0
        self.alert = self.closed or (self._flush_at is not None and not self._rung)

    def write(self, batch: list[T], /) -> bool:
        self.waiting.extend(batch)
        return not self.alert or len(self.waiting) < self.limit or self.attend(batch)

    def attend(self, written: Sequence[T]) -> bool:
        """Do what a writer has to at `limit`; return whether the write stands."""
        if self.closed:
            with self._lock:
                return not self._take_back(written)
        with self._lock:
            self._rung = True  # before the wake, for the next swap takes it back
            self._watch()
        self._wake()
        return True

    def _take_back(self, written: Sequence[T]) -> bool:
        # From the end: in a re-entrant call the front may be half swapped, while
        # this write is at or behind the place where the swap stopped looking.
        waiting, size = self.waiting, len(written)
        for start in range(len(waiting) - size, -1, -1):
            if all(map(is_, waiting[start : start + size], written)):
                del waiting[start : start + size]
                return True
        return False

    def swap(self, now: float, *, seal: bool = False) -> int:
        with self._lock:
            self._rung = False
            self._watch()
            self._sealed = seal
            items = self.waiting[:]
            taken = len(items)
            items.reverse()
            if self._in_flight:
                items += self._in_flight
            else:
                self._in_flight_since = self._since
            held = len(items)
            # No call between these lines, so that no exception from outside can part them.
            del self.waiting[:taken]
            self._taken += taken
            self._in_flight = items
            self._progress = held, self._progress[1]
            self._since = now
            return held

    def take(self, size: int | None) -> list[T] | None:
        in_flight = self._in_flight
        if not in_flight:
            return None
        batch = in_flight[::-1] if size is None else in_flight[: -size - 1 : -1]
        self._batch = len(batch)
        return batch

    def acknowledge(self) -> None:
        size = self._batch
        # No call between these lines either.
        del self._in_flight[-size:]
        left, delivered = self._progress
        self._progress = left - size, delivered + size

    def held(self) -> list[T]:
        with self._lock:
            return self._in_flight[::-1] + ([] if self._sealed else self.waiting[:])

    def stats(self, partition: int, restarts: int, now: float) -> PartitionStats:
        with self._lock:
            waiting = 0 if self._sealed else len(self.waiting)
            in_flight, delivered = self._progress
            return self._stats(
                now,
                waiting,
                in_flight,
                delivered=delivered,
                partition=partition,
                restarts=restarts,
                accepted=self._taken + waiting,
                dropped=0,
                coalesced=0,
                deleted=0,
            )
