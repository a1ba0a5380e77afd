"""How a buffer starts, is found, is retuned and goes on."""

import contextlib
import itertools
import threading
from collections.abc import Callable
from typing import Any

import pytest
from helpers import Buffers, join

import partitioned_buffer
from partitioned_buffer import BufferAlreadyRunning, BufferNotFound, BufferNotRunning, Map, Queue
from partitioned_buffer.testing import FakeClock, RecordingProcessor, assert_balanced

pytestmark = pytest.mark.both_faces


def test_a_with_block_starts_and_stops(processor: RecordingProcessor) -> None:
    with Queue("events", processor) as queue:
        assert queue.running
        queue.push(1)

    assert not queue.running
    assert processor.items == [1]


def test_a_with_block_that_raises_delivers_what_was_pushed(processor: RecordingProcessor) -> None:
    with pytest.raises(OSError), Queue("events", processor) as queue:
        queue.push(1)
        raise OSError

    assert processor.items == [1]


@pytest.mark.parametrize("stopped", [False, True])
def test_writes_before_start_and_after_stop_raise_and_are_not_accepted(
    stopped: bool, processor: RecordingProcessor
) -> None:
    queue, mapped = Queue[Any]("q", processor), Map[Any, Any]("m", processor)
    if stopped:
        queue.start().stop()
        mapped.start().stop()
    writes: list[Callable[[], None]] = [
        lambda: queue.push(1),
        lambda: queue.push(1, partition_key="k"),
        lambda: queue.push_all([1, 2]),
        lambda: queue.push_all([]),
        lambda: queue.push_all([1, 2], partition_key=str),
        lambda: queue.push_all([], partition_key=str),
        lambda: mapped.put(1, 1),
        lambda: mapped.put_all([(1, 1)]),
        lambda: mapped.put_all({}),
        lambda: mapped.put_newer(1, 1, 1),
        lambda: mapped.put_all_newer([(1, 1, 1), (2, 2, 2)]),
        lambda: mapped.delete(1),
        queue.flush,
    ]

    for write in writes:
        with pytest.raises(BufferNotRunning) as caught:
            write()
        why = "has been stopped" if stopped else "has not been started"
        assert why in str(caught.value)
        assert "start()" in str(caught.value)

    assert queue.stats().accepted == mapped.stats().accepted == 0
    assert mapped.get(1) is None
    with queue, mapped:
        pass
    assert processor.attempts == []


def test_starting_twice_raises(buffers: Buffers) -> None:
    queue = buffers.queue(name="events")

    with pytest.raises(BufferAlreadyRunning, match="'events' is running already"):
        queue.start()
    assert queue.running


@pytest.mark.threads
def test_a_name_belongs_to_one_running_buffer(
    buffers: Buffers, processor: RecordingProcessor
) -> None:
    first = buffers.queue(name="events")

    with pytest.raises(BufferAlreadyRunning, match="stop it first, or choose another name"):
        Map("events", processor).start()

    assert partitioned_buffer.get("events") is first
    first.stop()
    with Map[Any, Any]("events", processor) as second:
        assert partitioned_buffer.get("events") is second


@pytest.mark.threads
def test_get_finds_a_running_buffer_by_name_and_kind(buffers: Buffers) -> None:
    queue = buffers.queue(name="events")

    assert partitioned_buffer.get("events") is queue
    assert partitioned_buffer.get("events", Queue) is queue
    with pytest.raises(BufferNotFound, match="is no Map: ask for the kind that it is"):
        partitioned_buffer.get("events", Map)
    with pytest.raises(BufferNotFound, match=r"no buffer 'evnts' is running; running are: \['ev"):
        partitioned_buffer.get("evnts")
    queue.stop()
    with pytest.raises(LookupError, match="running are: none"):
        partitioned_buffer.get("events")


def test_several_buffers_start_and_stop_together(processor: RecordingProcessor) -> None:
    with contextlib.ExitStack() as stack:
        queues = [stack.enter_context(Queue[int](f"q{n}", processor)) for n in range(3)]
        for queue in queues:
            queue.push(1)

    assert processor.items == [1, 1, 1]
    assert not any(queue.running for queue in queues)


def test_a_machine_without_threads_leaves_the_buffer_as_it_was(
    processor: RecordingProcessor, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = Queue[int]("events", processor, partitions=3)
    start = threading.Thread.start
    started: list[threading.Thread] = []

    def only_one(thread: threading.Thread) -> None:
        if started:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", only_one)
    with pytest.raises(RuntimeError, match="can't start"):
        queue.start()
    monkeypatch.undo()
    join(*started)

    with pytest.raises(BufferNotRunning):
        queue.push(1)
    with queue:
        queue.push(2)
    assert processor.items == [2]


def test_update_options_retunes_a_running_buffer(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(processing_batch_size=2)
    queue.push_all([1, 2, 3])
    queue.update_options(processing_interval=1.0)
    clock.advance(1.0)
    assert processor.batches == [[1, 2], [3]], "the batch size stayed as it was"

    queue.update_options(processing_batch_size="table", flush_at=4)
    queue.push_all([4, 5, 6])
    clock.settle()
    assert processor.batches[2:] == []
    queue.push(7)
    clock.settle()
    assert processor.batches[2:] == [[4, 5, 6, 7]]

    queue.update_options(flush_at=None)
    queue.push_all([8, 9, 10, 11, 12])
    clock.settle()
    assert processor.batches[3:] == []


def test_retuning_often_does_not_put_processing_off(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue()
    queue.push(1)
    for _ in range(10):
        clock.advance(0.5)
        queue.update_options(processing_interval=5.0)

    clock.settle()
    assert processor.items == [1]


def test_a_bad_update_changes_nothing(buffers: Buffers) -> None:
    queue = buffers.queue()
    before = queue._settings

    updates: list[dict[str, Any]] = [
        {"processing_interval": 1.0, "processing_batch_size": 0},
        {"processing_interval": 1.0, "partitions": 3},
        {"processing_interval": 1.0, "procesing_timeout": 3},
    ]
    for bad in updates:
        with pytest.raises(ValueError):
            queue.update_options(**bad)

    assert queue._settings == before


def test_a_cycle_longer_than_the_interval_is_followed_at_once(
    buffers: Buffers, clock: FakeClock
) -> None:
    began: list[float] = []

    def slow(_: list[int]) -> None:
        began.append(clock.monotonic())
        clock.jump(1.5)
        if len(began) < 3:
            queue.push(1)

    queue = buffers.queue(processor=slow, processing_interval=1.0)
    queue.push(1)
    clock.advance(6.0)

    assert began == [1.0, 2.5, 4.0]


def test_ledgers_hold_after_everything(buffers: Buffers, clock: FakeClock) -> None:
    queue = buffers.queue(partitions=4)
    queue.push_all(range(100))
    assert_balanced(queue.stats())
    queue.stop()
    assert_balanced(queue.stats())


@pytest.mark.parametrize("jitter", [0.0, 0.25, 1.0])
def test_an_interval_is_shortened_by_chance_by_no_more_than_its_jitter(
    jitter: float, buffers: Buffers, clock: FakeClock
) -> None:
    began: list[float] = [0.0]

    def processor(_: list[int]) -> None:
        began.append(clock.monotonic())
        if len(began) <= 60:
            queue.push(1)

    queue = buffers.queue(processor=processor, processing_interval=8.0, interval_jitter=jitter)
    queue.push(1)
    clock.advance(61 * 8.0)

    assert queue.size() == 0
    intervals = [later - earlier for earlier, later in itertools.pairwise(began)]
    assert len(intervals) == 60 == queue.stats().delivered == queue.stats().accepted
    assert all(8.0 * (1 - jitter) <= interval + 1e-9 <= 8.0 + 1e-9 for interval in intervals)
    assert len(set(intervals)) > 30 if jitter else set(intervals) == {8.0}
    if jitter:
        spread = max(intervals) - min(intervals)
        assert spread > 4.0 * jitter, "all of the range is used"


def test_jitter_can_be_retuned(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(processing_interval=8.0, interval_jitter=1.0)
    queue.update_options(interval_jitter=0.0)
    clock.settle()
    queue.push(1)
    queue.flush()
    queue.push(2)
    clock.advance(7.75)
    assert processor.items == [1]
    clock.advance(0.25)
    assert processor.items == [1, 2]
    assert queue.stats().delivered == queue.stats().accepted == 2


def test_a_lower_flush_at_looks_at_what_waits_already(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue, mapped = buffers.queue(), buffers.map()
    queue.push_all(range(50))
    mapped.put_all({n: n for n in range(50)})
    clock.settle()
    assert processor.items == []

    queue.update_options(flush_at=3)
    mapped.update_options(flush_at=3)
    clock.settle()

    assert len(processor.items) == 100


@pytest.mark.threads
def test_a_start_looks_at_what_was_left(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(flush_at=3)
    processor.fail_always(OSError("down"))
    queue.push_all(range(50))
    queue.stop(0.0)
    processor.recover()

    queue.start()
    clock.settle()

    assert sorted(processor.items) == list(range(50))
