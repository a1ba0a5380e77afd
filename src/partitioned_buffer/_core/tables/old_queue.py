"""
A Queue's table in memory: items in the order they were pushed.

Its in flight is kept reversed, last item first, so that taking from the front is
cutting off the end: memory is given back batch by batch, and no cut moves the others.
"""

from collections.abc import Iterable, Sequence
from operator import is_
from typing import Any, TypeVar

from .old_table import Table

T = TypeVar("T")


class QueueTable(Table[list[T]]):
    """Items in the order they were pushed."""

    # fmt: off
    __slots__ = (
        "_batch", "_in_flight", "_in_line", "_progress", "_taken", "alert", "limit", "next",
        "waiting",
    )
    # fmt: on

    def __init__(self) -> None:
        super().__init__()
        self.next: QueueTable[T] = self

    def reset(self) -> None:
        super().reset()
        self.waiting: list[T] = []
        self.alert = True
        self.limit = 0
        self._in_flight: list[T] = []
        self._batch = 0
        # How much of it is behind a batch that failed; None while none has.
        self._in_line: int | None = None
        # In flight, delivered and dead-lettered, in one piece: what is stored at once is read
        # at once, so that an acknowledgement takes no lock and the ledger always holds.
        self._progress = (0, 0, 0)
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
            self._progress = held, *self._progress[1:]
            self._in_line = None
            self._since = now
            return held

    def take(self, size: int | None) -> list[T] | None:
        in_flight = self._in_flight
        if not in_flight:
            return None
        batch = in_flight[::-1] if size is None else in_flight[: -size - 1 : -1]
        self._batch = len(batch)
        return batch

    def _items(self, stored: list[Any]) -> list[T]:
        """Return the items among what is *stored*."""
        return stored

    def acknowledge(self) -> None:
        size = self._batch
        # No call between these lines either.
        del self._in_flight[-size:]
        left, delivered, buried = self._progress
        self._progress = left - size, delivered + size, buried

    def bury(self) -> None:
        size = self._batch
        del self._in_flight[-size:]
        left, delivered, buried = self._progress
        self._progress = left - size, delivered, buried + size

    def keep(self, failed: Iterable[T] | None) -> int:
        size = self._batch
        if self._in_line is None:
            self._in_line = len(self._in_flight) - size
        if failed is not None:
            batch = self._in_flight[: -size - 1 : -1]
            places = chosen(self._items(batch), failed)
            if places is not None:
                kept = [batch[place] for place in reversed(places)]
                left, delivered, buried = self._progress
                good, self._batch = size - len(kept), len(kept)
                self._in_flight[-size:] = kept
                self._progress = left - good, delivered + good, buried
        return self._batch

    def again(self, size: int | None, *, newest: bool = True) -> list[T] | None:  # noqa: ARG002  # nothing is newer
        in_hand = len(self._in_flight) - (self._in_line or 0)
        return self.take(min(in_hand, in_hand if size is None else size)) if in_hand else None

    def release(self) -> None:
        self._in_line = None

    @property
    def delivered(self) -> int:
        return self._progress[1]

    def held(self) -> list[T]:
        with self._lock:
            return self._in_flight[::-1] + ([] if self._sealed else self.waiting[:])

    def counts(self, now: float) -> dict[str, Any]:
        with self._lock:
            waiting = 0 if self._sealed else len(self.waiting)
            in_flight, delivered, buried = self._progress
            return self._ages(now, waiting, in_flight) | {
                "accepted": self._taken + waiting,
                "delivered": delivered,
                "dead_lettered": buried,
                "dropped": self._dropped,
                "drop_reasons": dict(self._drop_reasons),
                "coalesced": 0,
                "deleted": 0,
            }


def chosen(batch: Sequence[Any], named: Iterable[Any]) -> list[int] | None:
    """
    Return at which places in *batch* the items are that are *named*; None for a stranger.

    The same object is meant, or else an equal one; each naming means one item.
    """
    places: dict[int, list[int]] = {}
    for place, item in enumerate(batch):
        places.setdefault(id(item), []).append(place)
    found, others = set[int](), list[Any]()
    for name in named:
        if same := places.get(id(name)):
            found.add(same.pop(0))
        else:
            others.append(name)
    for name in others:
        equal = (p for p, item in enumerate(batch) if p not in found and item == name)
        first = next(equal, None)
        if first is None:
            return None
        found.add(first)
    return sorted(found)
