"""What a full buffer does, for each policy, kind and measure."""

import operator
import threading
from typing import Any

import pytest
from helpers import Buffers, often_switched, rounds, unwoken

from partitioned_buffer import BufferFull, BufferNotRunning, Queue, Retry
from partitioned_buffer._core.delivery.partition import Partition
from partitioned_buffer.events import ItemsDropped
from partitioned_buffer.testing import FakeClock, RecordingHook, RecordingProcessor

pytestmark = pytest.mark.both_faces


# --- raise -------------------------------------------------------------------------


@pytest.mark.parametrize("partitions", [1, 2, 3, 8])
@pytest.mark.parametrize("size", [1, 7, 300, 1000])
def test_the_bound_is_exact_over_all_partitions(
    size: int, partitions: int, buffers: Buffers, clock: FakeClock
) -> None:
    queue = unwoken(buffers.queue(max_size=size, when_full="raise", partitions=partitions))
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
    queue = unwoken(buffers.queue(max_size=5, when_full="raise"))
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
    queue = unwoken(buffers.queue(max_size=3, when_full="drop_newest", hooks=[hook]))
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
    queue = unwoken(
        buffers.queue(max_size=6, when_full="drop_oldest", hooks=[hook], partitions=partitions)
    )
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
    queue = unwoken(buffers.queue(max_size=3, when_full="drop_oldest"))
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
    unwoken(queue.start())
    queue.push_all([3, 4, 5, 6, 7])
    clock.advance(5.0)

    assert processor.items == [4, 5, 6, 7]


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
    mapped = unwoken(buffers.map(max_size=1, when_full="raise"))
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
    mapped = unwoken(buffers.map(max_size=3, when_full="raise", partitions=2))
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
    mapped = unwoken(buffers.map(max_size=3, when_full="drop_oldest"))
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
    first = unwoken(buffers.map(max_size=2, when_full="drop_newest"))
    first.put_all({"a": 1, "b": 1, "c": 1, "d": 1})
    assert [first.get(key) for key in "abcd"] == [1, 1, None, None]
    assert first.stats().accepted == 4
    last = unwoken(buffers.map(max_size=2, when_full="drop_oldest"))
    last.put_all({"a": 1, "b": 1, "c": 1, "d": 1})
    assert [last.get(key) for key in "abcd"] == [None, None, 1, 1]


def test_merged_writes_need_no_room(buffers: Buffers, clock: FakeClock) -> None:
    counts = buffers.map(max_size=1, when_full="raise", merge=operator.add)
    for _ in range(1000):
        counts.put("hits", 1)
    assert counts.get("hits") == 1000


# --- bytes -------------------------------------------------------------------------


def test_bytes_are_bounded(buffers: Buffers, clock: FakeClock, processor: Any) -> None:
    queue = unwoken(buffers.queue(max_bytes=10, when_full="raise"))
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
    queue = unwoken(
        buffers.queue(
            max_bytes=100, max_size=3, when_full="raise", size_of=lambda item: item["size"]
        )
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
    mapped = unwoken(buffers.map(max_bytes=10, when_full="raise", merge=operator.add))
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
    mapped = unwoken(buffers.map(max_bytes=10, when_full="raise"))
    mapped.put("a", b"1" * 10)
    mapped.put("a", b"1" * 4)
    mapped.put("b", b"1" * 5)
    with pytest.raises(BufferFull):
        mapped.put("b", b"1" * 7)
    assert mapped.get("b") == b"1" * 5
    mapped.put("b", b"1" * 6)
    room: Any = mapped._admission.room
    assert room.used_bytes == 10
    clock.advance(5.0)
    assert room.used_bytes == 0


def test_a_map_of_bytes_drops_what_is_oldest_until_it_fits(buffers: Buffers) -> None:
    mapped = unwoken(buffers.map(max_bytes=10, when_full="drop_oldest"))
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
        if held > size:
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

    stats, room = queue.stats(), queue._admission.room
    assert stats.balanced
    assert over == []
    assert stats.accepted + sum(refused) == pushes * writers
    assert sum(delivered) == stats.delivered == stats.accepted - stats.dropped
    assert room is not None
    assert (room.used, room.used_bytes) == room.recount() == (0, 0)


def test_the_numbers_of_several_partitions_never_show_more_than_the_bound() -> None:
    """They are read one after the other, while writers find room wherever some came back."""
    queue = Queue[int]("numbers", len, partitions=4, max_size=20, processing_interval=0.001).start()
    reads, over = rounds(20_000), list[int]()
    ended = threading.Event()

    def write() -> None:
        while not ended.is_set():
            queue.push(1)

    writers = [threading.Thread(target=write) for _ in range(3)]
    with often_switched():
        try:
            for writer in writers:
                writer.start()
            over += [held for _ in range(reads) if (held := queue.stats().held) > 20]
        finally:
            ended.set()
            for writer in writers:
                writer.join(60)
    assert queue.stop().left == ()
    assert over == []


def test_numbers_that_do_not_go_together_are_read_again(
    buffers: Buffers, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapped = buffers.map(partitions=2, max_size=1)
    first, second = (next(k for k in range(99) if mapped.partition_of(k) == p) for p in (0, 1))
    mapped.put(first, 1)
    counts, changes = Partition.counts, [1]

    def changing(self: Any, now: float) -> dict[str, Any]:
        seen = counts(self, now)
        if self.index == 0 and changes and changes.pop():  # another thread, in between
            mapped.delete(first)
            mapped.put(second, 2)
        return seen

    monkeypatch.setattr(Partition, "counts", changing)
    stats = mapped.stats()

    assert (stats.held, stats.deleted, stats.accepted) == (1, 1, 2)
