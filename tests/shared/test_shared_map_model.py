"""
A shared Map's store in the hands of Hypothesis: producers and workers that are cut off, one server.

Parcels and steps are sent again when their replies were lost, claims end, keys are deleted in hand.
What is there, what is handed out, and all numbers, are those of a model in plain Python.
"""

from collections import Counter
from typing import Any, NamedTuple

import pytest

pytest.importorskip("hypothesis")
from helpers import rounds
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from partitioned_buffer import StorageAway, StorageFull
from partitioned_buffer.abc.shared_map import ADD, DELETE, NEWER, PART, PUT, MapOp
from partitioned_buffer.abc.sharing import Claim, ClaimLost, Parcel, SharedTerms, Swap, Want
from partitioned_buffer.testing import FakeClock
from partitioned_buffer.testing.contract.shared.maps.ops import (
    add,
    delete,
    newer,
    number_of,
    part,
    put,
    seen,
    split,
    tally_of,
)
from partitioned_buffer.testing.sharing import SharedDict

LEASE = 6.0
KEYS = [b"a", b"b"]
ONLY_NEWER = b"n"
"""A key that has nothing but versions, of which none is handed out after a newer one."""
Value = bytes | int | list[Any]


class Held(NamedTuple):
    """What there is of a key: a value, a sum, or parts."""

    value: Value
    version: int | None
    updates: int = 0


def held_of(key: bytes, record: bytes) -> Held:
    what = seen(key, record)
    assert what is not None
    value: Value = what.value
    if what.mode == ADD:
        value = int(number_of(what.value))
    elif what.mode == PART:
        value = split(what.value)
    return Held(value, what.version, what.updates)


class Write(NamedTuple):
    """What a producer writes: a key, what with it, and whether all there is goes first."""

    key: bytes
    held: Held | None
    is_newer: bool = False
    clears: bool = False

    @property
    def op(self) -> MapOp:
        if self.held is None:
            return delete(self.key)
        value, version, _ = self.held
        if isinstance(value, bytes):
            if self.is_newer and version is not None:
                return newer(self.key, value, version, clears=self.clears)
            return put(self.key, value, version, clears=self.clears)
        if isinstance(value, int):
            return add(self.key, value, clears=self.clears)
        return part(self.key, *value, clears=self.clears)


class Model:
    """A partition, as it has to be."""

    def __init__(self) -> None:
        self.waiting: dict[bytes, Held] = {}
        self.flying: dict[bytes, Held] = {}
        self.known: dict[bytes, int] = {}
        self.gone = set[bytes]()
        self.swap = 0
        self.numbers = Counter[str]()

    def do(self, write: Write) -> None:
        """Do what a write says."""
        key, new, old = write.key, write.held, self.waiting.get(write.key)
        if new is None or write.clears:
            self._clear(key)
            old = None
        if new is None:
            return
        self.numbers["accepted"] += 1
        if write.is_newer and not self._is_newer(key, new.version or 0):
            self.numbers["coalesced"] += 1
            return
        if old is not None:
            self.numbers["coalesced"] += 1
            new = self._over(new, old, is_newer=write.is_newer)
        self.waiting[key] = new

    def _clear(self, key: bytes) -> None:
        for those in (self.waiting, self.flying):
            if those.pop(key, None) is not None:
                self.numbers["deleted"] += 1
                if those is self.flying:
                    self.gone.add(key)
        self.known.pop(key, None)

    def _is_newer(self, key: bytes, version: int) -> bool:
        held = self.waiting.get(key) or self.flying.get(key)
        if held is not None:
            return version > (held.version or 0)
        return key not in self.known or version > self.known[key]

    def _over(self, new: Held, old: Held, *, is_newer: bool) -> Held:
        if is_newer:
            return new._replace(updates=old.updates + 1)
        if isinstance(new.value, bytes):
            return new
        if isinstance(new.value, int) and isinstance(old.value, int):
            return new._replace(value=old.value + new.value)
        before, after = (
            held.value if isinstance(held.value, list) else [held.value] for held in (old, new)
        )
        return new._replace(value=before + after)

    def settle(self, want: Want, *, remembers: bool) -> None:
        """Have settled what a step says."""
        if want.settled != self.swap:
            return
        for key in want.delivered:
            if (held := self.flying.pop(key, None)) is not None:
                self.numbers["delivered"] += 1
                self.known.pop(key, None)
                if held.version is not None and remembers:
                    self.known[key] = held.version
        for key in want.buried:
            self.numbers["dead"] += key in self.flying or key in self.gone
            self.numbers["deleted"] -= key in self.gone
            self.flying.pop(key, None)
            self.gone.discard(key)

    def begin(self) -> None:
        """Put in flight what waits, unless something is."""
        if self.waiting and not self.flying:
            self.swap += 1
            self.flying, self.waiting, self.gone = self.waiting, {}, set()


class Producer:
    """Who sends each parcel until it is there."""

    def __init__(self, server: SharedDict, name: str) -> None:
        self.name, self.storage = name, server.another()
        self.store = self.storage.share(TERMS)
        self.parcels: list[tuple[Parcel, list[Write]]] = []
        self.mark = 0
        self.there = 0  # the mark of the last one that is, whether it knows or not


class Worker:
    """Who delivers: what it has in hand, and what it has told of that."""

    def __init__(self, server: SharedDict, terms: SharedTerms) -> None:
        self.storage = server.another()
        self.store = self.storage.share(terms)
        self.claim: Claim | None = None

    def begin(self, claim: Claim | None) -> None:
        """Have nothing in hand."""
        self.claim, self.number = claim, -1
        self.hand = set[bytes]()
        self.delivered, self.buried = set[bytes](), set[bytes]()


TERMS = SharedTerms("events", "Map", 1, "a test")
values = st.builds(lambda number: b"%d" % number, st.integers(0, 99))
versions, keys = st.integers(-1, 6), st.sampled_from(KEYS)
seldom = st.sampled_from([True, False, False, False])


@st.composite
def writes(draw: st.DrawFn) -> Write:
    """Draw a write of any mode."""
    mode, value = draw(st.sampled_from([PUT, NEWER, NEWER, ADD, PART, DELETE, b"only newer"])), b""
    if mode in {PUT, NEWER, PART, b"only newer"}:
        value = draw(values)
    if mode == b"only newer":
        return Write(ONLY_NEWER, Held(value, draw(versions)), is_newer=True)
    key, clears = draw(keys), draw(seldom)
    if mode == DELETE:
        return Write(key, None)
    if mode == ADD:
        return Write(key, Held(draw(st.integers(-5, 5)), None), clears=clears)
    if mode == PART:
        return Write(key, Held([value, 7], None), clears=clears)
    version = draw(versions if mode == NEWER else st.none() | versions)
    return Write(key, Held(value, version), is_newer=mode == NEWER, clears=clears)


fates = st.sampled_from(["there", "there", "reply lost", "away"])
who = st.integers(0, 1)


class MapMachine(RuleBasedStateMachine):
    """One partition, two producers and two workers of it."""

    @initialize(limit=st.none() | st.integers(1, 3), remembers=st.booleans())
    def begin(self, limit: int | None, remembers: bool) -> None:
        self.clock, self.remembers, self.limit = FakeClock(), remembers, limit
        self.server = SharedDict(partitions=1, lease=LEASE, limit=limit, clock=self.clock)
        self.model = Model()
        self.producers = [Producer(self.server, name) for name in "pq"]
        terms = TERMS._replace(remember=100 if remembers else 0)
        self.workers = [Worker(self.server, terms) for _ in range(2)]
        self.owner: Worker | None = None
        self.until = 0.0
        self.handed = -9, 0  # a version, and with which swap

    # --- producers

    @rule(
        number=who,
        those=st.lists(writes(), min_size=1, max_size=5),
        known=st.booleans(),
        fate=fates,
    )
    def write(self, number: int, those: list[Write], known: bool, fate: str) -> None:
        producer = self.producers[number]
        first, before = producer.mark + 1, producer.mark
        producer.mark += len(those)
        ops = [write.op for write in those]
        parcel = Parcel(
            0, 0, before if known else -1, first, producer.mark, len(ops), b"", ops, tally_of(ops)
        )  # fmt: skip
        producer.parcels.append((parcel, those))
        self.send(number, fate)

    @rule(number=who, fate=fates)
    def send(self, number: int, fate: str) -> None:
        """Send all that it does not know to be there; what has no room keeps the rest waiting."""
        producer = self.producers[number]
        self._befall(producer.storage, fate)
        parcels = [parcel for parcel, _ in producer.parcels]
        try:
            answers = producer.store.append(0, producer.name, parcels)
        except StorageAway:
            answers = None
        finally:
            self._befall(producer.storage, "there")
        expected = [] if fate == "away" else self._expected(producer)
        if answers is None:
            return
        assert [type(answer) for answer in answers] == expected
        while producer.parcels and producer.parcels[0][0].last <= producer.there:
            del producer.parcels[0]

    def _expected(self, producer: Producer) -> list[type]:
        found: list[type] = []
        for parcel, those in producer.parcels:
            if parcel.last > producer.there:
                if set(found) & {StorageFull, StorageAway}:
                    found.append(StorageAway)
                    continue
                if not self._has_room(those):
                    found.append(StorageFull)
                    continue
                for write in those:
                    self.model.do(write)
                producer.there = parcel.last
            found.append(type(None))
        return found

    def _has_room(self, those: list[Write]) -> bool:
        held = len(self.model.waiting) + len(self.model.flying)
        new = {write.key for write in those if write.held is not None} - set(self.model.waiting)
        return self.limit is None or not held or held + len(new) <= self.limit

    def _befall(self, storage: SharedDict, fate: str) -> None:
        storage.fails = StorageAway("away") if fate == "away" else None
        storage.loses_replies = int(fate == "reply lost")

    # --- workers

    def claim(self, worker: Worker) -> None:
        claim = worker.store.claim(0)
        assert (claim is None) == (self._has_owner() and self.owner is not worker)
        if claim is not None:
            worker.begin(claim)
            self.owner, self.until = worker, self.clock.monotonic() + LEASE

    def _has_owner(self) -> bool:
        return self.owner is not None and self.clock.monotonic() < self.until

    @rule(number=who, count=st.integers(1, 3), buried=st.booleans())
    def settle(self, number: int, count: int, buried: bool) -> None:
        worker = self.workers[number]
        if worker.claim is not None:
            some = set(sorted(worker.hand)[:count])
            worker.hand -= some
            if buried:
                worker.buried |= some
            else:
                worker.delivered |= some

    @rule(number=who, records=st.integers(0, 3), fate=fates)
    def step(self, number: int, records: int, fate: str) -> None:
        worker = self.workers[number]
        if worker.claim is None:
            self.claim(worker)
        if worker.claim is None:
            return
        those = sorted(worker.delivered), sorted(worker.buried)
        want = Want(worker.claim, worker.number, records, 1 << 20, 0, *those)
        self._befall(worker.storage, fate)
        try:
            (answer,) = worker.store.step(0, [want])
        except StorageAway:
            answer = None
        finally:
            self._befall(worker.storage, "there")
        if fate != "away":
            self._stepped(worker, want)
        if answer is None:
            return
        if isinstance(answer, ClaimLost):
            assert self.owner is not worker or not self._has_owner()
            worker.begin(None)
            return
        assert self.owner is worker
        assert isinstance(answer, Swap)
        self._take(worker, answer)

    def _stepped(self, worker: Worker, want: Want) -> None:
        """Have the model do what the server did, whether its reply was lost or not."""
        if self.owner is not worker or not self._has_owner():
            return
        self.until = self.clock.monotonic() + LEASE
        self.model.settle(want, remembers=self.remembers)
        if want.records:
            self.model.begin()

    def _take(self, worker: Worker, swap: Swap) -> None:
        model = self.model
        assert swap.number == model.swap
        assert (swap.left, swap.waiting) == (len(model.flying), len(model.waiting))
        if swap.number != worker.number:
            worker.number = swap.number
            worker.hand.clear()
        worker.delivered.clear()
        worker.buried.clear()
        for key, record in swap.entries:
            held = held_of(key, record)
            assert held == model.flying[key]
            worker.hand.add(key)
            if key == ONLY_NEWER:
                self._check_order(held, swap.number)
        if swap.is_all:
            assert set(model.flying) <= worker.hand, "some were not handed out"

    def _check_order(self, held: Held, number: int) -> None:
        """See that no version comes after a newer one, if they are remembered."""
        assert held.version is not None
        newest, swap = self.handed
        if swap == number:
            assert held.version == newest
        elif self.remembers:
            assert held.version > newest
        self.handed = held.version, number

    @rule(number=who)
    def release(self, number: int) -> None:
        worker = self.workers[number]
        if worker.claim is not None:
            worker.store.release(worker.claim)
            worker.begin(None)
            if self.owner is worker:
                self.owner = None

    @rule()
    def expire(self) -> None:
        self.server.expire(0)
        self.owner = None

    @rule(seconds=st.sampled_from([2.0, 5.0, 7.0]))
    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    # --- what holds

    @invariant()
    def what_is_there_is_as_in_the_model(self) -> None:
        if not hasattr(self, "model"):
            return
        store, model = self.producers[0].store, self.model
        for key in (*KEYS, ONLY_NEWER):
            found = store.get(0, key, self.producers[0].name)
            for record, held in ((found.waiting, model.waiting), (found.flying, model.flying)):
                assert (None if record is None else held_of(key, record)) == held.get(key)
            assert found.mark == self.producers[0].there
        assert self.server.versions() == model.known

    @invariant()
    def the_books_balance(self) -> None:
        if not hasattr(self, "model"):
            return
        (depth,), numbers = self.producers[0].store.depth(), self.model.numbers
        held = len(self.model.waiting) + len(self.model.flying)
        assert depth.appended == numbers["accepted"]
        assert (depth.coalesced, depth.deleted) == (numbers["coalesced"], numbers["deleted"])
        assert (depth.dead, depth.settled) == (numbers["dead"], depth.appended - held)
        settled = (depth.dead, depth.coalesced, depth.deleted, numbers["delivered"])
        assert depth.settled == sum(settled), "each write has become one thing"
        assert (depth.goal > depth.passed) == (held > 0)

    def teardown(self) -> None:
        if not hasattr(self, "model"):
            return
        for number in (0, 1):
            self.release(number)
        self.expire()
        for _ in range(200):
            for number in (0, 1):
                self.send(number, "there")
            self.step(0, 100, "there")
            self.settle(0, 3, buried=False)
            self.step(0, 0, "there")
            self.what_is_there_is_as_in_the_model()
            self.the_books_balance()
            if not (self.producers[0].parcels or self.producers[1].parcels or self.model.waiting):
                break
        self.step(0, 1, "there")
        self.settle(0, 3, buried=False)
        self.step(0, 0, "there")
        assert [producer.parcels for producer in self.producers] == [[], []]
        assert not self.model.waiting
        assert not self.model.flying


MapMachine.TestCase.settings = settings(
    max_examples=rounds(400), stateful_step_count=40, deadline=None, print_blob=True
)
TestSharedMapModel = MapMachine.TestCase
