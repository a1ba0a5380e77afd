"""How a buffer starts, is found, flushes and ends."""

import contextlib
import itertools
import threading
from collections.abc import Callable
from typing import Any

import pytest
from helpers import Buffers, wait_until

import partitioned_buffer
from partitioned_buffer import (
    BufferAlreadyRunning,
    BufferNotFound,
    BufferNotRunning,
    Entry,
    Map,
    Queue,
    StopReport,
    WrongThread,
)
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
    with pytest.raises(BufferNotFound, match="is not a Map"):
        partitioned_buffer.get("events", Map)
    with pytest.raises(BufferNotFound, match=r"no buffer 'evnts' is running; running are: \['ev"):
        partitioned_buffer.get("evnts")
    queue.stop()
    with pytest.raises(LookupError, match="running are: none"):
        partitioned_buffer.get("events")


def test_stop_reports_what_it_delivered_and_is_idempotent(buffers: Buffers) -> None:
    queue = buffers.queue(partitions=3)
    queue.push_all(range(10))

    assert queue.stop() == StopReport(delivered=10, dead_lettered=0, left=())
    assert queue.stop() == StopReport(0, 0, ())
    assert Queue("new", print).stop() == StopReport(0, 0, ())


def test_stop_delivers_what_is_written_while_a_cycle_runs(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue()
    processor.block()
    queue.push(1)
    clock.jump(5.0)
    processor.wait_for_call()
    queue.push(2)

    stopper = threading.Thread(target=queue.stop)
    stopper.start()
    processor.unblock()
    stopper.join()

    assert processor.items == [1, 2]


def test_partitions_drain_at_the_same_time(buffers: Buffers) -> None:
    together = threading.Barrier(4)
    queue = buffers.queue(partitions=4, processor=lambda _: together.wait(timeout=30))
    queue.push_all([1])
    queue.push_all([2])
    queue.push_all([3])
    queue.push_all([4])

    assert queue.stop().delivered == 4


def test_stop_leaves_what_fails_and_says_so(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(processing_batch_size=2)
    queue.push_all([1, 2, 3, 4, 5])
    processor.fail_always(OSError("down"))

    report = queue.stop()

    assert report == StopReport(delivered=0, dead_lettered=0, left=(1, 2, 3, 4, 5))
    assert queue.stats().held == 5


def test_a_restarted_buffer_goes_on_with_what_was_left(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue, mapped = buffers.queue(), buffers.map()
    queue.push_all([1, 2])
    mapped.put_newer("a", 1, 5)
    processor.fail_always(OSError())
    assert queue.stop().left == (1, 2)
    assert [entry.key for entry in mapped.stop().left] == ["a"]
    processor.recover()

    queue.start()
    mapped.start()
    queue.push(3)
    mapped.put_newer("a", 2, 4)
    clock.advance(5.0)

    assert sorted(map(str, processor.items)) == [
        "1",
        "2",
        "3",
        "Entry(key='a', value=1, version=5, updates=0)",
    ]


def test_stop_with_a_timeout_leaves_a_blocked_call_behind(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(processing_batch_size=1)
    processor.block()
    queue.push_all([1, 2])
    clock.jump(5.0)
    processor.wait_for_call()
    reports: list[StopReport] = []
    stopper = threading.Thread(target=lambda: reports.append(queue.stop(timeout=3.0)))
    stopper.start()
    while stopper.is_alive():
        clock.jump(1.0)
        stopper.join(0.001)

    assert reports == [StopReport(delivered=0, dead_lettered=0, left=(1, 2))]
    with pytest.raises(BufferAlreadyRunning, match="has not returned"):
        queue.start()
    with pytest.raises(BufferNotRunning):
        queue.push(3)

    processor.unblock()
    wait_until(lambda: queue._workers[0].ended)
    assert processor.items == [1], "what stop() reported as left is not delivered later"
    assert queue.stats().held == 1


def test_stop_without_a_timeout_waits_processing_timeout_for_one_call(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(processing_timeout=7.0)
    processor.block()
    queue.push(1)
    clock.jump(5.0)
    processor.wait_for_call()
    reports: list[StopReport] = []
    stopper = threading.Thread(target=lambda: reports.append(queue.stop()))
    stopper.start()
    waited = 0
    while stopper.is_alive():
        clock.jump(1.0)
        waited += 1
        stopper.join(0.01)

    assert waited >= 7
    assert reports[0].left == (1,)


def test_stop_without_a_timeout_waits_for_many_calls_that_are_in_time(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(processing_batch_size=1, processing_timeout=5.0)
    gates = [threading.Event() for _ in range(3)]
    calls = iter(gates)

    def slow(batch: list[int]) -> None:
        processor(batch)
        next(calls).wait(30)

    queue._workers[0].driver._processor = slow
    queue.push_all([1, 2, 3])
    reports: list[StopReport] = []
    stopper = threading.Thread(target=lambda: reports.append(queue.stop()))
    stopper.start()
    for gate in gates:
        processor.wait_for_call()
        clock.jump(4.0)
        stopper.join(0.05)  # it looks at the clock, and has to go on waiting
        assert stopper.is_alive()
        gate.set()
    stopper.join()

    assert reports[0].delivered == 3


def test_two_stops_at_once_both_return(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(partitions=2)
    queue.push_all([1, 2, 3])
    processor.block()
    stoppers = [threading.Thread(target=queue.stop) for _ in range(3)]
    for stopper in stoppers:
        stopper.start()
    processor.wait_for_call()
    processor.unblock()
    for stopper in stoppers:
        stopper.join()

    assert processor.items == [1, 2, 3]
    assert not queue.running


def test_several_buffers_start_and_stop_together(processor: RecordingProcessor) -> None:
    with contextlib.ExitStack() as stack:
        queues = [stack.enter_context(Queue[int](f"q{n}", processor)) for n in range(3)]
        for queue in queues:
            queue.push(1)

    assert processor.items == [1, 1, 1]
    assert not any(queue.running for queue in queues)


def test_flush_delivers_what_is_held_now(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(partitions=3)
    for number in range(30):
        queue.push(number)

    queue.flush()

    assert sorted(processor.items) == list(range(30))
    queue.flush()
    assert clock.monotonic() == 0.0


def test_flush_raises_timeout_error_and_loses_nothing(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(name="events")
    processor.block()
    queue.push(1)
    errors: list[Exception] = []

    def flush() -> None:
        try:
            queue.flush(timeout=3.0)
        except TimeoutError as error:
            errors.append(error)

    flusher = threading.Thread(target=flush)
    flusher.start()
    processor.wait_for_call()
    while flusher.is_alive():
        clock.jump(1.0)
        flusher.join(0.001)

    assert str(errors[0]).startswith("buffer 'events' was not flushed within 3.0 seconds: 1 items")
    assert queue.size() == 1
    processor.unblock()
    queue.flush()
    assert processor.items == [1]


def test_flush_outlives_a_failed_cycle(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue()
    queue.push(1)
    processor.fail(OSError())
    flusher = threading.Thread(target=queue.flush)
    flusher.start()
    processor.wait_for_call()
    while flusher.is_alive():
        clock.jump(1.0)
        flusher.join(0.001)

    assert processor.attempts == [[1], [1]]
    assert processor.items == [1]


def test_a_flush_that_a_stop_overtakes_without_delivering_raises(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue()
    queue.push(1)
    processor.fail_always(OSError())
    errors: list[Exception] = []

    def flush() -> None:
        try:
            queue.flush()
        except BufferNotRunning as error:
            errors.append(error)

    flusher = threading.Thread(target=flush)
    flusher.start()
    processor.wait_for_call()
    queue.stop()
    flusher.join()

    assert "stopped before it was flushed" in str(errors[0])


@pytest.mark.parametrize("method", ["flush", "stop"])
@pytest.mark.parametrize("timeout", [-1, "5", float("nan")])
def test_a_bad_timeout_raises_and_changes_nothing(
    method: str, timeout: Any, buffers: Buffers
) -> None:
    queue = buffers.queue()

    with pytest.raises(ValueError, match="expected a number of seconds from 0, or None"):
        getattr(queue, method)(timeout=timeout)
    assert queue.running


@pytest.mark.threads
@pytest.mark.parametrize("method", ["flush", "stop"])
def test_a_processor_cannot_wait_for_itself(
    method: str, buffers: Buffers, clock: FakeClock
) -> None:
    errors: list[Exception] = []

    def processor(_: list[int]) -> None:
        try:
            getattr(queue, method)()
        except WrongThread as error:
            errors.append(error)

    queue = buffers.queue(processor=processor)
    queue.push(1)
    clock.advance(5.0)

    assert f"{method}() was called by a worker" in str(errors[0])
    assert queue.running


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
    started[0].join()

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


def test_flush_on_a_dead_sink_raises_in_time_and_everything_is_still_held(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(processing_batch_size=2)
    mapped = buffers.map()
    queue.push_all([1, 2, 3])
    mapped.put("a", 1)
    processor.fail_always(OSError("down"))

    for buffer, held in ((queue, 3), (mapped, 1)):
        began = clock.monotonic()
        with pytest.raises(TimeoutError, match=f"within 12.0 seconds: {held} items are held"):
            buffer.flush(timeout=12.0)
        assert clock.monotonic() == began + 12.0
        assert buffer.stats().held == buffer.stats().accepted == held
        assert buffer.running

    processor.recover()
    queue.flush(timeout=0.5)
    mapped.flush(timeout=0.5)
    assert processor.batches == [[1, 2], [3], [Entry("a", 1, 0, 0)]]
    assert queue.stats().delivered + mapped.stats().delivered == 4


def test_a_flush_that_gave_up_leaves_nothing_behind(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(processing_interval=1000.0)
    queue.push(1)
    processor.fail_always(OSError())
    signals = len(clock._signals)
    for _ in range(5):
        with pytest.raises(TimeoutError):
            queue.flush(timeout=0)
        clock.settle()
    with pytest.raises(TimeoutError):
        queue.flush(timeout=1.0)
    assert len(clock._signals) == signals
    assert queue._workers[0]._flushes == []
    processor.recover()
    clock.advance(5.0)

    queue.push(2)
    clock.advance(5.0)
    assert processor.items == [1], "no flush is left that would hurry it"
    assert queue.stats().accepted == 2


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
    while queue.size():
        clock.advance(8.0)

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
