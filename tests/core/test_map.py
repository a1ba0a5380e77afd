"""What a Map does with entries."""

from collections.abc import Callable
from typing import Any

import pytest
from helpers import Buffers, values

from partitioned_buffer import Entry
from partitioned_buffer.testing import FakeClock, RecordingProcessor

pytestmark = pytest.mark.both_faces


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

    assert len(mapped._partitions[0].table.held()) == 2
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


def test_deletes_are_no_writes(buffers: Buffers, clock: FakeClock) -> None:
    mapped = buffers.map()
    mapped.put_all({"a": 1, "b": 1, "c": 1})
    for key in ("a", "b", "unknown"):
        mapped.delete(key)

    clock.advance(5.0)

    stats = mapped.stats()
    assert (stats.accepted, stats.deleted, stats.delivered, stats.coalesced) == (3, 2, 1, 0)


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
