"""Which version of a Map's key is new, and what it is compared with."""

from typing import Any

import pytest
from helpers import Buffers, values

from partitioned_buffer import Entry
from partitioned_buffer.testing import FakeClock, RecordingProcessor

pytestmark = pytest.mark.both_faces


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


@pytest.mark.parametrize("version", ["1", 1.0, None, True])
def test_a_version_is_an_int(version: Any, buffers: Buffers) -> None:
    mapped = buffers.map(partitions=4)

    with pytest.raises(TypeError, match=r"version=.*: expected an int"):
        mapped.put_newer("a", 1, version)
    with pytest.raises(TypeError, match=r"version=.*: expected an int"):
        mapped.put_all_newer([(n, 1, 1) for n in range(100)] + [("a", 1, version)])

    assert mapped.stats().accepted == 0


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
