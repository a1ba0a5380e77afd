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
from collections.abc import Callable, Iterable
from typing import Any

from .room import Room
from .step import AGAIN, CLOSED, FULL, MADE, Lock


class _Unraisable:
    """Says, when it is let go, what an observer raised."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __del__(self) -> None:
        raise self._error


class Table(ABC):
    """The two ends of a life, the counters, and what a write does that finds no room."""

    _waiting: Any
    _out: Any  # what was returned last, by what it is settled by

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
        self.closed = True  # whether it takes no writes
        self._wake: Callable[[], object] = lambda: None  # before there is a worker
        self._flush_at = 0  # or never
        self._bell: int | None = 0  # the same, until it has been rung
        self._turn = 0  # changes with everything that is no write
        self._faults: list[BaseException] = []
        self._kept = False  # whether more may be in hand than what is out
        self._accepted = self.delivered = self._buried = 0  # so far
        self._dropped = self._coalesced = self._deleted = 0

    def _change(
        self,
        turn: int,
        changes: dict[str, Any],
        written: int | None = None,
        gone: tuple[int, int] = (0, 0),
        cut: tuple[list[Any], slice, list[Any]] | None = None,
    ) -> bool:
        """
        Make these *changes* of attributes in one step; or return that they have to be prepared
        again, as something has come since that *turn*, or a write since so many were *written*.

        As many items and bytes are *gone* as that says. A *cut* is a list, which part of it to
        replace, and by what.
        """
        room, lock, state, new = self._room, self._lock, self.__dict__, turn + bool(changes)
        (size, weight), (items, part, rest) = gone, cut or ([], slice(0), [])
        _gone = state.copy(), items[part]  # until the lock is free
        _ = lock.take
        try:
            same = turn == self._turn and (written is None or written == self._accepted)
            if same:
                items[part] = rest
                state |= changes
                if room is not None:
                    room.used -= size
                    room.used_bytes -= weight
                self._turn = new
        finally:
            _ = lock.free
        return same

    # --- the two ends of a life ------------------------------------------------

    def open(self, wake: Callable[[], object], flush_at: int | None, /) -> None:
        """Let writers in; `wake` is called once per swap: `flush_at` wait, or there is no room."""
        self._wake = wake
        self.closed = False
        self.retune(flush_at)

    def close(self) -> None:
        """Refuse writes from now on: none is in the middle of its step when this returns."""
        while not self._change(self._turn, {"closed": True}):
            pass

    def rewire(self, wake: Callable[[], object], /) -> None:
        """Let another worker be woken."""
        self._wake = wake

    def retune(self, flush_at: int | None, /) -> None:
        """Change how many waiting items wake the worker; look how many there are."""
        self._flush_at = self._bell = flush_at or 0
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
        if bell and len(self._waiting) >= bell:
            self._look(bell)

    def _look(self, bell: int) -> None:
        if self._sizes()[0] >= bell:
            self._ring()

    def _ring(self) -> None:
        try:
            self._bell = None
            self._wake()
        except BaseException:
            self._bell = self._flush_at
            raise

    def _serve(self) -> None:
        """Let the first in line look: there is room again."""
        room = self._room
        if room is not None and room.line and room.serve is not None:
            room.serve()

    # --- a write that finds no room --------------------------------------------

    def _make_room(self, size: int, weight: int) -> int:
        """Ring, and do what `when_full` says: `AGAIN` after dropping something that was older."""
        room = self._room
        if room is None or room.when_full in ("block", "raise"):
            return FULL
        for table in room.tables:
            if table._bell is not None and any(table._sizes()):
                table._ring()
        if room.when_full == "drop_oldest" and room.fits(size, weight):
            for table in (self, *room.tables):
                if table.drop_oldest():
                    return AGAIN
        return self.drop(size)

    def drop(self, count: int, /) -> int:
        """Count so many writes as accepted and dropped."""
        while not self.closed:
            turn, accepted, dropped = self._turn, self._accepted, self._dropped + count
            changes = {"_accepted": accepted + count, "_dropped": dropped}
            if self._change(turn, changes, accepted):
                return MADE
        return CLOSED

    @abstractmethod
    def drop_oldest(self) -> bool:
        """Drop what has been here longest and is not in hand; return whether there was any."""

    def faults(self) -> list[BaseException]:
        """Return what went wrong in putting values over older ones since the last call."""
        faults, self._faults = self._faults, []
        return faults

    # --- what the worker was given last ----------------------------------------

    def acknowledge(self) -> int:
        """Settle what was returned last: it is delivered."""
        return self._settle(dict.fromkeys(self._out), "delivered")

    def bury(self, places: Iterable[int] | None = None, /) -> int:
        """Settle these *places* of what was returned last (None: all) as dead-lettered."""
        self._kept = True
        count = self._settle(self._given(places), "_buried")
        self._forget()
        return count

    def keep(self, places: Iterable[int] | None = None, /) -> int:
        """Keep these *places* of what was returned last in hand (None: all); count them."""
        self._kept, kept = True, self._given(places)
        self._settle({each: None for each in self._out if each not in kept}, "delivered")
        return len(kept) - self._forget()

    def _given(self, places: Iterable[int] | None) -> dict[Any, None]:
        chosen = range(len(self._out)) if places is None else set(places)
        return {each: None for place, each in enumerate(self._out) if place in chosen}

    @abstractmethod
    def _settle(self, given: dict[Any, None], how: str) -> int:
        """Settle what is of `_out` in one step; return how many."""

    @abstractmethod
    def _forget(self) -> int:
        """Let nothing be out; return how much of what was had been deleted."""

    # --- the numbers -----------------------------------------------------------

    @property
    def accepted(self) -> int:
        """How much was accepted; less work than all `counts`."""
        return self._accepted

    def counts(self) -> dict[str, int]:
        """Return the table's part of the ledger, at one instant."""
        while True:
            turn, accepted = self._turn, self._accepted
            waiting, in_flight = self._sizes()
            counts = {
                "accepted": accepted,
                "delivered": self.delivered,
                "dead_lettered": self._buried,
                "dropped": self._dropped,
                "coalesced": self._coalesced,
                "deleted": self._deleted,
                "waiting": waiting,
                "in_flight": in_flight,
            }
            if self._change(turn, {}, accepted):
                return counts

    def __len__(self) -> int:
        counts = self.counts()
        return counts["waiting"] + counts["in_flight"]

    @abstractmethod
    def load(self) -> tuple[int, int]:
        """Return how many items are held, and how many bytes where those are bounded."""

    @abstractmethod
    def _sizes(self) -> tuple[int, int]:
        """Return how much waits, and how much is in flight."""
