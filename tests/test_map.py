"""What a Map does with entries."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from helpers import Buffers

from partitioned_buffer import Entry, Retry
from partitioned_buffer._core.tables.entry import DELETED, NEWER
from partitioned_buffer._core.tables.old_map import MapTable
from partitioned_buffer._core.tables.map_log import BACKLOG, PAUSE
from partitioned_buffer.testing import FakeClock, RecordingProcessor

pytestmark = pytest.mark.both_faces


def values(processor: RecordingProcessor) -> dict[Any, Any]:
    return {entry.key: entry.value for entry in processor.items}


def test_the_last_write_of_a_key_wins(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    mapped = buffers.map()
    mapped.put("a", 1)
    mapped.put("b", 1)
    mapped.put("a", 2)

    clock.advance(5.0)

    assert processor.batches == [[Entry("a", 2, 0, 0), Entry("b", 1, 0, 0)]]
    assert mapped.stats().coalesced == 1


@pytest.mark.parametrize("entries", [{"a": 1, "b": 2}, [("a", 1), ("b", 2)], (["a", 1], ["b", 2])])
def test_put_all_takes_a_mapping_or_pairs(
    entries: Any, buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    mapped = buffers.map(partitions=3)
    mapped.put_all(entries)
    mapped.put_all([])

    clock.advance(5.0)

    assert values(processor) == {"a": 1, "b": 2}


def test_the_newer_version_wins_and_updates_are_counted(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    mapped = buffers.map()
    mapped.put_newer("a", "two", 2)
    mapped.put_newer("a", "one", 1)
    mapped.put_newer("a", "two again", 2)
    mapped.put_all_newer([("a", "three", 3), ("b", "b", -5), ("a", "four", 4)])

    clock.advance(5.0)

    assert processor.items == [Entry("a", "four", 4, 2), Entry("b", "b", -5, 0)]
    assert mapped.stats().coalesced == 4


def test_a_plain_put_resets_version_and_updates(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    mapped = buffers.map()
    mapped.put_newer("a", 1, 7)
    mapped.put_newer("a", 2, 8)
    mapped.put("a", 3)
    mapped.put_newer("b", 1, 7)
    mapped.put("b", 2)
    mapped.put_newer("b", 3, 1)
    mapped.put_newer("b", "too old for a plain put", 0)

    clock.advance(5.0)

    assert processor.items == [Entry("a", 3, 0, 0), Entry("b", 3, 1, 1)]


def test_a_version_has_to_beat_what_is_in_flight(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    mapped = buffers.map(flush_at=1)
    processor.block()
    mapped.put_newer("a", "new", 100)
    processor.wait_for_call()

    mapped.put_newer("a", "old", 50)
    assert mapped.get("a") == "new"
    mapped.put_newer("a", "newest", 101)
    assert mapped.get("a") == "newest"

    processor.unblock()
    clock.settle()
    assert [(e.value, e.version, e.updates) for e in processor.items] == [
        ("new", 100, 0),
        ("newest", 101, 0),
    ]
    assert mapped.stats().coalesced == 1


def test_a_version_has_to_beat_what_was_delivered(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    mapped = buffers.map()
    mapped.put_newer("a", "new", 100)
    clock.advance(5.0)

    mapped.put_newer("a", "old", 50)
    mapped.put_newer("a", "same", 100)
    assert mapped.get("a") is None
    clock.advance(5.0)
    mapped.put("a", "plain")
    clock.advance(5.0)
    mapped.put_newer("a", "after plain", 1)
    clock.advance(5.0)

    assert [entry.value for entry in processor.items] == ["new", "plain", "after plain"]


def test_how_many_delivered_versions_are_remembered_is_bounded(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    mapped = buffers.map(remember_versions=3, processing_batch_size=100)
    mapped.put_all_newer([(key, "new", 9) for key in range(10)])
    clock.advance(5.0)
    mapped.put_all_newer([(key, "old", 1) for key in range(10)])
    clock.advance(5.0)

    late = [entry.key for entry in processor.items if entry.value == "old"]

    assert late == [0, 1, 2, 3, 4, 5]  # the last 3 are known for sure, here 4


def test_with_no_memory_a_version_is_compared_with_what_is_held_only(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    mapped = buffers.map(remember_versions=0)
    mapped.put_newer("a", "new", 9)
    clock.advance(5.0)
    mapped.put_newer("a", "old", 1)
    clock.advance(5.0)

    assert [entry.value for entry in processor.items] == ["new", "old"]


def test_get_sees_what_waits_and_what_is_in_flight_until_it_is_delivered(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    mapped = buffers.map(flush_at=2, partitions=1)
    assert mapped.get("a") is None
    assert mapped.get("a", "default") == "default"
    mapped.put("a", None)
    assert mapped.get("a", "default") is None

    processor.block()
    mapped.put("b", 2)
    processor.wait_for_call()
    assert mapped.get("b") == 2
    mapped.put("b", 3)
    assert mapped.get("b") == 3

    processor.unblock()
    mapped.flush()
    assert mapped.get("b", "delivered") == "delivered"


@pytest.mark.parametrize("size", [2, "table"])
@pytest.mark.parametrize("first", ["put_newer", "delete"])
def test_the_first_operation_that_is_no_put_finds_plain_values_everywhere(
    first: str, size: Any, buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    mapped = buffers.map(processing_batch_size=size)
    processor.block()
    processor.fail(OSError())
    mapped.put_all({"a": 1, "b": None, "c": 3, "d": 4})
    clock.jump(5.0)
    processor.wait_for_call()
    mapped.put("a", 2)
    mapped.put("e", None)
    assert (mapped.get("a"), mapped.get("b", "?"), mapped.get("e", "?")) == (2, None, None)

    if first == "delete":
        mapped.delete("d")
    else:
        mapped.put_newer("d", 5, 1)
    assert (mapped.get("a"), mapped.get("b", "?"), mapped.get("e", "?")) == (2, None, None)
    assert mapped.get("d") == (None if first == "delete" else 5)
    processor.unblock()
    clock.advance(5.0)

    expected = {"a": 2, "b": None, "c": 3, "d": 5, "e": None}
    if first == "delete":
        del expected["d"]
    assert values(processor) == expected
    assert {type(entry) for entry in processor.items} == {Entry}


def test_delete_removes_what_waits(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    mapped = buffers.map()
    mapped.put("a", 1)
    mapped.put_newer("b", 1, 5)
    mapped.put("c", 1)
    mapped.delete("a")
    mapped.delete("b")
    mapped.delete("unknown")
    assert mapped.get("a") is None
    mapped.put_newer("b", 2, 1)

    clock.advance(5.0)

    assert values(processor) == {"c": 1, "b": 2}
    assert mapped.stats().deleted == 2


def test_delete_removes_what_is_in_flight_but_not_with_the_processor_yet(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    mapped = buffers.map(processing_batch_size=1, flush_at=3)
    processor.block()
    mapped.put_all([("a", 1), ("b", 2), ("c", 3)])
    processor.wait_for_call()

    mapped.delete("a")
    mapped.delete("b")
    assert (mapped.get("a"), mapped.get("b"), mapped.get("c")) == (None, None, 3)
    processor.unblock()
    mapped.flush()

    assert values(processor) == {"a": 1, "c": 3}  # "a" was beyond recall
    assert (mapped.stats().delivered, mapped.stats().deleted) == (2, 1)
    assert mapped.stats().restarts == 0


@pytest.mark.parametrize("size", [1, "table"])
def test_what_is_deleted_while_its_batch_fails_is_not_tried_again(
    size: Any, buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    mapped = buffers.map(processing_batch_size=size)
    processor.fail(OSError())
    processor.block()
    mapped.put_newer("a", 1, 9)
    clock.jump(5.0)
    processor.wait_for_call()
    mapped.delete("a")
    mapped.put_newer("a", "anew", 1)
    assert mapped.get("a") == "anew"
    processor.unblock()

    clock.advance(5.0)

    assert processor.items == [Entry("a", "anew", 1, 0)]
    assert mapped.stats().deleted == 1


def test_a_delete_lets_any_version_be_new(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    mapped = buffers.map()
    mapped.put_newer("a", "first life", 100)
    clock.advance(5.0)
    mapped.delete("a")
    mapped.put_newer("a", "second life", 1)

    clock.advance(5.0)

    assert [entry.value for entry in processor.items] == ["first life", "second life"]


def test_a_key_deleted_while_it_is_being_delivered_can_begin_anew(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    mapped = buffers.map(flush_at=1)
    processor.block()
    mapped.put_newer("a", "first life", 9)
    processor.wait_for_call()
    mapped.delete("a")
    assert mapped.get("a") is None
    processor.unblock()
    mapped.flush()
    mapped.put_newer("a", "second life", 1)
    mapped.flush()

    assert [entry.value for entry in processor.items] == ["first life", "second life"]
    assert (mapped.stats().delivered, mapped.stats().deleted) == (2, 0)


def test_a_retry_carries_the_newest(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    mapped = buffers.map()
    mapped.put_newer("a", 1, 1)
    mapped.put_newer("a", 2, 2)
    mapped.put("b", 1)
    mapped.put_newer("c", 1, 1)
    processor.fail(OSError())
    clock.advance(5.0)
    mapped.put_newer("a", "stale", 1)
    mapped.put_newer("a", 3, 3)
    mapped.put("c", 2)
    mapped.put("d", 1)

    clock.advance(5.0)

    assert processor.items == [
        Entry("a", 3, 3, 2),
        Entry("b", 1, 0, 0),
        Entry("c", 2, 0, 0),
        Entry("d", 1, 0, 0),
    ]
    assert mapped.stats().coalesced == 4


def test_in_table_mode_the_processor_gets_one_dict_of_its_own(
    buffers: Buffers, clock: FakeClock
) -> None:
    kept: list[dict[Any, Any]] = []
    mapped = buffers.map(processor=kept.append, processing_batch_size="table")
    mapped.put("a", 1)
    mapped.put_newer("b", 2, 5)
    clock.advance(5.0)
    kept[0]["mine"] = True
    mapped.put("c", 3)
    clock.advance(5.0)

    assert kept == [
        {"a": Entry("a", 1, 0, 0), "b": Entry("b", 2, 5, 0), "mine": True},
        {"c": Entry("c", 3, 0, 0)},
    ]
    assert mapped.stats().delivered == 3


def test_the_default_routes_by_key_and_batches_keep_order(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    mapped = buffers.map(partitions=4, processing_batch_size=3)
    for number in range(100):
        mapped.put(number, number)

    parts = mapped.stats().partitions
    clock.advance(5.0)

    assert all(part.held > 10 for part in parts)
    for batch in processor.batches:
        assert [entry.key for entry in batch] == sorted(entry.key for entry in batch)
    assert values(processor) == {number: number for number in range(100)}


def test_a_key_under_two_partition_keys_is_two_entries(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    mapped = buffers.map(partitions=8)
    homes = range(8)
    for home in homes:
        mapped.put("a", home, partition_key=home)
    apart: set[Any] = {mapped.get("a", partition_key=home) for home in homes}
    mapped.delete("a", partition_key=7)
    assert mapped.get("a", partition_key=7) is None

    clock.advance(5.0)

    assert len(apart) > 1
    assert sorted(entry.value for entry in processor.items) == sorted(apart - {7})


def test_a_partition_key_function_gets_the_key(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    mapped = buffers.map(partitions=8, partition_key=lambda key: key[0])
    mapped.put_all({("a", n): n for n in range(5)})
    mapped.put_newer(("a", 5), 5, 1)
    mapped.delete(("a", 0))

    assert mapped.get(("a", 5)) == 5
    clock.advance(5.0)
    assert len(processor.batches) == 1


UNHASHABLE: list[Callable[[Any], None]] = [
    lambda mapped: mapped.put([], 1),
    lambda mapped: mapped.put_newer([], 1, 1),
    lambda mapped: mapped.put_all([("a", 1), ([], 1)]),
    lambda mapped: mapped.put_all_newer([("a", 1, 1), ([], 1, 1)]),
    lambda mapped: mapped.delete([]),
    lambda mapped: mapped.get([]),
    lambda mapped: mapped.put([], 1, partition_key="p"),
]


@pytest.mark.parametrize("write", UNHASHABLE)
def test_an_unhashable_key_raises_and_changes_nothing(
    write: Callable[[Any], None], buffers: Buffers
) -> None:
    mapped = buffers.map(partitions=2)

    with pytest.raises(TypeError, match="unhashable"):
        write(mapped)

    assert mapped.stats().accepted == 0


@pytest.mark.parametrize("version", ["1", 1.0, None, True])
def test_a_version_is_an_int(version: Any, buffers: Buffers) -> None:
    mapped = buffers.map(partitions=4)

    with pytest.raises(TypeError, match=r"version=.*: expected an int"):
        mapped.put_newer("a", 1, version)
    with pytest.raises(TypeError, match=r"version=.*: expected an int"):
        mapped.put_all_newer([(n, 1, 1) for n in range(100)] + [("a", 1, version)])

    assert mapped.stats().accepted == 0


@pytest.mark.parametrize("bad", [("a",), ("a", 1, 1, 1), 7])
def test_a_bad_triple_writes_none_of_the_good_ones(bad: Any, buffers: Buffers) -> None:
    mapped = buffers.map(partitions=4)
    good = [(n, 1, 1) for n in range(100)]

    with pytest.raises(TypeError, match=r"expected \(key, value, version\)"):
        mapped.put_all_newer([*good, bad])
    with pytest.raises(TypeError, match=r"expected \(key, value\)"):
        mapped.put_all([bad])

    assert mapped.stats().accepted == 0


@pytest.mark.threads  # one by one through a portal takes long
def test_writes_of_one_key_take_no_more_room_than_one_entry(buffers: Buffers) -> None:
    mapped = buffers.map()
    for number in range(100_000):
        mapped.put("hot", number)
        mapped.put_newer("hotter", number, number)

    table: Any = mapped._tables[0]

    assert len(table.log) < 1000
    assert mapped.size() == 2
    assert mapped.stats().coalesced == 200_000 - 2


def test_flush_at_counts_keys_not_writes(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    mapped = buffers.map(flush_at=3)
    for _ in range(10):
        mapped.put("a", 1)
        mapped.put("b", 1)
    clock.settle()
    assert processor.items == []

    mapped.put("c", 1)
    clock.settle()
    assert values(processor) == {"a": 1, "b": 1, "c": 1}


class Quarrelsome:
    """A key that cannot be compared with its equals."""

    def __hash__(self) -> int:
        return 1

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("not comparable")


@pytest.mark.parametrize("versioned", [True, False])
def test_a_key_that_cannot_be_compared_is_dropped_alone_and_counted(
    versioned: bool, buffers: Buffers, clock: FakeClock, processor: RecordingProcessor, hook: Any
) -> None:
    mapped = buffers.map(hooks=[hook])
    if versioned:
        mapped.put_newer("v", 1, 1)
    mapped.put("a", 1)
    mapped.put(1, "first of this hash")
    mapped.put(Quarrelsome(), 1)
    mapped.put("b", 1)

    clock.advance(5.0)

    assert {entry.key for entry in processor.items} >= {"a", 1, "b"}
    assert mapped.stats().dropped == 1
    (dropped,) = [event for event in hook.events if type(event).__name__ == "ItemsDropped"]
    assert dropped.count == 1
    assert dropped.reason == "key cannot be compared"
    assert "not comparable" in str(dropped.error)
    assert mapped.stats().drop_reasons == {"key cannot be compared": 1}


def test_a_key_that_cannot_be_compared_with_what_failed_is_dropped_alone(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    mapped = buffers.map()
    mapped.put(1, "first of this hash")
    processor.fail_always(OSError())
    assert len(mapped.stop().left) == 1
    processor.recover()
    mapped.start()
    mapped.put(Quarrelsome(), 1)
    mapped.put("a", 1)

    clock.advance(5.0)

    assert values(processor) == {1: "first of this hash", "a": 1}
    assert mapped.stats().dropped == 1


def test_a_writer_pauses_when_it_is_far_ahead_of_the_one_who_folds(
    buffers: Buffers, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapped = buffers.map()
    table: Any = mapped._tables[0]
    pauses: list[float] = []
    monkeypatch.setattr("partitioned_buffer._core.tables.map_log.time.sleep", pauses.append)
    table._busy = True  # somebody folds, and takes long
    for number in range(BACKLOG):
        mapped.put(number, number)
    assert pauses == []

    mapped.put("one", "more")
    assert pauses == [PAUSE]
    table._busy = False
    mapped.put("and", "another")

    assert len(table.log) == 0
    assert mapped.size() == BACKLOG + 2


def test_a_late_write_is_not_folded_and_can_be_taken_back() -> None:
    table: MapTable[str, int] = MapTable()
    table.open(lambda: None, None, 0.0)
    table.log.append(("a", 1))
    table.close()
    table.swap(0.0, seal=True)
    late = ("b", 2)
    table.log.append(late)

    assert table.get("b", None) is None
    assert table.counts(0.0)["accepted"] == 1
    assert [entry.key for entry in table.held()] == ["a"]
    assert not table.attend((late,))
    assert table.log == []


def test_a_reader_without_the_lock_is_not_confused_by_the_first_version() -> None:
    """The table turns from plain values to tuples between the steps of a read."""
    table: MapTable[str, int] = MapTable()
    table.open(lambda: None, None, 0.0)
    table.log.append(("a", 1))
    assert table.get("a", None) == 1

    class Interrupted(list[Any]):
        armed = True

        def __len__(self) -> int:
            if self.armed:
                self.armed = False
                table.mixed = True
                table.log.append(("b", 2, 1, NEWER))
                assert table.get("b", None) == 2
            return super().__len__()

    table.log = Interrupted()

    assert table.get("a", None) == 1


class Table(MapTable[int, int]):
    """A table whose bell is heard, and whose writers find it busy in the middle of something."""

    def __init__(self, flush_at: int) -> None:
        super().__init__(merge=self._meanwhile)
        self.rung = 0
        self.late = list[tuple[int, int]]()
        self.open(self._ring, flush_at, 0.0)

    def _ring(self) -> None:
        self.rung += 1

    def _meanwhile(self, old: int, new: int) -> int:
        while self.late:
            self.write([self.late.pop()])
        return old + new


def test_writes_during_a_fold_are_not_slept_over() -> None:
    table = Table(flush_at=2)
    table.write([(0, 0)])
    table.late = [(1, 1), (2, 2), (3, 3)]
    table.write([(0, 1)])
    assert table.late == []

    assert table.rung == 1


def test_writes_during_a_swap_are_not_slept_over() -> None:
    table = Table(flush_at=3)
    table.write([(0, 0)])
    table.swap(0.0)
    assert table.take(1)
    table.keep(None)
    table.write([(0, 1), (4, 4), (5, 5)])
    assert table.rung == 1
    table.late = [(1, 1), (2, 2), (3, 3)]
    table.swap(0.0)  # puts what is newer over what failed
    assert table.late == []

    assert table.rung == 2


def test_writes_while_a_batch_is_settled_are_not_slept_over() -> None:
    table = Table(flush_at=3)
    table.write([(0, 0)])
    table.swap(0.0)
    assert table.take(1)
    table._busy = True
    table.write([(1, 1), (2, 2), (3, 3)])
    assert table.rung == 0
    table.acknowledge()

    assert table.rung == 1


# --- versions, retries and dead letters, to the letter ---------------------------------


def test_a_plain_put_has_version_0_and_no_updates_wherever_the_first_version_finds_it(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    mapped = buffers.map()
    processor.fail(OSError())
    mapped.put_all({"in flight": 1, "newer": 1})
    clock.advance(5.0)
    mapped.put_all({"waiting": 1, "updated": 1})
    mapped.put_newer("newer", 2, 1)
    mapped.put_newer("updated", 2, 1)

    clock.advance(5.0)

    assert processor.items == [
        Entry("in flight", 1, 0, 0),
        Entry("newer", 2, 1, 1),
        Entry("waiting", 1, 0, 0),
        Entry("updated", 2, 1, 1),
    ]
    assert (mapped.stats().delivered, mapped.stats().coalesced) == (4, 2)


def test_any_version_is_new_after_a_plain_put_that_the_first_version_found_in_flight(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    mapped = buffers.map()
    processor.block()
    mapped.put("a", "plain")
    clock.jump(5.0)
    processor.wait_for_call()
    mapped.put_newer("b", "versioned", 1)
    assert mapped.get("b") == "versioned"
    processor.unblock()
    clock.settle()
    mapped.put_newer("a", "below 0", -1)

    clock.advance(5.0)

    assert values(processor) == {"a": "below 0", "b": "versioned"}
    assert mapped.stats().delivered == mapped.stats().accepted == 3


def test_the_version_in_flight_is_not_new(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    mapped = buffers.map()
    processor.block()
    mapped.put_newer("a", "first", 7)
    clock.jump(5.0)
    processor.wait_for_call()
    mapped.put_newer("a", "same version", 7)
    assert mapped.get("a") == "first"
    processor.unblock()

    clock.advance(5.0)

    assert processor.items == [Entry("a", "first", 7, 0)]
    assert (mapped.stats().accepted, mapped.stats().coalesced) == (2, 1)


def test_a_delete_forgets_a_version_that_was_delivered_long_ago(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    mapped = buffers.map(remember_versions=1)
    mapped.put_newer("a", "first life", 9)
    clock.advance(5.0)
    mapped.put_newer("b", "since then", 9)
    clock.advance(5.0)
    mapped.put_newer("a", "still remembered", 1)
    clock.advance(5.0)
    mapped.delete("a")
    mapped.put_newer("a", "second life", 1)

    clock.advance(5.0)

    assert [entry.value for entry in processor.items] == ["first life", "since then", "second life"]
    assert (mapped.stats().delivered, mapped.stats().coalesced) == (3, 1)


def test_a_retry_of_plain_values_carries_the_newest(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    mapped = buffers.map()
    processor.fail(OSError())
    mapped.put_all({"a": 1, "b": 1})
    clock.advance(5.0)
    mapped.put_all({"a": 2, "c": 1})

    clock.advance(5.0)

    assert processor.items == [Entry("a", 2, 0, 0), Entry("b", 1, 0, 0), Entry("c", 1, 0, 0)]
    stats = mapped.stats()
    assert (stats.delivered, stats.coalesced, stats.dropped) == (3, 1, 0)


def test_a_version_put_over_what_failed_is_one_update(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    mapped = buffers.map()
    processor.fail(OSError())
    mapped.put_newer("a", 1, 1)
    clock.advance(5.0)
    mapped.put_newer("a", 2, 2)

    clock.advance(5.0)

    assert processor.items == [Entry("a", 2, 2, 1)]
    assert mapped.stats().coalesced == 1


@pytest.mark.parametrize("versioned", [True, False])
def test_what_a_stop_left_and_what_is_new_since_are_delivered_together(
    versioned: bool, buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    def put(key: str, value: int, version: int) -> None:
        if versioned:
            mapped.put_newer(key, value, version)
        else:
            mapped.put(key, value)

    mapped = buffers.map()
    put("a", 1, 1)
    put("b", 1, 1)
    processor.fail_always(OSError())
    assert len(mapped.stop().left) == 2
    processor.recover()
    mapped.start()
    put("c", 1, 1)
    put("a", 2, 2)

    clock.advance(5.0)

    assert processor.batches == [
        [
            Entry("a", 2, 2 * versioned, 1 * versioned),
            Entry("b", 1, 1 * versioned, 0),
            Entry("c", 1, 1 * versioned, 0),
        ]
    ]
    stats = mapped.stats()
    assert (stats.accepted, stats.delivered, stats.coalesced, stats.dropped) == (4, 3, 1, 0)


def test_a_key_that_cannot_be_compared_with_what_failed_is_announced(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor, hook: Any
) -> None:
    mapped = buffers.map(hooks=[hook])
    mapped.put(1, "first of this hash")
    processor.fail_always(OSError())
    assert len(mapped.stop().left) == 1
    processor.recover()
    mapped.start()
    mapped.put(Quarrelsome(), 1)

    clock.advance(5.0)

    (dropped,) = [event for event in hook.events if type(event).__name__ == "ItemsDropped"]
    assert (dropped.count, dropped.reason) == (1, "key cannot be compared")
    assert "not comparable" in str(dropped.error)
    assert mapped.stats().drop_reasons == {"key cannot be compared": 1}


@pytest.mark.parametrize("size", [4, "table"])
def test_a_bad_entry_is_found_by_halving(size: Any, buffers: Buffers, clock: FakeClock) -> None:
    calls: list[list[int]] = []
    dead: list[Any] = []

    def processor(batch: Any) -> None:
        entries = list(batch.values()) if isinstance(batch, dict) else batch
        calls.append([entry.key for entry in entries])
        if 2 in calls[-1]:
            raise ValueError

    mapped = buffers.map(
        processor=processor,
        processing_batch_size=size,
        retry=Retry(attempts=1),
        dead_letter=lambda items, *_: dead.extend(items),
    )
    mapped.put_all({number: number for number in range(4)})

    clock.advance(5.0)

    assert calls == [[0, 1, 2, 3], [0, 1], [2, 3], [2], [3]]
    assert dead == [Entry(2, 2, 0, 0)]
    assert (mapped.stats().delivered, mapped.stats().dead_lettered) == (3, 1)


def test_a_dead_letter_is_what_failed_and_what_is_newer_has_its_own_turn(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    dead: list[Any] = []
    mapped = buffers.map(retry=Retry(attempts=1), dead_letter=lambda items, *_: dead.extend(items))
    processor.block()
    processor.fail(OSError())
    mapped.put("a", "old")
    clock.jump(5.0)
    processor.wait_for_call()
    mapped.put("a", "new")
    processor.unblock()

    clock.advance(5.0)

    assert dead == [Entry("a", "old", 0, 0)]
    assert processor.items == [Entry("a", "new", 0, 0)]
    stats = mapped.stats()
    assert (stats.accepted, stats.dead_lettered, stats.delivered) == (2, 1, 1)


@pytest.mark.parametrize("versioned", [True, False])
def test_a_read_takes_no_lock_when_all_writes_are_folded(
    versioned: bool, buffers: Buffers, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapped = buffers.map()
    mapped.put("a", 1)
    if versioned:
        mapped.put_newer("a", 2, 1)
    assert mapped.size() == 1
    with monkeypatch.context() as patch:
        patch.setattr(mapped._tables[0], "_lock", None)  # whoever takes it raises

        assert mapped.get("a") == 1 + versioned
    assert mapped.stats().accepted == 1 + versioned


def test_a_late_write_that_the_last_swap_took_stands() -> None:
    table: MapTable[str, int] = MapTable()
    table.open(lambda: None, None, 0.0)
    write = ("a", 1)
    table.log.append(write)
    table.close()
    table.swap(0.0, seal=True)

    assert table.attend((write,))
    assert [entry.key for entry in table.held()] == ["a"]


def test_late_writes_are_taken_back_in_any_order() -> None:
    table: MapTable[str, int] = MapTable()
    table.open(lambda: None, None, 0.0)
    table.close()
    table.swap(0.0, seal=True)
    first, second, third = [("a", 1), ("b", 2)], [("a", 3)], [("c", 4)]
    table.log += first + second + third

    assert not table.attend(first)
    assert table.log == second + third
    assert not table.attend(second)
    assert table.log == third
    assert not table.attend(third)
    assert table.log == []


def test_flush_at_wakes_the_worker_once_for_each_cycle() -> None:
    table = Table(flush_at=2)
    for number in range(5):
        table.write([(number, number)])
    assert table.rung == 1

    table.swap(0.0)
    table.write([(5, 5)])
    assert table.rung == 1
    table.write([(6, 6)])
    table.write([(7, 7)])
    assert table.rung == 2
    assert table.counts(0.0)["accepted"] == 8


def write_while_settling(table: MapTable[int, int], first: int, last: int) -> None:
    table._busy = True
    for number in range(first, last):
        table.write([(number, number)])
    table.acknowledge()


def test_writes_while_batches_are_settled_wake_the_worker_once_for_each_cycle() -> None:
    table = Table(flush_at=3)
    write_while_settling(table, 0, 3)
    assert table.rung == 1
    write_while_settling(table, 3, 1000)
    assert table.rung == 1

    table.swap(0.0)
    write_while_settling(table, 1000, 1003)
    assert table.rung == 2
    assert table.counts(0.0)["accepted"] == 1003


def test_nothing_wakes_the_worker_of_a_table_without_flush_at() -> None:
    table: MapTable[int, int] = MapTable()
    wakes: list[None] = []
    table.open(lambda: wakes.append(None), None, 0.0)
    write_while_settling(table, 0, 1000)

    assert wakes == []
    assert table.counts(0.0)["accepted"] == 1000


def test_a_write_in_the_middle_of_a_fold_is_folded_once() -> None:
    table = Table(flush_at=2)
    table.write([(0, 0)])
    table.late = [(0, 10), (1, 1)]
    table.write([(0, 100)])
    assert table.late == []

    assert {entry.key: entry.value for entry in table.held()} == {0: 110, 1: 1}
    counts = table.counts(0.0)
    assert (counts["accepted"], counts["coalesced"], counts["waiting"]) == (4, 2, 2)


@pytest.mark.parametrize("interrupted", [1, 2, 3])
def test_an_interrupt_in_the_middle_of_a_fold_loses_nothing_and_repeats_nothing(
    interrupted: int, buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    merges = itertools.count(1)

    def merge(old: str, new: str) -> str:
        if next(merges) == interrupted:
            raise KeyboardInterrupt
        return old + new

    mapped = buffers.map(merge=merge)
    mapped.put_all([("a", "1"), ("b", "1")])
    assert mapped.size() == 2
    mapped.put_all([("a", "2"), ("b", "2"), ("c", "1"), ("c", "2"), ("d", "1")])
    with pytest.raises(KeyboardInterrupt):
        mapped.size()

    clock.advance(5.0)

    assert values(processor) == {"a": "12", "b": "12", "c": "12", "d": "1"}
    stats = mapped.stats()
    assert (stats.accepted, stats.delivered, stats.coalesced) == (7, 4, 3)


def test_deletes_are_no_writes(buffers: Buffers, clock: FakeClock) -> None:
    mapped = buffers.map()
    mapped.put_all({"a": 1, "b": 1, "c": 1})
    for key in ("a", "b", "unknown"):
        mapped.delete(key)

    clock.advance(5.0)

    stats = mapped.stats()
    assert (stats.accepted, stats.deleted, stats.delivered, stats.coalesced) == (3, 2, 1, 0)


def test_a_delete_of_a_key_that_cannot_be_compared_deletes_nothing(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    mapped = buffers.map()
    mapped.put(1, "of the same hash")
    mapped.delete(Quarrelsome())

    clock.advance(5.0)

    assert values(processor) == {1: "of the same hash"}
    assert (mapped.stats().deleted, mapped.stats().dropped) == (0, 0)


def test_what_a_stop_left_can_be_deleted(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    mapped = buffers.map()
    mapped.put_all({"a": 1, "b": 1})
    processor.fail_always(OSError())
    assert len(mapped.stop().left) == 2
    processor.recover()
    mapped.start()
    mapped.delete("a")
    assert mapped.get("a") is None

    clock.advance(5.0)

    assert values(processor) == {"b": 1}
    assert (mapped.stats().deleted, mapped.stats().delivered) == (1, 1)


def test_what_is_in_line_can_be_deleted_between_two_batches() -> None:
    table = Table(flush_at=9)
    table.write([(0, 0), (1, 1), (2, 2)])
    table.swap(0.0)
    table.take(1)
    table.acknowledge()
    table.write([(1, None, 0, DELETED)])
    assert table.get(1, "gone") == "gone"

    assert table.take(2) == [Entry(2, 2, 0, 0)]
    counts = table.counts(0.0)
    assert (counts["deleted"], counts["delivered"], counts["in_flight"]) == (1, 1, 1)


def test_a_write_before_the_first_start_is_not_folded_and_can_be_taken_back() -> None:
    table: MapTable[str, int] = MapTable()
    early = ("a", 1)
    table.log.append(early)

    assert table.get("a", None) is None
    assert table.counts(0.0)["accepted"] == len(table) == 0
    assert not table.attend((early,))
    assert table.log == []


def test_a_failed_batch_whose_keys_are_all_deleted_holds_up_nobody(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    mapped = buffers.map(processing_batch_size=1)
    processor.fail(OSError())
    mapped.put_all({"deleted": 1, "next in line": 1})
    clock.advance(5.0)
    mapped.delete("deleted")

    clock.advance(5.0)

    assert processor.items == [Entry("next in line", 1, 0, 0)]
    assert (mapped.stats().delivered, mapped.stats().deleted) == (1, 1)
