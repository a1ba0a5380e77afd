"""Everything that is expected of a shared storage of Maps, over the one in memory; its own ways."""

from pathlib import Path
from typing import Any

import pytest

from partitioned_buffer import StorageAway, StorageRefused
from partitioned_buffer.abc.sharing import Claim, Gap, MapOp, Parcel, SharedTerms, Swap, Want
from partitioned_buffer.testing import FakeClock
from partitioned_buffer.testing.contract.shared.maps.ops import add, delete, newer, put, tally_of
from partitioned_buffer.testing.sharing import SharedDict, SharedMapContract

TERMS = SharedTerms("events", "Map", 1, "host:1")


class TestMaps(SharedMapContract):
    def make(self, tmp_path: Path) -> SharedDict:
        return SharedDict()

    def make_limited(self, tmp_path: Path, limit: int) -> SharedDict:
        return SharedDict(limit=limit)


class TestMapsOfManyLanes(TestMaps):
    def make(self, tmp_path: Path) -> SharedDict:
        return SharedDict(lanes=3)


def parcel(first: int, *ops: MapOp, known: int = 0) -> Parcel:
    last = first + len(ops) - 1
    return Parcel(0, 0, known, first, last, len(ops), b"", ops, tally_of(ops))


def step(store: Any, claim: Claim, settled: int = -1, *delivered: bytes, records: int = 9) -> Swap:
    (swap,) = store.step(0, [Want(claim, settled, records, 999, 0, delivered)])
    assert isinstance(swap, Swap)
    return swap


def claimed(store: Any) -> Claim:
    claim = store.claim(0)
    assert isinstance(claim, Claim)
    return claim


def test_it_can_be_looked_into() -> None:
    shared = SharedDict()
    store = shared.share(TERMS)
    one, two = newer("a", "1", 5), put("b", "2")
    store.append(0, "p", [parcel(1, one, two)])
    claim = claimed(store)
    step(store, claim)
    store.append(0, "p", [parcel(3, two, delete("c"), known=2)])
    step(store, claim, 1, b"a")
    assert (shared.appended, shared.held()) == (3, 2)
    assert (shared.waiting(), shared.flying()) == (dict([two]), dict([two]))
    assert shared.versions() == {b"a": 5}
    assert shared.chunks() == []
    seen = [(happening.what, happening.start, happening.end) for happening in shared.history]
    assert seen == [
        ("append", 0, 2),
        ("claim", 0, 2),
        ("read", 0, 2),
        ("append", 2, 3),
        ("settle", 0, 1),
    ]


def test_a_queue_has_no_keys() -> None:
    shared = SharedDict()
    store = shared.share(TERMS._replace(kind="Queue"))
    with pytest.raises(StorageRefused, match="no keys"):
        store.get(0, b"a", "p")
    for look in (shared.waiting, shared.flying, shared.versions):
        with pytest.raises(TypeError, match="a Queue"):
            look()


def test_how_old_is_since_a_key_waits() -> None:
    clock = FakeClock()
    store = SharedDict(clock=clock).share(TERMS)
    store.append(0, "p", [parcel(1, add("a", 1))])
    clock.advance(2.0)
    store.append(0, "p", [parcel(2, add("b", 1), add("a", 1), known=1)])
    assert store.depth()[0].oldest == 2.0
    claim = claimed(store)
    step(store, claim)
    step(store, claim, 1, b"a")
    assert store.depth()[0].oldest == 0.0


def test_what_the_server_forgets_takes_with_it_what_came_later() -> None:
    shared = SharedDict()
    store = shared.share(TERMS)
    store.append(0, "p", [parcel(1, newer("a", "1", 5))])
    claim = claimed(store)
    step(store, claim)
    store.append(0, "p", [parcel(2, newer("a", "2", 6), put("b", "1"), known=1)])
    step(store, claim, 1, b"a")
    shared.forgets(1)
    assert (shared.appended, shared.held()) == (1, 1)
    assert (list(shared.flying()), shared.waiting(), shared.versions()) == ([b"a"], {}, {})
    (answer,) = store.append(0, "p", [parcel(4, put("b", "2"), known=3)])
    assert isinstance(answer, Gap)
    swap = step(store, claimed(store))
    assert (swap.number, [key for key, _ in swap.entries]) == (1, [b"a"])


def test_a_lane_that_is_down_tells_nothing_of_a_key() -> None:
    shared = SharedDict()
    store = shared.share(TERMS)
    shared.down_lanes.add(0)
    with pytest.raises(StorageAway):
        store.get(0, b"a", "p")


def test_news_are_of_what_waits() -> None:
    store, heard = SharedDict().share(TERMS), list[int]()
    store.listen(heard.append)
    store.append(0, "p", [parcel(1, delete("a"), put("b", "1"), delete("b"))])
    assert heard == [-1]
    store.append(0, "p", [parcel(4, put("b", "1"), known=3)])
    store.append(0, "p", [parcel(5, put("b", "2"), known=4)])
    assert heard == [-1, 0]
    step(store, claimed(store))
    store.append(0, "p", [parcel(6, put("b", "3"), known=5)])
    assert heard == [-1, 0, 0], "for the next swap"


def test_who_works_on_it_is_named_where_it_is_dealt_anew() -> None:
    shared = SharedDict()
    store = shared.share(TERMS)
    claim = claimed(store)
    with pytest.raises(StorageRefused, match=store.me):
        store.resize(3)
    store.release(claim)
    store.resize(3)
    assert store.refresh()
    assert store.layout == store.duty
    assert store.layout.partitions == 3
