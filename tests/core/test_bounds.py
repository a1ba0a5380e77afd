"""What a full buffer does, for each policy, kind and measure."""

import operator
import threading
from collections.abc import Callable
from typing import Any

import pytest
from helpers import Buffers, in_thread, key_of, wait_until

from partitioned_buffer import BufferFull, BufferNotRunning, Queue, Retry
from partitioned_buffer._core.tables.bounded_map import BoundedMapTable
from partitioned_buffer._core.tables.bounded_queue import BoundedQueueTable
from partitioned_buffer._core.tables.capacity import Room
from partitioned_buffer._core.waiting.steps import run
from partitioned_buffer.events import ItemsDropped
from partitioned_buffer.testing import FakeClock, RecordingHook, RecordingProcessor

pytestmark = pytest.mark.both_faces


def wait_until_blocked(buffer: Any, count: int = 1) -> None:
    wait_until(lambda: buffer.stats().blocked == count)


# --- raise -------------------------------------------------------------------------


@pytest.mark.parametrize("partitions", [1, 2, 3, 8])
@pytest.mark.parametrize("size", [1, 7, 300, 1000])
def test_the_bound_is_exact_over_all_partitions(
    size: int, partitions: int, buffers: Buffers, clock: FakeClock
) -> None:
    queue = buffers.queue(max_size=size, when_full="raise", partitions=partitions)
    for number in range(size):
        queue.push(number)

    with pytest.raises(BufferFull, match=f"was full \\(max_size={size}\\)"):
        queue.push("one more")

    assert queue.size() == size == queue.stats().accepted
    clock.advance(5.0)
    queue.push_all(range(size))
    with pytest.raises(BufferFull):
        queue.push("one more")


def test_what_is_in_flight_counts(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(max_size=3, when_full="raise", processing_batch_size=2)
    queue.push_all([1, 2, 3])
    processor.block()
    clock.jump(5.0)
    processor.wait_for_call()

    with pytest.raises(BufferFull):
        queue.push(4)

    processor.unblock()
    clock.settle()
    queue.push(4)


def test_what_fails_keeps_its_room_until_it_is_settled(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    retry = Retry(attempts=2, wait_initial=1.0, jitter=0.0)
    queue = buffers.queue(max_size=2, when_full="raise", retry=retry)
    queue.push_all([1, 2])
    processor.fail_always(OSError())
    clock.advance(5.0)
    with pytest.raises(BufferFull):
        queue.push(3)

    clock.advance(1.0)
    assert queue.stats().dead_lettered == 2
    queue.push_all([3, 4])


def test_push_all_goes_in_whole_or_not_at_all(buffers: Buffers) -> None:
    queue = buffers.queue(max_size=5, when_full="raise")
    queue.push_all([1, 2, 3])
    with pytest.raises(BufferFull, match="was full"):
        queue.push_all([4, 5, 6])
    with pytest.raises(BufferFull, match=r"one write of more than buffer .* holds \(max_size=5\)"):
        queue.push_all(range(6))

    assert queue.size() == 3
    queue.push_all([4, 5])


def test_a_refused_write_gives_its_room_back(buffers: Buffers) -> None:
    queue = buffers.queue(max_size=2, when_full="raise")
    queue.stop()
    for _ in range(3):
        with pytest.raises(BufferNotRunning):
            queue.push(1)
        with pytest.raises(BufferNotRunning):
            queue.push_all([1, 2])
    queue.start()

    queue.push_all([1, 2])


def test_a_full_buffer_that_is_stopped_says_that_it_is_stopped(
    buffers: Buffers, processor: RecordingProcessor
) -> None:
    for policy in ("raise", "block", "drop_newest", "drop_oldest"):
        queue = buffers.queue(max_size=1, when_full=policy)
        queue.push(1)
        processor.fail_always(OSError())
        assert queue.stop().left == (1,)
        with pytest.raises(BufferNotRunning):
            queue.push(2)
        processor.recover()


# --- drop --------------------------------------------------------------------------


def test_drop_newest_keeps_the_first(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor, hook: RecordingHook
) -> None:
    queue = buffers.queue(max_size=3, when_full="drop_newest", hooks=[hook])
    queue.push(0)
    queue.push_all(range(1, 5))
    queue.push(5)
    clock.advance(5.0)

    assert processor.items == [0, 1, 2]
    stats = queue.stats()
    assert (stats.accepted, stats.dropped, stats.drop_reasons) == (6, 3, {"full": 3})
    assert [(e.count, e.reason) for e in hook.of(ItemsDropped)] == [(3, "full")], "a burst is one"


@pytest.mark.parametrize("partitions", [1, 3])
def test_drop_oldest_keeps_the_last(
    partitions: int,
    buffers: Buffers,
    clock: FakeClock,
    processor: RecordingProcessor,
    hook: RecordingHook,
) -> None:
    queue = buffers.queue(max_size=6, when_full="drop_oldest", hooks=[hook], partitions=partitions)
    for number in range(20):
        queue.push(number)
    if partitions == 1:
        queue.push_all(range(20, 24))
    else:
        for number in range(20, 24):
            queue.push(number)
    clock.advance(5.0)

    assert sorted(processor.items) == list(range(18, 24))
    assert queue.stats().drop_reasons == {"full": 18}
    assert sum(e.count for e in hook.of(ItemsDropped)) == 18


def test_drop_oldest_of_more_than_fits_keeps_its_last(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(max_size=3, when_full="drop_oldest")
    queue.push_all(range(10))
    clock.advance(5.0)

    assert processor.items == [7, 8, 9]
    assert queue.stats().accepted == 10


def test_drop_oldest_spares_what_the_processor_has(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(max_size=4, when_full="drop_oldest", processing_batch_size=2)
    queue.push_all([1, 2, 3, 4])
    processor.block()
    clock.jump(5.0)
    processor.wait_for_call()
    queue.push_all([5, 6, 7])  # 3 and 4, though in flight, are in line; then 5 is the oldest
    processor.unblock()
    clock.advance(5.0)

    assert processor.items == [1, 2, 6, 7]
    assert queue.stats().dropped == 3


def test_drop_oldest_spares_what_is_tried_again(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(max_size=4, when_full="drop_oldest", processing_batch_size=2)
    queue.push_all([1, 2, 3, 4])
    processor.fail(OSError())
    clock.advance(5.0)
    queue.push_all([5, 6, 7])
    clock.advance(10.0)

    assert processor.items == [1, 2, 6, 7]


def test_drop_oldest_drops_the_newest_when_the_processor_has_all(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(max_size=2, when_full="drop_oldest", processing_batch_size=2)
    queue.push_all([1, 2])
    processor.block()
    clock.jump(5.0)
    processor.wait_for_call()
    queue.push(3)
    processor.unblock()
    clock.advance(5.0)

    assert processor.items == [1, 2]
    assert queue.stats().dropped == 1


def test_dropping_keeps_the_order_of_what_was_left_by_a_stop(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(max_size=4, when_full="drop_oldest")
    queue.push_all([1, 2])
    processor.fail_always(OSError())
    queue.stop()
    processor.recover()
    queue.start()
    queue.push_all([3, 4, 5, 6, 7])
    clock.advance(5.0)

    assert processor.items == [4, 5, 6, 7]


# --- block -------------------------------------------------------------------------


def test_a_blocked_writer_goes_on_when_there_is_room(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(max_size=2, flush_at=2)
    processor.block()
    queue.push_all([1, 2])
    processor.wait_for_call()
    threads = [in_thread(lambda n=n: queue.push(n))[0] for n in (3, 4)]  # type: ignore[misc]
    wait_until_blocked(queue, 2)
    processor.unblock()
    for thread in threads:
        thread.join(30)

    assert not any(thread.is_alive() for thread in threads)
    clock.advance(5.0)
    assert sorted(processor.items) == [1, 2, 3, 4]
    assert queue.stats().blocked == 0


def test_a_blocked_writer_gives_up_after_its_timeout(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(max_size=1, block_timeout=3.0, processing_interval=100.0)
    processor.fail_always(OSError())
    queue.push(1)

    with pytest.raises(BufferFull, match=r"was full for 3.0 s \(max_size=1\): its processor"):
        queue.push(2)

    assert clock.monotonic() == 3.0
    assert queue.size() == 1
    assert queue.stats().blocked == 0


@pytest.mark.parametrize("kind", ["queue", "map"])
def test_who_waits_for_room_has_what_is_held_delivered_before_its_time(
    kind: str, buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    buffer: Any = getattr(buffers, kind)(max_size=2, processing_interval=100.0)
    write = buffer.push if kind == "queue" else lambda number: buffer.put(number, "value")
    for number in (1, 2, 3):
        write(number)

    assert [key_of(item) for item in processor.items] == [1, 2]
    assert clock.monotonic() == 0.0
    clock.advance(99.0)
    assert len(processor.items) == 2, "nobody waits any more"
    clock.advance(1.0)
    assert len(processor.items) == 3


def test_a_block_timeout_of_nothing_is_raise(buffers: Buffers) -> None:
    queue = buffers.queue(max_size=1, block_timeout=0)
    queue.push(1)
    with pytest.raises(BufferFull):
        queue.push(2)


def test_blocked_writers_get_an_error_when_the_buffer_stops(
    buffers: Buffers, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(max_size=2)
    processor.block()
    queue.push_all([1, 2])
    blocked = [in_thread(lambda: queue.push(3)), in_thread(lambda: queue.push_all([4, 5]))]
    wait_until_blocked(queue, 2)
    report = queue.stop(timeout=0)
    for thread, outcome in blocked:
        thread.join(30)
        assert isinstance(outcome[0], BufferNotRunning)

    assert report.left == (1, 2)
    assert queue.stats().accepted == 2


def test_writers_are_let_in_in_the_order_they_came(clock: FakeClock) -> None:
    room = Room(clock, clock.signal, 4, None)
    assert room.admit(4)
    first, first_outcome = in_thread(lambda: run(room.wait(3, 0, None, lambda: None)))
    wait_until(lambda: room.blocked == 1)
    second, second_outcome = in_thread(lambda: run(room.wait(1, 0, None, lambda: None)))
    wait_until(lambda: room.blocked == 2)

    room.give(2)
    assert room.blocked == 2, "not enough for the first, and the second is behind it"
    assert not room.admit(1), "nor is anybody else let in"
    room.give(1)
    first.join(30)
    assert (first_outcome, room.blocked) == ([True], 1)
    room.give(1)
    second.join(30)
    assert (second_outcome, room.blocked) == ([True], 0)
    assert not room.admit(1)


def test_a_writer_that_gives_up_lets_the_next_one_in(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(max_size=3, block_timeout=2.0, processing_interval=100.0)
    processor.fail_always(OSError())
    queue.push(1)
    big, big_outcome = in_thread(lambda: queue.push_all([2, 3, 4]))
    wait_until_blocked(queue)
    clock.jump(1.0)
    small, small_outcome = in_thread(lambda: queue.push(5))
    wait_until_blocked(queue, 2)
    clock.jump(1.0)
    big.join(30)
    small.join(30)

    assert isinstance(big_outcome[0], BufferFull)
    assert small_outcome == [None]
    assert queue.size() == 2


def test_push_all_of_more_than_fits_goes_in_by_parts(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(max_size=4, processing_batch_size=3)
    queue.push_all(range(11))  # this thread's waiting lets the clock run
    clock.advance(5.0)

    assert processor.items == list(range(11))
    assert all(len(batch) <= 3 for batch in processor.batches)


def test_push_all_by_parts_says_how_much_went_in(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(max_size=4, block_timeout=12.0, processing_interval=5.0)
    processor.fail(*[OSError()] * 100)
    with pytest.raises(BufferFull, match=r"4 of 11 items of this call were accepted"):
        queue.push_all(range(11))

    assert queue.stats().accepted == 4


@pytest.mark.threads
def test_a_worker_does_not_wait_for_itself(
    buffers: Buffers, clock: FakeClock, hook: RecordingHook
) -> None:
    errors: list[Exception] = []

    def feedback(batch: list[int]) -> None:
        if len(errors) < 3:
            try:
                queue.push_all([1, 2, 3])
            except BufferFull as error:
                errors.append(error)
                raise

    queue = buffers.queue(max_size=2, processor=feedback)
    queue.push(1)
    clock.advance(60.0)

    assert "would wait for itself" in str(errors[0])
    assert queue.stats().held == 0


# --- Map ---------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["raise", "block", "drop_newest", "drop_oldest"])
def test_overwriting_a_waiting_key_needs_no_room(
    policy: str, buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    mapped = buffers.map(max_size=3, when_full=policy, partitions=2)
    mapped.put_all({"a": 0, "b": 0, "c": 0})
    for number in range(1, 1000):
        mapped.put("a", number)
        mapped.put_newer("b", number, number)
        mapped.put_all([("a", number), ("c", number)])

    assert mapped.size() == 3
    assert mapped.stats().dropped == 0
    clock.advance(5.0)
    assert {e.key: e.value for e in processor.items} == {"a": 999, "b": 999, "c": 999}


def test_a_stale_version_and_a_delete_need_no_room(buffers: Buffers, clock: FakeClock) -> None:
    mapped = buffers.map(max_size=1, when_full="raise")
    mapped.put_newer("a", 1, 5)
    clock.advance(5.0)
    mapped.put("b", 1)
    mapped.put_newer("a", 0, 4)  # older than what was delivered
    mapped.delete("unknown")
    with pytest.raises(BufferFull):
        mapped.put("c", 1)
    mapped.delete("b")
    mapped.put("c", 1)


def test_put_all_counts_only_new_keys(buffers: Buffers) -> None:
    mapped = buffers.map(max_size=3, when_full="raise", partitions=2)
    mapped.put_all({"a": 1, "b": 1})
    with pytest.raises(BufferFull):
        mapped.put_all({"a": 2, "c": 1, "d": 1})
    assert mapped.get("a") == 1
    assert mapped.get("c") is None

    mapped.put_all([("a", 2), ("c", 1), ("b", 2), ("c", 2)])
    assert [mapped.get(key) for key in "abc"] == [2, 2, 2]


def test_a_map_drops_the_oldest_key(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    mapped = buffers.map(max_size=3, when_full="drop_oldest")
    for key in "abcde":
        mapped.put(key, key)
    mapped.put("c", "C")
    mapped.put("f", "f")
    clock.advance(5.0)

    assert [e.key for e in processor.items] == ["d", "e", "f"]
    assert mapped.stats().dropped == 3


def test_a_map_drops_by_parts(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    first = buffers.map(max_size=2, when_full="drop_newest")
    first.put_all({"a": 1, "b": 1, "c": 1, "d": 1})
    assert [first.get(key) for key in "abcd"] == [1, 1, None, None]
    assert first.stats().accepted == 4
    last = buffers.map(max_size=2, when_full="drop_oldest")
    last.put_all({"a": 1, "b": 1, "c": 1, "d": 1})
    assert [last.get(key) for key in "abcd"] == [None, None, 1, 1]


def test_merged_writes_need_no_room(buffers: Buffers, clock: FakeClock) -> None:
    counts = buffers.map(max_size=1, when_full="raise", merge=operator.add)
    for _ in range(1000):
        counts.put("hits", 1)
    assert counts.get("hits") == 1000


# --- bytes -------------------------------------------------------------------------


def test_bytes_are_bounded(buffers: Buffers, clock: FakeClock, processor: Any) -> None:
    queue = buffers.queue(max_bytes=10, when_full="raise")
    queue.push(b"1234")
    queue.push("ä2")  # 3 bytes in UTF-8
    queue.push_all([bytearray(b"1"), memoryview(b"12")])
    with pytest.raises(BufferFull, match="max_bytes=10"):
        queue.push(b"1")
    with pytest.raises(BufferFull, match="one write of more than"):
        queue.push(b"12345678901")
    clock.advance(5.0)

    assert processor.items == [b"1234", "ä2", b"1", b"12"], "as they were pushed"
    queue.push(b"1234567890")


def test_bytes_of_items_and_both_bounds(buffers: Buffers) -> None:
    queue = buffers.queue(
        max_bytes=100, max_size=3, when_full="raise", size_of=lambda item: item["size"]
    )
    queue.push({"size": 90})
    with pytest.raises(BufferFull):
        queue.push({"size": 20})
    queue.push_all([{"size": 5}, {"size": 5}])
    with pytest.raises(BufferFull, match="max_size=3, max_bytes=100"):
        queue.push({"size": 0})


def test_bytes_of_a_map_are_those_of_its_values(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    mapped = buffers.map(max_bytes=10, when_full="raise", merge=operator.add)
    mapped.put("a", b"12345")
    mapped.put("a", b"678")
    assert mapped.get("a") == b"12345678"
    with pytest.raises(BufferFull):
        mapped.put("b", b"123")
    with pytest.raises(BufferFull):
        mapped.put_all({"b": b"1", "c": b"12"})
    mapped.put_newer("b", b"12", 1)
    mapped.delete("a")
    mapped.put("c", b"12345678")
    clock.advance(5.0)

    assert {e.key: e.value for e in processor.items} == {"b": b"12", "c": b"12345678"}


def test_a_map_of_bytes_overwritten_by_less_or_more(buffers: Buffers, clock: FakeClock) -> None:
    mapped = buffers.map(max_bytes=10, when_full="raise")
    mapped.put("a", b"1" * 10)
    mapped.put("a", b"1" * 4)
    mapped.put("b", b"1" * 5)
    with pytest.raises(BufferFull):
        mapped.put("b", b"1" * 7)
    assert mapped.get("b") == b"1" * 5
    mapped.put("b", b"1" * 6)
    room: Any = mapped._room
    mapped.size()
    assert room._left_weight == 0
    clock.advance(5.0)
    assert room._left_weight == 10


def test_a_map_of_bytes_drops_what_is_oldest_until_it_fits(buffers: Buffers) -> None:
    mapped = buffers.map(max_bytes=10, when_full="drop_oldest")
    mapped.put("a", b"1" * 4)
    mapped.put("b", b"1" * 4)
    mapped.put("c", b"1" * 7)
    assert [mapped.get(key) for key in "abc"] == [None, None, b"1" * 7]
    mapped.put("d", b"1" * 11)
    assert mapped.get("d") is None
    assert mapped.stats().drop_reasons == {"full": 3}


@pytest.mark.parametrize("answer", [-1, 1.5, None, "1", True])
def test_a_size_has_to_be_a_number_of_bytes(answer: Any, buffers: Buffers) -> None:
    queue = buffers.queue(max_bytes=10, size_of=lambda _: answer)
    with pytest.raises(TypeError, match="expected a number of bytes from 0"):
        queue.push(1)
    with pytest.raises(TypeError, match="expected a number of bytes from 0"):
        queue.push_all([1])
    assert queue.stats().accepted == 0


def test_a_size_function_that_raises_is_the_writers_affair(buffers: Buffers) -> None:
    mapped = buffers.map(max_bytes=10, size_of=len)
    with pytest.raises(TypeError, match="has no len"):
        mapped.put_all({"a": b"1", "b": 1})
    with pytest.raises(TypeError, match="has no len"):
        mapped.put_newer("b", 1, 1)
    assert mapped.stats().accepted == 0


# --- many writers ------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["block", "drop_newest", "drop_oldest", "raise"])
@pytest.mark.parametrize(
    ("measure", "partitions"), [("max_size", 1), ("max_bytes", 1), ("max_size", 3)]
)
def test_the_bound_holds_under_many_writers(policy: str, measure: str, partitions: int) -> None:
    size, pushes, writers = 500, 4_000, 6
    over: list[int] = []

    def processor(batch: list[bytes]) -> None:
        held = queue.size()
        if held > size and partitions == 1:  # several are not read at one instant
            over.append(held)
        delivered.append(len(batch))

    delivered: list[int] = []
    options: dict[str, Any] = {measure: size, "when_full": policy}
    queue = Queue[bytes](
        "crowd", processor, partitions=partitions, processing_interval=0.001, **options
    ).start()
    refused = [0] * writers

    def write(me: int) -> None:
        for _ in range(pushes):
            try:
                queue.push(b"1")
            except BufferFull:
                refused[me] += 1

    threads = [threading.Thread(target=write, args=(me,)) for me in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert queue.stop().left == ()

    stats, room = queue.stats(), queue._room
    assert stats.balanced
    assert over == []
    assert stats.accepted + sum(refused) == pushes * writers
    assert sum(delivered) == stats.delivered == stats.accepted - stats.dropped
    assert room is not None
    assert room._left + len(room.permits) == room.size
    assert measure == "max_size" or room._left_weight == size


# --- writers in line, and writes of many -------------------------------------------


@pytest.mark.threads
@pytest.mark.parametrize("kind", ["queue", "map"])
def test_a_write_wakes_the_worker_as_long_as_others_are_in_line(
    kind: str, clock: FakeClock
) -> None:
    room, woken = Room(clock, clock.signal, 1, None), list[bool]()
    table: Any = BoundedQueueTable(room)
    if kind == "map":
        table = BoundedMapTable(room, 0, None, None)
    table.open(lambda: woken.append(True), None, 0.0)

    def write(number: int) -> bool:
        woken.clear()
        table.write([number if kind == "queue" else (number, "value")])
        return bool(woken)

    def cycle() -> bool:
        woken.clear()
        table.swap(0.0)
        while table.take(1):
            table.acknowledge()
        return bool(woken)

    assert room.admit(1)
    assert not write(0)
    first, second = (room.wait(1, 0, None, table.press) for _ in range(2))
    assert next(first)
    assert next(second)
    assert len(woken) == 2
    assert not cycle(), "the first has its room"
    assert not cycle(), "and has not written yet"
    assert next(first, "granted") == "granted"
    assert write(1)
    assert not cycle()
    assert next(second, "granted") == "granted"
    assert not write(2), "nobody is in line any more"


@pytest.mark.parametrize("measure", ["max_size", "max_bytes"])
@pytest.mark.parametrize("kind", ["queue", "map"])
def test_blocked_writers_write_in_the_order_they_came(
    kind: str, measure: str, buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    options: dict[str, Any] = {measure: 1, "flush_at": 1}
    options |= {"size_of": lambda _: 1} if measure == "max_bytes" else {}
    buffer: Any = getattr(buffers, kind)(**options)
    write = buffer.push if kind == "queue" else lambda number: buffer.put(number, "value")
    processor.block()
    write(0)
    processor.wait_for_call()
    writers = []
    for number in range(1, 8):
        writers.append(in_thread(lambda number=number: write(number)))  # type: ignore[misc]
        wait_until_blocked(buffer, number)
    processor.unblock()
    for thread, outcome in writers:
        while thread.is_alive():
            clock.jump(5.0)
            thread.join(0.001)
        assert outcome == [None]
    buffer.flush()

    assert [getattr(item, "key", item) for item in processor.items] == list(range(8))
    stats = buffer.stats()
    assert (stats.accepted, stats.delivered, stats.blocked) == (8, 8, 0)


def test_blocked_writers_give_up_one_by_one_and_nothing_of_theirs_is_accepted(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(max_size=2, block_timeout=3.0, processing_interval=100.0)
    processor.fail_always(OSError())
    queue.push_all([1, 2])
    early = in_thread(lambda: queue.push_all([3, 4]))
    wait_until_blocked(queue)
    clock.jump(1.0)
    late = in_thread(lambda: queue.push(5))
    wait_until_blocked(queue, 2)

    clock.jump(2.0)
    early[0].join(60)
    assert isinstance(early[1][0], BufferFull)
    assert (late[0].is_alive(), queue.stats().blocked) == (True, 1)
    clock.jump(1.0)
    late[0].join(60)
    assert isinstance(late[1][0], BufferFull)

    processor.recover()
    queue.flush()
    assert processor.items == [1, 2]
    assert queue.stats().accepted == 2
    queue.push_all([6, 7])
    assert queue.size() == 2, "what they waited for is there for others"


LARGE = list(range(11))
TOO_LARGE = {  # what is delivered of 11 items in one write, where 4 have room
    "block": LARGE,
    "raise": [],
    "drop_newest": LARGE[:4],
    "drop_oldest": LARGE[-4:],
}


@pytest.mark.parametrize("policy", TOO_LARGE)
@pytest.mark.parametrize("measure", ["max_size", "max_bytes"])
@pytest.mark.parametrize("kind", ["queue", "map", "map of versions"])
def test_a_write_of_more_than_the_bound(
    kind: str,
    measure: str,
    policy: str,
    buffers: Buffers,
    clock: FakeClock,
    processor: RecordingProcessor,
) -> None:
    options: dict[str, Any] = {"max_size": 4}
    if measure == "max_bytes":
        options = {"max_bytes": 12, "size_of": lambda _: 3}
    buffer: Any = getattr(buffers, kind.split(maxsplit=1)[0])(when_full=policy, **options)
    writes: dict[str, Callable[[], None]] = {
        "queue": lambda: buffer.push_all(LARGE),
        "map": lambda: buffer.put_all((number, "value") for number in LARGE),
        "map of versions": lambda: buffer.put_all_newer((n, "value", 1) for n in LARGE),
    }
    if policy == "raise":
        with pytest.raises(BufferFull, match="one write of more than"):
            writes[kind]()
    else:
        writes[kind]()  # where it blocks, this thread's waiting lets the clock run
    buffer.flush()

    assert [getattr(item, "key", item) for item in processor.items] == TOO_LARGE[policy]
    stats = buffer.stats()
    assert stats.accepted == (0 if policy == "raise" else 11)
    assert stats.dropped == (7 if policy.startswith("drop") else 0)
    assert buffer._room._left + len(buffer._room.permits) == buffer._room.size
    assert buffer._room._left_weight == buffer._room.weight


def test_a_write_by_parts_is_cut_off_by_a_stop_and_says_how_much_went_in(
    buffers: Buffers, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(max_size=4)
    processor.fail_always(OSError())
    thread, outcome = in_thread(lambda: queue.push_all(range(11)))
    wait_until_blocked(queue)

    assert queue.stop(timeout=1.0).left == (0, 1, 2, 3)
    thread.join(60)
    assert isinstance(outcome[0], BufferNotRunning)
    assert "4 of 11 items of this call were accepted" in str(outcome[0])
    assert queue.stats().accepted == 4


def test_room_that_comes_back_when_it_is_closed_already_is_given_to_nobody() -> None:
    class ClosingSignal:
        def set(self) -> None: ...
        def close(self) -> None: ...
        def wait(self, _timeout: float | None) -> None:
            room.close()  # a stop; before the writer in line has run, a batch is delivered
            room.give(1)

    room = Room(FakeClock(), ClosingSignal, 1, None)
    assert room.admit(1, 0)

    assert not run(room.wait(1, 0, None, lambda: None))
    assert room.admit(1, 0)
