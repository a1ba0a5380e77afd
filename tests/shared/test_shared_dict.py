"""Everything that is expected of a shared storage, over the one in memory; and its own ways."""

from pathlib import Path
from typing import Any

import pytest

from partitioned_buffer import StorageRefused
from partitioned_buffer.abc.sharing import (
    ClaimLost,
    Parcel,
    SharedStorage,
    SharedStore,
    SharedTerms,
    StorageAway,
    Want,
)
from partitioned_buffer.testing import FakeClock
from partitioned_buffer.testing.sharing import SharedDict, SharedStoreContract

TERMS = SharedTerms("events", "Queue", None, "host:1")


class TestOneLane(SharedStoreContract):
    def make(self, tmp_path: Path) -> SharedDict:
        return SharedDict()

    def make_limited(self, tmp_path: Path, limit: int) -> SharedDict:
        return SharedDict(limit=limit)


class TestManyLanes(TestOneLane):
    def make(self, tmp_path: Path) -> SharedDict:
        return SharedDict(lanes=3)


def parcel(first: int, *numbers: int, partition: int = 0, known: int = 0) -> Parcel:
    data = SharedDict().codec.pack(numbers)
    return Parcel(0, partition, known, first, first + len(numbers) - 1, len(numbers), data)


def test_it_is_what_the_contract_says() -> None:
    storage: SharedStorage = SharedDict(partitions=3)
    store: SharedStore = storage.share(TERMS)
    assert store.layout.partitions == 3
    assert store.me.startswith("host:1")


def test_leases_are_by_the_clock() -> None:
    clock = FakeClock()
    shared = SharedDict(clock=clock, lease=10.0)
    one, two = shared.share(TERMS), shared.share(TERMS)
    claim = one.claim(0)
    assert claim is not None
    assert claim.until == 10.0
    one.beat()
    clock.advance(9.0)
    one.step(0, [Want(claim, -1, 0, 0)])
    assert claim.until == 19.0
    clock.advance(9.0)
    assert two.claim(0) is None
    assert two.beat() == [two.me], "a worker is forgotten after a lease, too"
    clock.advance(1.0)
    assert two.claim(0) is not None
    (answer,) = one.step(0, [Want(claim, -1, 0, 0)])
    assert isinstance(answer, ClaimLost)


def test_how_old_is_by_the_clock() -> None:
    clock = FakeClock()
    store = SharedDict(clock=clock).share(TERMS)
    store.append(0, "p", [parcel(1, 1)])
    clock.advance(2.0)
    store.append(0, "p", [parcel(2, 2, known=1)])
    assert store.depth()[0].oldest == 2.0
    claim = store.claim(0)
    assert claim is not None
    store.step(0, [Want(claim, -1, 9, 99)])
    store.step(0, [Want(claim, 1, 9, 99)])
    assert store.depth()[0].oldest == 0.0


def test_what_fails_for_one_works_for_the_others() -> None:
    shared = SharedDict()
    other = shared.another(deliver=False)
    one, two = shared.share(TERMS), other.share(TERMS)
    shared.fails = StorageAway("the net is down")
    for call in (one.refresh, one.beat, one.depth, lambda: one.claim(0), one.hurry):
        with pytest.raises(StorageAway, match="the net is down"):
            call()
    with pytest.raises(StorageAway):
        shared.share(TERMS)
    assert two.append(0, "p", [parcel(1, 1)]) == [None]
    assert (shared.deliver, other.deliver) == (True, False)
    assert shared.held() == other.held() == 1
    shared.fails = None
    assert one.claim(0) is not None


def test_a_lane_that_is_down_holds_up_no_other() -> None:
    shared = SharedDict(lanes=2)
    store = shared.share(TERMS)
    claims: Any = [store.claim(partition) for partition in (0, 1)]
    shared.down_lanes.add(1)
    (answer,) = store.append(1, "p", [parcel(1, 1, partition=1)])
    assert isinstance(answer, StorageAway)
    assert store.append(0, "p", [parcel(2, 2)]) == [None]
    assert isinstance(store.step(1, [Want(claims[1], -1, 9, 99)])[0], StorageAway)
    assert not isinstance(store.step(0, [Want(claims[0], -1, 9, 99)])[0], StorageAway)
    with pytest.raises(StorageAway, match="lane 1"):
        store.depth()
    assert shared.held(1) == 0
    with pytest.raises(StorageRefused, match="not of lane 1"):
        store.append(1, "p", [parcel(3, 3)])


def test_a_function_says_which_replies_are_lost() -> None:
    shared, calls = SharedDict(), list[str]()
    store = shared.share(TERMS)

    def lost(call: str) -> bool:
        calls.append(call)
        return call == "claim"

    shared.loses_replies = lost
    assert store.append(0, "p", [parcel(1, 1)]) == [None]
    with pytest.raises(StorageAway, match=r"claim\(\)"):
        store.claim(0)
    shared.loses_replies = 0
    assert calls == ["append", "claim"]
    assert store.claim(0) is not None, "its own claim may be claimed again"


def test_what_is_behind_a_parcel_that_is_not_there_waits() -> None:
    store = SharedDict(limit=16).share(TERMS)  # 2 each
    parcels = [parcel(1, 1), parcel(2, 2, 3, known=1), parcel(4, 4, known=3)]
    answers = store.append(0, "p", parcels)
    assert [type(answer).__name__ for answer in answers] == [
        "NoneType",
        "StorageFull",
        "StorageAway",
    ]


def test_who_is_deaf_hears_nothing() -> None:
    shared, heard = SharedDict(), list[int]()
    store = shared.share(TERMS)
    store.listen(heard.append)
    shared.deaf = True
    store.append(0, "p", [parcel(1, 1)])
    shared.deaf = False
    shared.tell(-1)
    assert heard == [-1, -1]


def test_it_can_be_looked_into() -> None:
    shared, calls = SharedDict(), list[str]()
    shared.on_call = calls.append
    store = shared.share(TERMS)
    store.append(0, "p", [parcel(1, 1, 2, 3)])
    claim = store.claim(0)
    assert claim is not None
    store.step(0, [Want(claim, -1, 9, 99)])
    store.step(0, [Want(claim, 2, 9, 99)])
    store.bury(claim, shared.codec.pack([3]), 1, "a reason", 2)
    store.release(claim)
    assert (shared.appended, shared.held(), shared.held(0), shared.held(1)) == (3, 1, 1, 0)
    assert [chunk.count for chunk in shared.chunks()] == [3]
    assert shared.dead_items() == [3]
    seen = [(happening.what, happening.start, happening.end) for happening in shared.history]
    assert seen == [
        ("append", 0, 3),
        ("claim", 0, 3),
        ("read", 0, 3),
        ("settle", 0, 2),
        ("bury", 2, 2),
        ("release", 2, 3),
    ]
    assert calls == ["share", "append", "claim", "step", "step", "bury", "release"]


def test_what_the_server_forgets_it_has_never_had() -> None:
    shared = SharedDict()
    store = shared.share(TERMS)
    claim = store.claim(0)
    assert claim is not None
    store.append(0, "p", [parcel(1, 1, 2)])
    store.append(0, "p", [parcel(3, 3, 4, known=2)])
    store.step(0, [Want(claim, -1, 9, 99)])
    store.step(0, [Want(claim, 4, 9, 99)])
    shared.forgets(1)
    assert (shared.appended, shared.held()) == (2, 0)
    assert isinstance(store.step(0, [Want(claim, 4, 9, 99)])[0], ClaimLost)
    assert store.append(0, "p", [parcel(3, 5, known=2)]) == [None]
    assert (shared.appended, shared.held()) == (3, 1)


def test_only_what_was_empty_is_told() -> None:
    store, heard = SharedDict().share(TERMS), list[int]()
    store.listen(heard.append)
    store.append(0, "p", [parcel(1, 1)])
    store.append(0, "p", [parcel(2, 2, known=1)])
    assert heard == [-1, 0]


def test_nothing_is_settled_that_was_never_there() -> None:
    shared = SharedDict()
    store = shared.share(TERMS)
    claim = store.claim(0)
    assert claim is not None
    store.step(0, [Want(claim, 5, 9, 99)])
    store.append(0, "p", [parcel(1, 1)])
    assert shared.held() == 1
