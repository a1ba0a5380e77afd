"""
One partition of a Map on a `SharedDict`, as its server has it.
"""

import sys
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from .. import StorageFull
from ..abc.dealing import slot_numbers
from ..abc.shared_map import ADD, DELETE, HEAD, MOST_PARTS, NEWER, PART, PUT, Found, MapOp, Swap
from ..abc.sharing import Depth, Parcel, Want
from .shared_line import AnyLine
from .shared_records import Record, over


class Waits(NamedTuple):
    """The record of a key, and since when there is one."""

    since: float
    data: bytes


class Known(NamedTuple):
    """The version of a key that was delivered last, and the key's hash."""

    version: int
    hash: int


class Moved(NamedTuple):
    """What another partition gets."""

    key: bytes
    waits: Waits
    flies: bool

    @property
    def hash(self) -> int:
        """That of the key."""
        return Record.of(self.waits.data).hash


class Versions:
    """Those of delivered keys: in two generations, of which the older one is forgotten."""

    def __init__(self) -> None:
        self._recent: dict[bytes, Known] = {}
        self._older: dict[bytes, Known] = {}

    def get(self, key: bytes) -> int | None:
        """Return the version of *key*; None: it is not remembered."""
        known = self._recent.get(key) or self._older.get(key)
        return None if known is None else known.version

    def remember(self, key: bytes, known: Known, most: int) -> None:
        """Remember *known*, and at least *most* in all."""
        self.forget(key)
        if most > 0:
            self._recent[key] = known
            if len(self._recent) >= most:
                self._older, self._recent = self._recent, {}

    def forget(self, key: bytes) -> None:
        """Have none for *key*."""
        self._recent.pop(key, None)
        self._older.pop(key, None)

    def all(self) -> dict[bytes, Known]:
        """Return what is remembered, the oldest first."""
        return self._older | self._recent

    def copy(self) -> "Versions":
        """Return another one, of the same."""
        made = Versions()
        made._recent, made._older = self._recent.copy(), self._older.copy()
        return made


class MapLine(AnyLine):
    """A Map's: what waits, what is in flight, and the versions of what was delivered."""

    remembered = 16  # all there is, for each

    def __init__(self, generation: int, partition: int) -> None:
        super().__init__(generation, partition)
        self.waiting: dict[bytes, Waits] = {}
        self.flying: dict[bytes, Waits] = {}
        self.versions = Versions()
        self.swap = 0
        self.coalesced = self.deleted = 0
        self._order: list[bytes] = []  # in which the keys of the swap are read
        self._gone: set[bytes] = set()  # those of them that were deleted

    @property
    def held(self) -> int:
        """How many records wait, or are in flight."""
        return len(self.waiting) + len(self.flying)

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits for the next swap."""
        return not self.waiting

    def get(self, key: bytes, producer: str) -> Found:
        """Return what there is of *key*."""
        waits, flies = self.waiting.get(key), self.flying.get(key)
        return Found(waits and waits.data, flies and flies.data, self.mark(producer))

    def since(self) -> float | None:
        """Return when the oldest record that is held came."""
        first = (next(iter(held.values())) for held in (self.flying, self.waiting) if held)
        return min((waits.since for waits in first), default=None)

    def depth(self, now: float) -> Depth:
        """Return how it is with it."""
        goal = self.swap + 1 if self.waiting else self.swap
        passed = self.swap - 1 if self.flying else self.swap
        found = super().depth(now)
        return found._replace(coalesced=self.coalesced, deleted=self.deleted, swap=(goal, passed))

    # --- writing

    def _take(self, parcel: Parcel, limit: int | None, now: float) -> StorageFull | None:
        new = {key for key, data in parcel.ops if data[:1] != DELETE} - self.waiting.keys()
        if limit is not None and self.held and self.held + len(new) > limit:
            return StorageFull(f"{self} holds {self.held} records of {limit}")
        self.end += parcel.tally.accepted
        self.coalesced += parcel.tally.coalesced
        self.deleted += parcel.tally.deleted
        others = set(self.waiting)  # keys of which more waits than this parcel has brought
        for key, data in parcel.ops:
            op = Record.of(data)
            if self._do(key, op, now):
                others.discard(key)
            elif op.mode in {ADD, PART} and key in others and self._size(key) > MOST_PARTS:
                return StorageFull(f"{self} has too many parts waiting for one key")
        return None

    def _do(self, key: bytes, op: Record, now: float) -> bool:
        """Do one op; return whether nothing else waits for its key now."""
        if op.is_clearing:
            self._delete(key)
        if op.mode == DELETE:
            return True
        if op.mode == NEWER and not self._is_newer(key, op.version):
            self.coalesced += 1
            return False
        if (old := self.waiting.get(key)) is None:
            self.waiting[key] = Waits(now, op.data)
            return True
        self.coalesced += 1
        self.waiting[key] = Waits(old.since, over(op, Record.of(old.data)).data)
        return op.mode in {PUT, NEWER}

    def _delete(self, key: bytes) -> None:
        self.deleted += self.waiting.pop(key, None) is not None
        if self.flying.pop(key, None) is not None:
            self.deleted += 1
            self._gone.add(key)
        self.versions.forget(key)

    def _is_newer(self, key: bytes, version: int) -> bool:
        for held in (self.waiting, self.flying):
            if (found := held.get(key)) is not None:
                return version > Record.of(found.data).beaten_by
        known = self.versions.get(key)
        return known is None or version > known

    def _size(self, key: bytes) -> int:
        return len(self.waiting[key].data) - HEAD.size

    # --- delivering

    def step(self, want: Want, remember: int) -> tuple[Swap, tuple[int, int]]:
        """Settle and read on; a claim's state is a swap, and how much of it was read."""
        if want.settled == self.swap:
            self._settle(want.delivered, want.buried, remember)
        if want.may_swap and want.records > 0 and self.waiting and not self.flying:
            self.swap += 1
            self.flying, self.waiting = self.waiting, {}
            self._order, self._gone = list(self.flying), set()
        swap, place = want.claim.state or (0, 0)
        entries, place = self._read(place if swap == self.swap else 0, want)
        is_all = place >= len(self._order)
        found = Swap(self.swap, entries, is_all, len(self.flying), len(self.waiting))
        return found, (self.swap, place)

    def _settle(self, delivered: Iterable[bytes], buried: Iterable[bytes], remember: int) -> None:
        for key in delivered:
            if (waits := self.flying.pop(key, None)) is None:
                continue  # it was deleted, or is settled
            record = Record.of(waits.data)
            if record.is_versioned:
                self.versions.remember(key, Known(record.version, record.hash), remember)
            else:
                self.versions.forget(key)
        for key in buried:
            if self.flying.pop(key, None) is not None:
                self.given_up += 1
            elif key in self._gone:  # it is dead, and was counted as deleted
                self._gone.remove(key)
                self.deleted -= 1
                self.given_up += 1

    def _read(self, place: int, want: Want) -> tuple[list[MapOp], int]:
        """Return entries of the swap from *place* on, and where they end."""
        size = 0
        found: list[MapOp] = []
        while place < len(self._order):
            key = self._order[place]
            if (waits := self.flying.get(key)) is not None:
                if len(found) >= want.records or size >= want.max_bytes:
                    break
                found.append((key, waits.data))
                size += len(key) + len(waits.data)
            place += 1
        return found, place

    # --- the way back

    def _state(self) -> tuple[Any, ...]:
        held = self.waiting.copy(), self.flying.copy(), self.versions.copy()
        of_swap = self.swap, self._order, self._gone.copy()
        return self.end, self.coalesced, self.deleted, held, of_swap

    def _go_back(self, before: tuple[Any, ...]) -> None:
        self.end, self.coalesced, self.deleted, held, of_swap = before
        self.waiting, self.flying, self.versions = held
        self.swap, self._order, self._gone = of_swap

    # --- other partitions

    def receive(self, those: Sequence[Moved]) -> None:
        """Have what other partitions had, the oldest first."""
        for moved in those:
            held = self.flying if moved.flies else self.waiting
            self.coalesced += moved.key in held
            held[moved.key] = moved.waits
        self.end += len(those)
        self._order = list(self.flying)

    def hand_over(self) -> tuple[list[Moved], dict[bytes, Known]]:
        """Return all that is held, and what is remembered, and have neither any more."""
        self.end -= self.held
        those = [Moved(*each, True) for each in self.flying.items()]
        those += [Moved(*each, False) for each in self.waiting.items()]
        known = self.versions.all()
        self.flying, self.waiting, self.versions = {}, {}, Versions()
        return those, known


def dealt_anew(lines: Sequence[MapLine], generation: int, partitions: int) -> list[MapLine]:
    """Return other partitions, that hold and remember what *lines* did; these hold nothing now."""
    made = [MapLine(generation, partition) for partition in range(partitions)]
    slots = slot_numbers(partitions)
    given = [line.hand_over() for line in lines]
    for _, known in given:
        for key, version in known.items():
            to = made[slots[version.hash % len(slots)]]
            to.versions.remember(key, version, sys.maxsize)
    moved = [each for those, _ in given for each in those]
    moved.sort(key=lambda each: each.waits.since)
    for line in made:
        line.receive([each for each in moved if slots[each.hash % len(slots)] == line.partition])
        line.swap = 1 + max(before.swap for before in lines)
    return made
