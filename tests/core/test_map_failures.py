"""What a Map makes of a batch that failed, and of what cannot be compared or merged."""

import operator
from asyncio import CancelledError
from collections.abc import Callable
from typing import Any

import pytest
from helpers import Buffers

from partitioned_buffer import Entry, Map, Retry
from partitioned_buffer.testing import FakeClock, RecordingProcessor

pytestmark = pytest.mark.both_faces


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


def test_what_is_deleted_while_its_batch_fails_is_not_waited_for(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    mapped = buffers.map(retry=Retry(attempts=9, wait_initial=1000.0, wait_max=1000.0))
    processor.fail(OSError())
    processor.block()
    mapped.put("a", 1)
    clock.jump(5.0)
    processor.wait_for_call()
    mapped.delete("a")
    mapped.put("b", 2)
    processor.unblock()

    clock.advance(5.0)

    assert processor.items == [Entry("b", 2, 0, 0)]


@pytest.mark.parametrize("size", [1, "table"])
def test_what_is_deleted_in_a_wait_is_not_tried_again(
    size: Any, buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    mapped = buffers.map(processing_batch_size=size)
    processor.fail(OSError())
    mapped.put("a", 1)
    clock.advance(5.0)
    mapped.delete("a")

    clock.advance(5.0)

    assert len(processor.attempts) == 1
    stats = mapped.stats()
    assert (stats.deleted, stats.held, stats.restarts) == (1, 0, 0)


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


class Quarrelsome:
    """A key that cannot be compared with its equals."""

    def __hash__(self) -> int:
        return 1

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("not comparable")


@pytest.mark.parametrize("versioned", [True, False])
def test_what_a_key_raises_comes_out_of_its_own_write_which_was_not_made(
    versioned: bool, buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    mapped = buffers.map()
    if versioned:
        mapped.put_newer("v", 1, 1)
    mapped.put("a", 1)
    mapped.put(1, "first of this hash")
    for write in (
        lambda key: mapped.put(key, 1),
        lambda key: mapped.put_newer(key, 1, 1),
        lambda key: mapped.put_all([("c", 1), (key, 1)]),
        mapped.get,
        mapped.delete,
    ):
        with pytest.raises(RuntimeError, match="not comparable"):
            write(Quarrelsome())
    mapped.put("b", 1)

    clock.advance(5.0)

    assert {entry.key for entry in processor.items} - {"v"} == {"a", 1, "b"}
    assert (mapped.stats().accepted, mapped.stats().dropped) == (3 + versioned, 0)


def test_a_key_is_delivered_whatever_has_become_of_its_comparison(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    key = Quarrelsome()
    mapped = buffers.map(processing_batch_size=2)
    mapped.put(key, 1)  # there is none of its hash
    processor.fail(OSError())
    clock.advance(5.0)
    mapped.put(key, 2)  # is it itself: nothing has to be compared
    clock.advance(5.0)

    assert processor.items == [Entry(key, 2, 0, 0)]
    assert mapped.stats().coalesced == 1


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
def test_what_a_stop_left_goes_first_as_new_as_it_is_by_then(
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
        [Entry("a", 2, 2 * versioned, 1 * versioned), Entry("b", 1, 1 * versioned, 0)],
        [Entry("c", 1, 1 * versioned, 0)],
    ]
    stats = mapped.stats()
    assert (stats.accepted, stats.delivered, stats.coalesced, stats.dropped) == (4, 3, 1, 0)


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


# --- merge -------------------------------------------------------------------------

Write = Callable[[Map[str, Any], str, Any, int], None]


def by_put(mapped: Map[str, Any], key: str, value: Any, _version: int) -> None:
    mapped.put(key, value)


def by_put_newer(mapped: Map[str, Any], key: str, value: Any, version: int) -> None:
    mapped.put_newer(key, value, version)


@pytest.mark.parametrize("write", [by_put, by_put_newer])
@pytest.mark.parametrize("bound", [{}, {"max_size": 4}, {"max_bytes": 12, "size_of": len}])
def test_merge_unites_old_and_new_where_they_wait_and_where_they_failed(
    bound: dict[str, Any],
    write: Write,
    buffers: Buffers,
    clock: FakeClock,
    processor: RecordingProcessor,
) -> None:
    mapped = buffers.map(merge=operator.add, **bound)
    write(mapped, "a", "1", 1)
    write(mapped, "a", "2", 2)
    write(mapped, "b", "x", 1)
    processor.fail(OSError())
    clock.advance(5.0)
    write(mapped, "a", "3", 3)
    write(mapped, "a", "4", 4)
    assert mapped.get("a") == "34", "get() shows the newest that is held"
    clock.advance(5.0)

    version, updates = (4, 3) if write is by_put_newer else (0, 0)
    attempts = [{entry.key: entry.value for entry in batch} for batch in processor.attempts]
    assert attempts == [{"a": "12", "b": "x"}, {"a": "1234", "b": "x"}]
    assert processor.items[0] == Entry("a", "1234", version, updates)
    stats = mapped.stats()
    assert (stats.accepted, stats.delivered, stats.coalesced) == (5, 2, 3)


@pytest.mark.parametrize("write", [by_put, by_put_newer])
@pytest.mark.parametrize("bound", [{}, {"max_size": 4}, {"max_bytes": 4, "size_of": lambda _: 1}])
def test_what_merge_raises_is_the_writers_and_at_a_retry_keeps_the_two_apart(
    bound: dict[str, Any],
    write: Write,
    buffers: Buffers,
    clock: FakeClock,
    processor: RecordingProcessor,
    caplog: pytest.LogCaptureFixture,
) -> None:
    mapped = buffers.map(merge=operator.add, **bound)
    write(mapped, "a", 1, 1)
    with pytest.raises(TypeError, match="unsupported operand"):
        write(mapped, "a", "no number", 2)
    assert mapped.get("a") == 1
    write(mapped, "a", 2, 3)
    write(mapped, "b", 1, 1)
    processor.fail(OSError())
    clock.advance(5.0)
    write(mapped, "a", "no number", 4)
    write(mapped, "b", 2, 2)
    clock.advance(10.0)

    attempts = [[entry.value for entry in batch] for batch in processor.attempts]
    assert attempts == [[3, 1], [3, 3], ["no number"]]
    stats = mapped.stats()
    assert (stats.accepted, stats.delivered, stats.coalesced, stats.dropped) == (5, 3, 2, 0)
    assert caplog.text.count("merge() failed for 1 values") == 1
    for key in "cdef":  # all the room is there
        write(mapped, key, 1, 1)
    assert mapped.size() == 4


@pytest.mark.parametrize("bound", [{}, {"max_size": 4}, {"max_bytes": 12, "size_of": len}])
def test_many_are_merged_too(
    bound: dict[str, Any], buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    mapped = buffers.map(merge=operator.add, **bound)
    mapped.put("a", "1")
    mapped.put_all([("a", "2"), ("b", "x"), ("a", "3")])
    mapped.put_all_newer([("a", "4", 7), ("b", "y", 1), ("a", "stale", 7)])
    clock.advance(5.0)

    assert processor.items == [Entry("a", "1234", 7, 1), Entry("b", "xy", 1, 1)]
    assert mapped.stats().coalesced == 5


@pytest.mark.parametrize("error", [SystemExit, CancelledError, GeneratorExit])
@pytest.mark.parametrize("bound", [{}, {"max_size": 4}, {"max_bytes": 9, "size_of": len}])
def test_no_error_of_merge_at_a_retry_ends_the_worker(
    bound: dict[str, Any],
    error: type[BaseException],
    buffers: Buffers,
    clock: FakeClock,
    processor: RecordingProcessor,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def merge(old: str, new: str) -> str:
        if new == "bad":
            raise error
        return old + new

    mapped = buffers.map(merge=merge, **bound)
    processor.fail(OSError())
    mapped.put("a", "old")
    clock.advance(5.0)
    mapped.put("a", "bad")
    mapped.put("b", "new")
    clock.advance(10.0)

    assert [entry.value for entry in processor.items] == ["old", "bad", "new"]
    assert (mapped.stats().restarts, mapped.stats().dropped) == (0, 0)
    assert caplog.text.count("merge() failed for 1 values") == 1
