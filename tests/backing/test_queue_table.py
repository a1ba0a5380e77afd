"""A stored Queue's table by itself: what lands, and what is loaded of it, in order."""

import time
from typing import Any

import pytest

from partitioned_buffer._core.backing.queue import table as module
from partitioned_buffer._core.backing.queue.hashes import NO_KEY, route_of_queue, with_hashes
from partitioned_buffer._core.backing.queue.records import QueuePiece
from partitioned_buffer._core.backing.queue.table import StoredQueueTable
from partitioned_buffer._core.backing.room import StoreRoom
from partitioned_buffer._core.writes.routing import slot_numbers
from partitioned_buffer.abc import Terms
from partitioned_buffer.testing.storage import DictStorage


class Idle:
    """A committer that has nothing to do."""

    reclaims = 0
    is_awaited = False

    def catch_up(self) -> None: ...

    def reclaim(self) -> None:
        self.reclaims += 1


class Made:
    """A table, and its store."""

    def __init__(self, window: int = 1 << 20, room: StoreRoom | None = None) -> None:
        self.store = DictStorage(window=window).open(Terms("made", "Queue", 1, lambda *_: {}))
        self.table = StoredQueueTable(0, room)
        self.committer = Idle()
        self.table.begin(self.store, self.committer)
        self.table.open(lambda: None, None)

    def piece(self, *items: Any) -> QueuePiece:
        records = [self.store.codec.encode(item) for item in items]
        return QueuePiece(self.table, records, [NO_KEY] * len(items))

    def packed(self, *items: Any) -> QueuePiece:
        return QueuePiece(self.table, (), [NO_KEY] * len(items), self.store.codec.pack(items))

    def land(self, *pieces: QueuePiece) -> None:
        chunks = self.table.chunks(pieces)
        starts = self.store.append([(0, *chunk) for chunk in chunks])
        self.table.landed(starts, chunks, pieces)

    def load(self, *, note: bool = True) -> list[Any]:
        """Return what is loaded at once; it is delivered, and noted."""
        self.table.fill()
        self.table.swap()
        items = self.table.take() or []
        self.table.acknowledge()
        if note:
            self.table.note()
        return items


def test_a_processor_may_do_as_it_likes_with_its_list() -> None:
    made = Made()
    made.land(made.piece(1), made.piece(2), made.piece(3))
    made.table.fill()
    made.table.swap()

    for batch in (made.table.take(2), made.table.again(), made.table.again()):
        assert batch == [1, 2]
        batch.clear()
    made.table.release()
    assert made.table.take() == [1, 2, 3]


def test_what_is_packed_lands_between_what_was_written_before_and_after() -> None:
    made = Made()
    made.land(made.piece(1), made.piece(2), made.packed(3, 4), made.piece(5), made.packed(6, 7))

    assert made.load() == [1, 2, 3, 4, 5, 6, 7]


def test_what_lands_while_the_disk_is_being_read_comes_behind_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "LOADED", 1)
    made = Made(window=20)
    made.land(made.piece("larger than the window"))
    made.land(made.piece(2))
    assert made.load() == ["larger than the window"]
    made.land(made.piece(3))
    assert [made.load() for _ in range(3)] == [[2], [3], []]


def test_the_disk_is_read_on_though_nothing_could_be_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOADED", 1)
    made = Made(window=0)
    for number in range(3):
        made.land(made.piece(number))

    assert [made.load(note=False) for _ in range(3)] == [[0], [1], [2]]


def test_what_is_committed_and_has_yet_to_land_is_not_loaded() -> None:
    made = Made(window=0)
    made.land(made.piece(1))
    pieces = [made.piece(2)]
    chunks = made.table.chunks(pieces)
    starts = made.store.append([(0, *chunk) for chunk in chunks])
    assert made.load() == [1]
    counts = made.table.counts()
    assert (counts["accepted"], counts["waiting"], counts["in_flight"]) == (1, 0, 0)

    made.table.landed(starts, chunks, pieces)
    assert [made.load() for _ in range(2)] == [[2], []]


def test_room_is_given_back_when_much_is_settled_or_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOADED", 1)
    monkeypatch.setattr(module, "SETTLED", 3)
    made = Made(window=0)
    for number in range(8):
        made.land(made.piece(number))
    found: list[int] = []
    for _ in range(8):
        made.load()
        found.append(made.committer.reclaims)

    assert found == [0, 0, 1, 1, 1, 2, 2, 3]


@pytest.mark.parametrize("awaited", [False, True])
def test_who_delivers_gives_way_to_writers(awaited: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    made = Made()
    made.land(made.piece(1), made.piece(2))
    made.committer.is_awaited = awaited
    made.load()
    made.table.note()

    assert slept == [0] * awaited, "once for each note"


def test_what_was_to_be_dropped_may_be_delivered_and_gone_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who drops it has seen it there, and asks what it weighs."""
    made, weigh = Made(room=StoreRoom(None, 100, "drop_oldest")), StoredQueueTable._weight_of_next
    made.land(made.piece(1))

    def weighed_later(table: StoredQueueTable, loaded: int) -> int:
        made.load()
        made.store.reclaim()
        return weigh(table, loaded)

    monkeypatch.setattr(StoredQueueTable, "_weight_of_next", weighed_later)
    assert not made.table.drop_oldest()
    assert made.table.counts()["delivered"] == 1


def test_what_has_no_key_is_dealt_to_all_partitions_and_chunks_stay_together() -> None:
    codec = DictStorage().codec
    route = route_of_queue(codec, slot_numbers)
    found: set[int] = set()
    for number in range(20):
        records = [codec.encode(each) for each in (number, "again")]
        chunk = with_hashes(codec.join(records), [NO_KEY, NO_KEY])
        ((where, (count, data)),) = route(chunk, [0, 1], 3).items()
        assert (count, data) == (2, chunk)
        found.add(where)

    assert found == {0, 1, 2}


def test_what_lands_while_others_are_dropped_is_counted() -> None:
    made = Made()

    class Landing(int):
        """A number in whose addition something lands, as another thread may have it."""

        def __radd__(self, other: int) -> int:
            if not made.table.counts()["accepted"]:
                made.land(made.piece(1), made.piece(2))
            return other + int(self)

    made.table.drop(Landing(3))

    counts = made.table.counts()
    assert (counts["accepted"], counts["dropped"], counts["waiting"]) == (5, 3, 2)
