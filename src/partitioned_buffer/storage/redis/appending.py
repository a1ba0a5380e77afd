"""
Parcels go to the server, each once, however often it is sent.

What is sent behind another parcel of its partition stands on that one: where the one before did not
get in, the next must not, and is no gap.
"""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

from ...abc.shared_map import MOST_PARTS
from ...abc.sharing import Gap, Parcel, Part, Sealed, StorageAway
from ...errors import StorageError, StorageFull
from .kinds import Kind, Terms
from .layouts import Layouts
from .naming import Names
from .scripts import Command
from .wire.servers import Servers

REMEMBERED = 24 * 3600.0
"""Seconds that the server remembers a producer that sends nothing."""

_SURELY = REMEMBERED / 2
"""Seconds that it does whatever the clocks have done."""

Place = tuple[int, int]
"""A generation and a partition."""


class Appender:
    """Appends parcels; *limit* is how many records the whole buffer holds at most."""

    def __init__(  # noqa: PLR0913  # options, by name
        self,
        servers: Servers,
        names: Names,
        layouts: Layouts,
        kind: Kind,
        *,
        limit: int | None,
        replicated: bool,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._servers, self._names, self._layouts, self._kind = servers, names, layouts, kind
        self._limit, self._replicated, self._clock = limit, replicated, clock
        self._heard: dict[tuple[str, Place], float] = {}
        """When the server last took something of a producer for a place."""
        self._rough = set[tuple[str, Place]]()
        """Where it did not take the last."""

    def append(self, producer: str, parcels: Sequence[Parcel]) -> list[StorageError | None]:
        """Append each of *parcels* once, in one round trip; return what became of each."""
        places = [(each.generation, each.partition) for each in parcels]
        commands: list[tuple[str, Command]] = []
        before: dict[Place, int] = {}
        for place, parcel in zip(places, parcels, strict=True):
            known = before.get(place, self._known(producer, place, parcel))
            commands.append(self._command(producer, place, parcel, known))
            before[place] = parcel.last
        replies = self._servers.spread("append", commands, replicated=self._replicated)
        return self._results(producer, places, replies)

    def _known(self, producer: str, place: Place, parcel: Parcel) -> int:
        """Return -1 for what the server may have forgotten: that is no loss."""
        known = parcel.known
        if known >= parcel.first:  # it is a question, and never to be taken
            return known
        if known <= 0 or (heard := self._heard.get((producer, place))) is None:
            return known
        return known if 0 <= self._clock() - heard < _SURELY else -1

    def _command(
        self, producer: str, place: Place, parcel: Parcel, known: int
    ) -> tuple[str, Command]:
        of, kept = self._names.of(*place), int(1000 * REMEMBERED)
        smooth = (producer, place) not in self._rough
        terms = Terms(self._most(), kept, self._replicated, self._names.news, smooth)
        return of.w, self._kind.append(of, producer, parcel, known, terms)

    def _most(self) -> int:
        if self._limit is None:
            return 0
        return math.ceil(self._limit / self._layouts.layout.partitions)

    def _results(
        self, producer: str, places: Sequence[Place], replies: Sequence[Any]
    ) -> list[StorageError | None]:
        heard = self._clock()
        found: list[StorageError | None] = []
        out: dict[Place, StorageError] = {}
        for place, reply in zip(places, replies, strict=True):
            error = self._meaning(reply)
            if (earlier := out.get(place)) is not None:
                error = _behind(earlier, error)
            if error is None:
                self._heard[producer, place] = heard
            else:
                out[place] = error
            found.append(error)
        self._rough.difference_update((producer, place) for place in places)
        self._rough.update((producer, place) for place in out)
        return found

    def _meaning(self, reply: Any) -> StorageError | None:
        """Return what an answer of the script means."""
        if isinstance(reply, StorageError):
            return reply
        where = self._servers.where
        match reply:
            case [-1, had]:
                gap = Gap(f"{where}: it has lost records: of this producer it has had {had}")
                gap.had = had
                return gap
            case [-2, upto, had]:
                part = Part(f"{where}: all up to the mark {upto} is there: {had} records")
                part.upto, part.had = upto, had
                return part
            case [-3, held, *large]:
                return self._full(held, large)
            case [-4, generation]:
                return Sealed(f"{where}: the partition is sealed: generation {generation} goes on")
            case _:
                return None

    def _full(self, held: int, large: Sequence[int]) -> StorageFull:
        if not large:
            said = f"the partition holds {held} records of {self._most()}"
        else:
            said = (
                f"{large[0]} bytes of parts would wait for one key: expected {MOST_PARTS} at most; "
                "there is room when a worker has those that wait"
            )
        return StorageFull(f"{self._servers.where}: {said}")

    def forget(self, producer: str) -> None:
        """Say that *producer* sends nothing any more."""
        for key in [key for key in [*self._heard, *self._rough] if key[0] == producer]:
            self._heard.pop(key, None)
            self._rough.discard(key)


def _behind(earlier: StorageError, error: StorageError | None) -> StorageError | None:
    """Return what became of a parcel behind one that did not get in."""
    if not isinstance(error, Gap) or isinstance(earlier, Gap):
        return error
    if isinstance(earlier, Part):
        return StorageAway("a part of the parcel before is missing: send that first")
    return earlier
