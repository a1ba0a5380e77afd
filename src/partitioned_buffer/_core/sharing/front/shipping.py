"""
Brings what the front holds to the server: in order, and each record once.

    batch ─► parcels ─► append, in one round trip ─► arrived: settled, and their writers told
                 ▲           │
                 └───────────┘ the same again, until it is known that they are there

Nobody else tries again, so nothing is sent in two ways. A batch that an end cuts short names what
has not arrived; what may have is sent again as it was, should the buffer start again.
"""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Protocol

from ....abc import Clock, Signal
from ....abc.sharing import Gap, Layout, Parcel, Part, Sealed, SharedStore, StorageAway
from ....errors import PartialFailure, StorageError
from ...waiting.signals import set_all
from ..cargo import Cargo
from .parcels import Cutter, Pending, had_earlier, nothing_of

FIRST, LONGEST = 0.02, 1.0
"""Seconds between tries, while the server is away, full, or being dealt anew."""

IDLE = 3600.0
"""Seconds after which a partition may have forgotten a producer that sent it nothing."""

HOLES = 10_000
"""Positions in a file, at most, that are settled behind some that are not: those of a batch."""


class Harbour(Protocol):
    """What a shipper has to know of its buffer."""

    store: SharedStore | None
    clock: Clock
    cargo: Cargo
    ships_no_more: bool
    """Whether nobody waits any more for what is not on the server."""

    def note_trouble(self, lane: int, error: StorageError | None, count: int) -> None:
        """Note what keeps so many from the server; None: nothing does any more."""

    def note_shipped(self, parcel: Parcel) -> None:
        """Note that this is there now."""

    def note_gap(self, lane: int, partition: int, lost: int) -> None:
        """Note that the server has lost what it had acknowledged."""


class Source(Protocol):
    """A front's table that is stored: its records have positions, also after a crash."""

    identity: str

    def out(self) -> Sequence[int]:
        """Return the positions of the batch that was given last."""
        ...

    def __len__(self) -> int:
        """Return how many it holds."""
        ...


class Shipper:
    """Of one *lane*, or of all (None), where all of them have one *source*: a front's processor."""

    def __init__(self, harbour: Harbour, lane: int | None, source: Source | None = None) -> None:
        self._harbour, self.lane, self._source = harbour, lane, source
        self.producer = f"{os.urandom(8).hex()}-{lane}"
        if source is not None:
            self.producer = source.identity
        self._cutter: Cutter | None = None
        self._had: dict[tuple[int, int], tuple[int, float]] = {}  # how many, and when last
        self._pending: list[Pending] = []
        self._waits: list[Signal] = []
        self._doubted: int | None = None
        """Up to which position an earlier life may have sent what its file still holds."""
        self._doubts = False  # whether the batch has any of that

    @property
    def has_sent_all(self) -> bool:
        """Whether nobody is going to send anything in its name again."""
        return self._source is None and not self._pending

    def __call__(self, given: Sequence[Any]) -> None:
        """Bring a batch to the server; raise `PartialFailure` if an end has come before that."""
        batch = self._harbour.cargo.records(given)
        left = self._begun(batch)
        try:
            self._send_all(batch)
            new = self._not_had(left, batch) if left else left
            if new and not self._harbour.ships_no_more:
                self._cut(new, batch)
                self._send_all(batch)
                self._count()
                new = []
            left = new
        finally:
            missing = [place for pending in self._pending for place in pending.places]
        if missing or left:
            raise PartialFailure.at(retry=sorted({*missing, *left} - {-1}))

    def _begun(self, batch: Sequence[Any]) -> list[int]:
        """Find in *batch* what was sent before; return the places of the rest."""
        if not self._pending:
            return list(range(len(batch)))
        places: dict[int, deque[int]] = {}
        for place, record in enumerate(batch):
            places.setdefault(id(record), deque()).append(place)
        for pending in self._pending:  # what was dropped meanwhile has no place
            found = (places.get(id(record)) for record in pending.records)
            pending.places = [each.popleft() if each else -1 for each in found]
        return sorted(place for each in places.values() for place in each)

    def _not_had(self, places: list[int], batch: Sequence[Any]) -> list[int]:
        """Return those of *places* that no layout has had that is past: all, where an end comes."""
        store, source, wait = self._harbour.store, self._source, FIRST
        if store is None or source is None or not places:
            return places
        positions = source.out()
        if self._doubted is None:
            self._doubted = positions[0] + len(source) + HOLES
        self._doubts = positions[places[0]] < self._doubted
        if not (store.layout.generation and self._doubts):
            return places
        hashes = [self._dealer.hash_of(batch[place], positions[place]) for place in places]
        while not self._harbour.ships_no_more:
            try:
                had = had_earlier(store, partial(self._append, store), hashes, places, positions)
            except StorageError as error:
                self._harbour.note_trouble(self.lane or 0, error, len(places))
                self._wait(wait)
                wait = min(LONGEST, 2 * wait)
            else:
                self._harbour.note_trouble(self.lane or 0, None, 0)
                return [place for place in places if place not in had]
        return places

    @property
    def _dealer(self) -> Cutter:
        if self._cutter is None:
            unknown = 0 if self._source is None else -1
            self._cutter = self._harbour.cargo.cutter(os.getpid(), unknown)
        return self._cutter

    def _cut(self, places: Sequence[int], batch: Sequence[Any]) -> None:
        store = self._harbour.store
        if store is None:
            return
        now = self._harbour.clock.monotonic()
        for where, (_, last) in self._had.items():
            if now - last > IDLE:
                self._dealer.forget(where)
        layout, lane = store.layout, self.lane
        partitions: Sequence[int] = range(layout.partitions)
        if lane is not None and layout.lanes[lane]:  # a lane may have none
            partitions = layout.lanes[lane]
        positions = None if self._source is None else self._source.out()
        self._pending += self._dealer.cut(layout, partitions, places, batch, positions)

    def _count(self) -> None:
        """Count anew what is there, as long as some of what arrives may have been there before."""
        if (store := self._harbour.store) is None or not self._doubts:
            return
        asked = list(self._had)
        answers = self._append(store, [nothing_of(*where) for where in asked])
        for where, answer in zip(asked, answers, strict=True):
            if isinstance(answer, Gap):
                self._had[where] = answer.had, self._harbour.clock.monotonic()

    def _send_all(self, batch: Sequence[Any]) -> None:
        wait = FIRST
        while self._pending and not self._harbour.ships_no_more:
            before = len(self._pending)
            error = self._send(batch)
            self._harbour.note_trouble(
                self.lane or 0, error, sum(len(p.records) for p in self._pending)
            )
            if error is None or len(self._pending) < before:
                wait = FIRST
            if error is not None and not self._harbour.ships_no_more:
                self._wait(wait)
                wait = min(LONGEST, 2 * wait)

    def _wait(self, seconds: float) -> None:
        signal = self._harbour.clock.signal()
        self._waits.append(signal)
        try:
            if not self._harbour.ships_no_more:
                signal.wait(seconds)
        finally:
            self._waits.remove(signal)
            signal.close()

    def sent(self) -> Iterator[Any]:
        """Yield the records that were sent, and may not have arrived."""
        for pending in self._pending[:]:
            yield from pending.records

    def look(self) -> None:
        """Look at once whether all is over."""
        for signal in self._waits[:]:
            signal.set()

    def _send(self, batch: Sequence[Any]) -> StorageError | None:
        """Send all that is pending; return what kept any of it, and may be over soon."""
        store = self._harbour.store
        if store is None:
            return StorageAway("the storage is closed")
        sent = self._pending
        outcomes = self._append(store, [each.parcel for each in sent])
        left: list[Pending] = []
        sealed: list[Pending] = []
        signals: list[Any] = []
        troubles: list[StorageError] = []
        held: set[tuple[int, int]] = set()  # the partitions of those
        for pending, outcome in zip(sent, outcomes, strict=True):
            if outcome is None and pending.where not in held:
                signals += self._arrived(pending)
            else:
                if outcome is not None and pending.where not in held:
                    troubles += self._heard(pending, outcome)
                held.add(pending.where)  # what comes behind it is out of turn, whatever it heard
                (sealed if isinstance(outcome, Sealed) else left).append(pending)
        self._pending = left + sealed
        set_all(signals)
        if sealed and not left:
            return self._deal_anew(store, batch)
        return troubles[0] if troubles else None

    def _append(self, store: SharedStore, parcels: list[Parcel]) -> list[StorageError | None]:
        """Append *parcels*, by the lane of each; after a resize that may be another's."""
        groups: dict[int, list[int]] = {}
        for at, parcel in enumerate(parcels):
            groups.setdefault(self._lane_of(store.layout, parcel), []).append(at)
        outcomes: dict[int, StorageError | None] = {}
        for lane, mine in groups.items():
            try:
                heard = store.append(lane, self.producer, [parcels[at] for at in mine])
            except StorageError as error:
                heard = [error] * len(mine)
            outcomes |= zip(mine, heard, strict=True)
        return [outcomes[at] for at in range(len(parcels))]

    def _lane_of(self, layout: Layout, parcel: Parcel) -> int:
        if parcel.generation == layout.generation:
            for lane, partitions in enumerate(layout.lanes):
                if parcel.partition in partitions:
                    return lane
        return self.lane or 0

    def _arrived(self, pending: Pending) -> list[Any]:
        had, _ = self._had.get(pending.where, (0, 0.0))
        self._had[pending.where] = had + pending.parcel.count, self._harbour.clock.monotonic()
        self._harbour.note_shipped(pending.parcel)
        return list(pending.arrived())

    def _heard(self, pending: Pending, outcome: StorageError) -> list[StorageError]:
        """Do what an *outcome* asks for; return it if that is to wait."""
        where = pending.where
        had, last = self._had.get(where, (0, 0.0))
        if isinstance(outcome, Gap):
            self._harbour.note_gap(self.lane or 0, where[1], max(0, had - outcome.had))
            self._had[where] = outcome.had, last
            pending.known_again(-1)
            return []
        if isinstance(outcome, Part):
            self._had[where] = outcome.had, last
            set_all(pending.cut_off(outcome.upto))
            return []
        return [outcome]

    def _deal_anew(self, store: SharedStore, batch: Sequence[Any]) -> StorageError | None:
        """Deal out what no partition takes any more, by the layout that there is now."""
        (generation, _), *_ = [pending.where for pending in self._pending]
        try:
            store.refresh()
        except StorageError as error:
            return error
        if store.layout.generation == generation:
            return StorageAway("its partitions are being dealt anew")
        places = sorted(place for pending in self._pending for place in pending.places)
        self._pending = []
        self._cut([place for place in places if place >= 0], batch)  # the others were dropped
        return None
