"""What flush() delivers, how long it waits, and who cannot wait for it."""

import threading
from typing import Any

import pytest
from helpers import Buffers, join, let_time_pass

from partitioned_buffer import BufferNotRunning, Entry, WrongThread
from partitioned_buffer.testing import FakeClock, RecordingProcessor

pytestmark = pytest.mark.both_faces


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
    let_time_pass(clock, until_end_of=flusher)

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
    let_time_pass(clock, until_end_of=flusher)

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
    join(flusher)

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
    assert queue._run.workers[0]._flushes == []
    processor.recover()
    clock.advance(5.0)

    queue.push(2)
    clock.advance(5.0)
    assert processor.items == [1], "no flush is left that would hurry it"
    assert queue.stats().accepted == 2
