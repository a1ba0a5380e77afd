"""What becomes of each op, whatever there is of its key; which version is newer."""

import random
from collections.abc import Sequence
from pathlib import Path

from .....abc.shared_map import ADD, NEWER, PART, PUT
from .....abc.sharing import MapOp
from ..base import depth_of
from .base import MapBase, Shared
from .ops import Seen, add, delete, newer, part, parts, put

LEAST, GREATEST = -(1 << 63), (1 << 63) - 1
VERSIONS = sorted(
    {0, LEAST, GREATEST, GREATEST - 1, LEAST + 1}
    | {sign * (1 << bits) + one for sign in (1, -1) for bits in (31, 32, 53) for one in (-1, 0, 1)}
)

Case = tuple[MapOp, Seen | None, int, int]
"""An op of the key `k`, what waits then, and how many more are coalesced, and deleted."""

Step = str | tuple[MapOp, ...]
"""What brings a key to a state: `"swap"`, `"settle"`, `"bury"`, or what is written."""

OLD, NEW = b"old", b"new"
ALONE: list[Case] = [
    (put("k", NEW), Seen(PUT, NEW), 0, 0),
    (put("k", NEW, 3), Seen(PUT, NEW, 3), 0, 0),
    (add("k", 7), Seen(ADD, b"i7"), 0, 0),
    (part("k", NEW, 2), Seen(PART, parts(NEW, 2)), 0, 0),
]
"""Where nothing waits: they ask for nothing else."""
CLEARING: list[Case] = [
    (delete("k"), None, 0, 0),
    (put("k", NEW, clears=True), Seen(PUT, NEW), 0, 0),
    (newer("k", NEW, -9, updates=2, clears=True), Seen(NEWER, NEW, -9, 2), 0, 0),
    (add("k", 7, clears=True), Seen(ADD, b"i7"), 0, 0),
    (part("k", NEW, clears=True), Seen(PART, parts(NEW)), 0, 0),
]
"""Whatever there was: that is deleted."""


def newers(than: int, *, waits: Seen | None = None) -> list[Case]:
    """Return what has to be newer than a version, which is not that of what *waits*, if None."""
    more = 0 if waits is None else 1
    updates = 0 if waits is None else 1 + waits.updates
    return [
        (newer("k", NEW, than + 1), Seen(NEWER, NEW, than + 1, updates), more, 0),
        (newer("k", NEW, than + 1, updates=3), Seen(NEWER, NEW, than + 1, updates + 3), more, 0),
        (newer("k", NEW, than), waits, 1, 0),
        (newer("k", NEW, than - 1, updates=4), waits, 1, 0),
    ]


class Modes(MapBase):
    """Each op does what its mode says, in each state that its key may be in."""

    def test_where_there_is_nothing(self, tmp_path: Path) -> None:
        anything = [
            (newer("k", NEW, version, updates=2), Seen(NEWER, NEW, version, 2), 0, 0)
            for version in (5, 0, -5)
        ]
        self._try(tmp_path, (), [*ALONE, *anything, *CLEARING])

    def test_over_a_put_that_waits(self, tmp_path: Path) -> None:
        old = put("k", OLD)
        cases = [*_over(ALONE[:2]), *newers(0, waits=Seen(PUT, OLD)), *_over(CLEARING, deleted=1)]
        merged = [
            (add("k", 7), Seen(PART, parts(OLD, 7)), 1, 0),
            (part("k", NEW, 2), Seen(PART, parts(OLD, NEW, 2)), 1, 0),
        ]
        self._try(tmp_path, ((old,),), [*cases, *merged])

    def test_over_a_version_that_waits(self, tmp_path: Path) -> None:
        old = Seen(NEWER, OLD, 5, 2)
        cases = [*_over(ALONE[:2]), *newers(5, waits=old), *_over(CLEARING, deleted=1)]
        self._try(tmp_path, ((newer("k", OLD, 5, updates=2),),), cases)

    def test_over_a_put_with_a_version_that_waits(self, tmp_path: Path) -> None:
        cases = newers(5, waits=Seen(PUT, OLD, 5))
        self._try(tmp_path, ((put("k", OLD, 5),),), cases)

    def test_over_a_sum_that_waits(self, tmp_path: Path) -> None:
        cases = [
            *_over(ALONE[:2]),
            *newers(0, waits=Seen(ADD, b"i3")),
            *_over(CLEARING, deleted=1),
            (add("k", 7), Seen(ADD, b"i10"), 1, 0),
            (part("k", NEW, 2), Seen(PART, parts(3, NEW, 2)), 1, 0),
        ]
        self._try(tmp_path, ((add("k", 3),),), cases)

    def test_over_parts_that_wait(self, tmp_path: Path) -> None:
        cases = [
            *_over(ALONE[:2]),
            *newers(0, waits=Seen(PART, parts(OLD))),
            *_over(CLEARING, deleted=1),
            (add("k", 7), Seen(PART, parts(OLD, 7)), 1, 0),
            (part("k", NEW, 2), Seen(PART, parts(OLD, NEW, 2)), 1, 0),
        ]
        self._try(tmp_path, ((part("k", OLD),),), cases)

    def test_over_what_is_in_flight(self, tmp_path: Path) -> None:
        for old, version in ((put("k", OLD), 0), (newer("k", OLD, 5), 5), (add("k", 3), 0)):
            cases = [*ALONE, *newers(version), *_over(CLEARING, 0, deleted=1)]
            self._try(tmp_path, ((old,), "swap"), cases)

    def test_over_what_waits_over_what_is_in_flight(self, tmp_path: Path) -> None:
        flying = newer("k", b"flies", 5)
        for old, waits, version in (
            (put("k", OLD), Seen(PUT, OLD), 0),
            (newer("k", OLD, 7), Seen(NEWER, OLD, 7), 7),
        ):
            cases = [
                *_over(ALONE[:2]),
                *newers(version, waits=waits),
                *_over(CLEARING, deleted=2),
            ]
            self._try(tmp_path, ((flying,), "swap", (old,)), cases)

    def test_over_what_was_delivered(self, tmp_path: Path) -> None:
        for old in (newer("k", OLD, 5), put("k", OLD, 5)):
            cases = [*ALONE, *newers(5), *CLEARING]
            self._try(tmp_path, ((old,), "swap", "settle"), cases)

    def test_over_what_was_delivered_without_a_version(self, tmp_path: Path) -> None:
        anything = [(newer("k", NEW, -5), Seen(NEWER, NEW, -5), 0, 0)]
        before = (newer("k", OLD, 5),), "swap", "settle"
        for old in (put("k", OLD), add("k", 1), part("k", OLD)):
            self._try(tmp_path, ((old,), "swap", "settle"), [*ALONE, *anything, *CLEARING])
            self._try(tmp_path, (*before, (old,), "swap", "settle"), anything)

    def test_over_what_was_given_up(self, tmp_path: Path) -> None:
        given_up = (newer("k", b"poison", 7),), "swap", "bury"
        anything = [(newer("k", NEW, -5), Seen(NEWER, NEW, -5), 0, 0)]
        self._try(tmp_path, given_up, [*ALONE, *anything, *CLEARING])
        remembered = (newer("k", OLD, 5),), "swap", "settle", *given_up
        self._try(tmp_path, remembered, [*ALONE, *newers(5), *CLEARING])

    def test_after_a_delete_anything_is_newer(self, tmp_path: Path) -> None:
        old = (newer("k", OLD, 5),)
        anything = [(newer("k", NEW, -5), Seen(NEWER, NEW, -5), 0, 0)]
        for before in ((old,), (old, "swap"), (old, "swap", "settle"), (old, "swap", old)):
            self._try(tmp_path, (*before, (delete("k"),)), anything)
        late = (old, "swap", (delete("k"),), "settle")  # what was in hand then
        self._try(tmp_path, late, anything)

    def _try(self, tmp_path: Path, before: Sequence[Step], cases: Sequence[Case]) -> None:
        """Bring keys to a state, each by the same steps, and try one of *cases* on each."""
        with self.map(tmp_path) as shared:
            keys = [b"key %d" % number for number in range(len(cases))]
            worker = shared.worker()
            for step in before:
                if step == "swap":
                    worker.read()
                elif step == "settle":
                    worker.settle()
                elif step == "bury":
                    worker.give_up(*worker.hand)
                elif not isinstance(step, str):
                    shared.write(*(_of(key, op) for key in keys for op in step))
            for key, (op, waits, coalesced, deleted) in zip(keys, cases, strict=True):
                numbers = shared.numbers()
                shared.write(_of(key, op))
                assert shared.waiting(key) == waits, (before, op)
                more = numbers[0] + coalesced, numbers[1] + deleted
                assert shared.numbers() == more, (before, op)


def _over(cases: Sequence[Case], coalesced: int = 1, deleted: int = 0) -> list[Case]:
    """Return *cases* over what waits: it is replaced, or deleted."""
    replaced = 0 if deleted else coalesced
    return [(op, waits, replaced, deleted) for op, waits, *_ in cases]


def _of(key: bytes, op: MapOp) -> MapOp:
    """Return *op* for another key."""
    _, record = op
    _, other = put(key, b"")
    return key, record[:14] + other[14:22] + record[22:]


class Versions(MapBase):
    """A version is any of 64 bits, with a sign; none is taken for another."""

    def test_each_is_newer_than_those_before_it(self, tmp_path: Path) -> None:
        for how in ("waits", "flies", "delivered"):
            with self.map(tmp_path) as shared:
                pairs = [(a, b) for a in VERSIONS for b in VERSIONS if _near(a, b)]
                keys = [b"%d %d" % pair for pair in pairs]
                shared.write(
                    *(newer(key, "a", one) for key, (one, _) in zip(keys, pairs, strict=True))
                )
                worker = shared.worker()
                if how != "waits":
                    worker.read()
                if how == "delivered":
                    worker.settle()
                shared.write(
                    *(newer(key, "b", two) for key, (_, two) in zip(keys, pairs, strict=True))
                )
                for key, (one, two) in zip(keys, pairs, strict=True):
                    found = shared.waiting(key)
                    value = b"b" if two > one else b"a" if how == "waits" else None
                    assert (found and found.value) == value, (how, one, two)
                    assert found is None or found.version == max(one, two)

    def test_what_has_none_has_0(self, tmp_path: Path) -> None:
        with self.map(tmp_path) as shared:
            for number, old in enumerate((put("k", "a"), add("k", 1), part("k", "a"))):
                for version in VERSIONS:
                    key = b"%d %d" % (number, version)
                    shared.write(_of(key, old), newer(key, "new", version))
                    found = shared.waiting(key)
                    assert (found and found.mode == NEWER) == (version > 0)


def _near(a: int, b: int) -> bool:
    """Return whether two versions may be taken for each other, or stand side by side."""
    places = VERSIONS.index(a), VERSIONS.index(b)
    return abs(places[0] - places[1]) < 2 or a == -b or a in {LEAST, GREATEST}


class Together(MapBase):
    """What comes in one parcel is done op by op."""

    OPS = (
        put("k", "p"),
        put("k", "v", 4),
        newer("k", "3", 3),
        newer("k", "5", 5, updates=2),
        newer("k", "c", 1, clears=True),
        delete("k"),
        add("k", 3),
        add("k", 0.5),
        part("k", "x", 2),
        part("k", "y", clears=True),
        put("k", "c", clears=True),
    )

    def test_a_key_may_come_more_than_once(self, tmp_path: Path) -> None:
        pairs = [[one, two] for one in self.OPS for two in self.OPS]
        chance = random.Random(1)
        longer = [chance.choices(self.OPS, k=chance.randrange(3, 8)) for _ in range(60)]
        for fly in (False, True):
            with self.map(tmp_path, 2) as shared:
                self._both(shared, [*pairs, *longer], fly=fly)

    def _both(self, shared: Shared, sequences: Sequence[Sequence[MapOp]], *, fly: bool) -> None:
        """Do the same in partition 0, one by one, and in partition 1, together."""
        keys = [b"%d" % number for number in range(len(sequences))]
        for partition in (0, 1) if fly else ():
            old = [newer(key, "old", 2) for key in keys]
            shared.write(*old, partition=partition)
            shared.worker(partition=partition).read()
        for key, sequence in zip(keys, sequences, strict=True):
            for op in sequence:
                shared.write(_of(key, op))
            shared.write(*(_of(key, op) for op in sequence), partition=1)
            assert shared.found(key, 0) == shared.found(key, 1), sequence
            one, two = (depth_of(shared.store, partition) for partition in (0, 1))
            assert one[2:6] == two[2:6], sequence
            assert (one.coalesced, one.deleted) == (two.coalesced, two.deleted), sequence

    def test_others_are_not_touched(self, tmp_path: Path) -> None:
        with self.map(tmp_path) as shared:
            shared.write(*(newer(f"{n}", "a", n) for n in range(50)))
            shared.worker().read()
            shared.write(*(put(f"{n}", "b") for n in range(25)))
            for op in self.OPS:
                shared.write(op)
            for n in range(50):
                waits = Seen(PUT, b"b") if n < 25 else None
                assert shared.found(f"{n}") == (waits, Seen(NEWER, b"a", n))
