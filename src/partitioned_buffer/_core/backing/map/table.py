"""
A stored Map's table: the worker's half. It is delivered from as any table is.

Nobody writes to it: what was committed is landed. What is settled it notes, for the log is to say
so before the next batch is given away. A note is made when all is done: who is interrupted before
has the log say less than it could, and entries come again after a crash; none is lost.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from ...tables.entry import Entry
from ...tables.step import CLOSED
from .landing import MapLanding
from .log import BURIED, SETTLED
from .marks import POSITION, VERSION

Raw = Entry[Any, Any]
"""An entry of the inner table: its value is a pair."""

_entry = partial(tuple.__new__, Entry)  # half the cost of Entry(...)


def _bare(raw: Iterable[Raw]) -> list[Raw]:
    return [
        _entry((key, value, mark[VERSION] or 0, updates)) for key, (value, mark), _, updates in raw
    ]


class StoredMapTable(MapLanding):
    """Entries by key, as the log has them."""

    keyed = True
    """As a `MapTable` is, for who asks what entries are told by."""

    partition: object = None

    def reset(self) -> None:
        super().reset()
        self._out: Sequence[Raw] = ()  # what was returned last

    # --- the two ends of a life ------------------------------------------------

    def open(self, wake: Callable[[], object], flush_at: int | None, /) -> None:
        """Let writers in; `wake` is called once per swap: when `flush_at` wait."""
        self.closed = False
        self._inner.open(wake, flush_at)

    def close(self) -> None:
        """Refuse writes from now on; those that are committed land."""
        self.closed = True

    def rewire(self, wake: Callable[[], object], /) -> None:
        """Let another worker be woken."""
        self._inner.rewire(wake)

    def retune(self, flush_at: int | None, /) -> None:
        """Change how many waiting entries wake the worker; look how many there are."""
        self._inner.retune(flush_at)

    def drop(self, count: int, /) -> int:
        """Count so many writes as accepted and dropped, which were not committed."""
        return CLOSED if self.closed else int(self._inner.drop(count))

    def drop_oldest(self) -> bool:
        """Return False: what was committed is not dropped."""
        return False

    # --- what is in flight -----------------------------------------------------

    def swap(self) -> int:
        """Put in flight what waits, if nothing is; return how much is."""
        self._out = ()
        size = int(self._inner.swap())
        self._give_back()  # what was deleted while it was out
        return size

    def release(self) -> None:
        """Have nothing in hand: it is first in line again."""
        self._out = ()
        self._inner.release()
        self._give_back()

    def reach(self, count: int, /) -> int:
        """Put up to *count* of what waits behind what is in flight; return how many."""
        return int(self._inner.reach(count))

    def take(self, size: int | None = None, /) -> list[Raw] | None:
        """Acknowledge what was returned last; return the next *size* in flight (None: all)."""
        self.acknowledge()
        return self._give(self._inner.take(size))

    def take_table(self) -> dict[Any, Raw] | list[Raw] | None:
        """Do as `take(None)`, but return a dict if that takes no hash or `==` of the user's."""
        self.acknowledge()
        found: dict[Any, Raw] | list[Raw] | None = self._inner.take_table()
        if not isinstance(found, dict):
            return self._give(found)
        return dict(zip(found, self._give(list(found.values())) or (), strict=True))

    def again(self, size: int | None = None, newest: bool = True, /) -> list[Raw] | None:
        """Return the first *size* in hand (None: all), anew; with the *newest* values."""
        self._out = ()
        return self._give(self._inner.again(size, newest))

    def _give(self, raw: list[Raw] | None) -> list[Raw] | None:
        self._out = raw or ()
        self._give_back()  # what newer values were put over
        return raw and _bare(raw)

    def acknowledge(self) -> int:
        """Settle what was returned last: it is delivered."""
        return self._settle(self._inner.acknowledge, SETTLED, self._out)

    def bury(self, places: Iterable[int] | None = None, /) -> int:
        """Settle these *places* of what was returned last (None: all) as dead-lettered."""
        chosen = range(len(self._out)) if places is None else set(places)
        given = [each for place, each in enumerate(self._out) if place in chosen]
        return self._settle(partial(self._inner.bury, chosen), BURIED, given)

    def keep(self, places: Iterable[int] | None = None, /) -> int:
        """Keep these *places* of what was returned last in hand (None: all); count them."""
        kept = range(len(self._out)) if places is None else set(places)
        given = [each for place, each in enumerate(self._out) if place not in kept]
        return self._settle(partial(self._inner.keep, kept), SETTLED, given)

    def _settle(self, settle: Callable[[], int], kind: int, given: Sequence[Raw]) -> int:
        """Settle *given* as that does, and note it; return what it does."""
        # Before, so that a snapshot finds it there or in the inner table.
        self._leaving.update((each.value[1][POSITION], each) for each in given)
        count = settle()
        for key, (_, mark), _, _ in given:
            version = mark[VERSION] if kind == SETTLED else None
            self._settled.append((kind, key, mark[POSITION], version, 0))
        self._out = ()
        self._give_back()
        return count

    # --- what is known ---------------------------------------------------------

    @property
    def delivered(self) -> int:
        """How many entries were delivered so far."""
        return int(self._inner.delivered)

    def positions(self) -> list[int]:
        """Return up to which position each entry goes that was returned last."""
        return [each.value[1][POSITION] for each in self._out]

    def held(self) -> list[Raw]:
        """Return all that is not settled, oldest first."""
        return _bare(self._inner.held())

    def faults(self) -> list[BaseException]:
        """Return what went wrong in putting values over older ones since the last call."""
        return list(self._inner.faults())
