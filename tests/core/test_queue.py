"""What a Queue does with items."""

from typing import Any

import pytest
from helpers import Buffers, in_turn

from partitioned_buffer import BufferNotRunning, Queue, by_content
from partitioned_buffer.testing import FakeClock, RecordingProcessor

pytestmark = pytest.mark.both_faces


def test_items_arrive_in_the_order_pushed_in_batches(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(processing_batch_size=4)
    for number in range(10):
        queue.push(number)

    clock.advance(5.0)

    assert processor.batches == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_a_list_is_one_item_for_push_and_many_for_push_all(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue()
    queue.push([1, 2])
    queue.push_all([3, 4])
    queue.push_all(number for number in (5, 6))
    queue.push_all([])

    clock.advance(5.0)

    assert processor.items == [[1, 2], 3, 4, 5, 6]


@pytest.mark.parametrize(
    "item", [b"bytes", "text", 7, (1, 2), {"a": 1}, [1], {1}, None, object(), bytearray(b"x")]
)
def test_anything_can_be_pushed(
    item: Any, buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(partitions=4)
    queue.push(item)

    clock.advance(5.0)

    assert processor.items == [item]


@in_turn
def test_items_are_spread_over_the_partitions_in_turn(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(partitions=3)
    for number in range(9):
        queue.push(number)

    assert [part.held for part in queue.stats().partitions] == [3, 3, 3]
    clock.advance(5.0)
    assert sorted(processor.batches) == [[0, 3, 6], [1, 4, 7], [2, 5, 8]]


def test_the_items_of_one_push_all_stay_together(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(partitions=3)
    queue.push_all("a1 a2 a3".split())
    queue.push_all("b1 b2 b3".split())

    clock.advance(5.0)

    assert sorted(processor.batches) == [["a1", "a2", "a3"], ["b1", "b2", "b3"]]


@pytest.mark.parametrize("at_construction", [True, False])
def test_a_callable_partition_key_keeps_what_is_related_together(
    at_construction: bool, buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    def key(event: tuple[str, int]) -> str:
        return event[0]

    queue = buffers.queue(
        partitions=4,
        processing_batch_size=100,
        **({"partition_key": key} if at_construction else {}),
    )
    events = [(user, number) for number in range(5) for user in "abcdefgh"]
    for event in events[:20]:
        queue.push(event, partition_key=None if at_construction else key)
    queue.push_all(events[20:], partition_key=None if at_construction else key)

    clock.advance(5.0)

    homes = {}
    for batch in processor.batches:
        for user in {user for user, _ in batch}:
            assert user not in homes, "one user in two partitions"
            homes[user] = [number for name, number in batch if name == user]
    assert homes == {user: [0, 1, 2, 3, 4] for user in "abcdefgh"}
    assert len(processor.batches) > 1


@pytest.mark.parametrize("key", ["logs", b"logs", 7, ("a", 1), ["un", "hashable"], {"a": [1]}])
@pytest.mark.parametrize("at_construction", [True, False])
def test_a_static_partition_key_sends_everything_to_one_partition(
    key: Any,
    at_construction: bool,
    buffers: Buffers,
    clock: FakeClock,
    processor: RecordingProcessor,
) -> None:
    queue = buffers.queue(partitions=4, **({"partition_key": key} if at_construction else {}))
    per_call = None if at_construction else key
    for number in range(5):
        queue.push(number, partition_key=per_call)
    queue.push_all([5, 6], partition_key=per_call)

    clock.advance(5.0)

    assert processor.batches == [[0, 1, 2, 3, 4, 5, 6]]


def test_by_content_sends_equal_items_to_the_same_partition(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(partitions=8, partition_key=by_content)
    for number in range(16):
        queue.push({"n": number, "tags": [number]})
        queue.push({"tags": [number], "n": number})

    clock.advance(5.0)

    for batch in processor.batches:
        assert batch[0::2] == batch[1::2]


def test_a_partition_key_that_raises_raises_at_the_call_and_changes_nothing(
    buffers: Buffers,
) -> None:
    queue = buffers.queue(partitions=2)

    with pytest.raises(KeyError):
        queue.push({"a": 1}, partition_key=lambda item: item["b"])
    with pytest.raises(KeyError):
        queue.push_all([{"b": 1}, {"a": 1}], partition_key=lambda item: item["b"])

    assert queue.stats().accepted == 0


def test_push_all_refuses_one_text(buffers: Buffers) -> None:
    queue = buffers.queue()

    for text in ("text", b"bytes", bytearray(b"x")):
        with pytest.raises(TypeError, match=r"push_all\(\) got one .*: expected an iterable"):
            queue.push_all(text)

    assert queue.stats().accepted == 0


def test_push_all_takes_nothing_from_an_iterable_that_raises(buffers: Buffers) -> None:
    def items() -> Any:
        yield 1
        raise OSError

    queue = buffers.queue()

    with pytest.raises(OSError):
        queue.push_all(items())
    assert queue.stats().accepted == 0


def test_size_counts_what_waits_and_what_is_in_flight(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(flush_at=3, processing_batch_size=2)
    processor.block()
    queue.push_all([1, 2, 3])
    processor.wait_for_call()
    queue.push(4)

    assert queue.size() == len(queue) == 4
    part = queue.stats().partitions[0]
    assert (part.waiting, part.in_flight, part.held) == (1, 3, 4)

    processor.unblock()
    queue.flush()
    assert queue.size() == 0


@pytest.mark.threads
def test_an_empty_buffer_is_true(buffers: Buffers) -> None:
    queue = buffers.queue()

    assert len(queue) == 0
    assert queue


def test_flush_at_starts_a_cycle_before_the_interval_is_over(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(flush_at=3)
    queue.push(1)
    queue.push(2)
    clock.settle()
    assert processor.items == []

    queue.push(3)
    clock.settle()
    assert processor.items == [1, 2, 3]

    queue.push_all([4, 5, 6, 7])
    clock.settle()
    assert processor.items == [1, 2, 3, 4, 5, 6, 7]


def test_in_table_mode_the_processor_gets_one_list_of_its_own(
    buffers: Buffers, clock: FakeClock
) -> None:
    kept: list[list[int]] = []
    queue = buffers.queue(processor=kept.append, processing_batch_size="table")
    queue.push_all(range(25))
    clock.advance(5.0)
    kept[0].append(99)
    queue.push(25)
    clock.advance(5.0)

    assert kept == [[*range(25), 99], [25]]
    assert queue.stats().delivered == 26


def test_a_batch_belongs_to_the_processor_even_when_it_fails(
    buffers: Buffers, clock: FakeClock
) -> None:
    seen: list[list[int]] = []

    def destroy(batch: list[int]) -> None:
        seen.append(batch[:])
        batch.clear()
        if len(seen) == 1:
            raise OSError

    for size in (10, "table"):
        seen.clear()
        queue = buffers.queue(processor=destroy, processing_batch_size=size)
        queue.push_all([1, 2, 3])
        clock.advance(10.0)
        assert seen == [[1, 2, 3], [1, 2, 3]]


def test_the_oldest_age_is_an_upper_bound(buffers: Buffers, clock: FakeClock) -> None:
    queue = buffers.queue(processing_interval=60.0)
    assert queue.stats().oldest_age is None
    clock.advance(10.0)
    queue.push(1)
    clock.advance(10.0)

    age = queue.stats().oldest_age

    assert age is not None
    assert 10.0 <= age <= 60.0


def test_what_failed_grows_older_while_new_items_wait(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue()
    processor.fail(OSError(), OSError())
    clock.advance(5.0)
    queue.push(1)
    clock.advance(5.0)
    assert queue.stats().oldest_age == 5.0
    queue.push(2)
    clock.advance(5.0)
    assert queue.stats().oldest_age == 10.0
    clock.advance(5.0)
    assert queue.stats().oldest_age is None


def test_a_processor_may_push(buffers: Buffers, clock: FakeClock) -> None:
    delivered: list[int] = []

    def countdown(batch: list[int]) -> None:
        delivered.extend(batch)
        for number in batch:
            if number:
                queue.push(number - 1)

    queue = buffers.queue(processor=countdown)
    queue.push(3)

    clock.advance(20.0)

    assert delivered == [3, 2, 1, 0]


def test_a_processor_that_pushes_while_the_buffer_stops_is_refused(
    buffers: Buffers, clock: FakeClock
) -> None:
    refused: list[Exception] = []

    def push_back(batch: list[int]) -> None:
        try:
            queue.push_all(batch)
        except BufferNotRunning as error:
            refused.append(error)

    queue = buffers.queue(processor=push_back)
    queue.push(1)
    report = queue.stop()

    assert len(refused) == 1
    assert "is stopping" in str(refused[0])
    assert report.delivered == 1
    assert report.left == ()


@pytest.mark.threads
def test_the_repr_says_what_it_is(buffers: Buffers) -> None:
    queue = buffers.queue(name="events", partitions=2)

    assert repr(queue) == "<Queue 'events' running, 2 partitions>"
    assert Queue.__module__ == "partitioned_buffer"


def test_what_waits_is_no_older_than_the_last_cycle(buffers: Buffers, clock: FakeClock) -> None:
    queue = buffers.queue()
    for number in range(3):
        queue.push(number)
        clock.advance(5.0)
    queue.push(3)
    clock.advance(2.0)

    assert queue.stats().oldest_age == 2.0
    assert (queue.stats().delivered, queue.stats().waiting) == (3, 1)
