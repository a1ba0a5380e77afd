"""The test doubles we give to users do what they say."""

import asyncio
import threading
from typing import Any

import pytest
from helpers import Buffers, running, wait_until

from partitioned_buffer import AsyncQueue, Queue
from partitioned_buffer._tasks.loops.current import current_loop
from partitioned_buffer.abc import Clock, Hook, Processor
from partitioned_buffer.testing import FakeClock, RecordingHook, RecordingProcessor


def test_they_are_what_the_contracts_ask_for() -> None:
    clock: Clock = FakeClock()
    hook: Hook = RecordingHook()
    processor: Processor[list[int]] = RecordingProcessor()

    assert all((clock, hook, processor))


def test_time_stands_still_until_advanced(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(processing_interval=1.0)
    queue.push(1)
    clock.advance(0.999)
    assert processor.items == []
    clock.advance(0.001)
    assert processor.items == [1]
    assert clock.monotonic() == pytest.approx(1.0)


def test_a_long_advance_runs_every_cycle_on_the_way(buffers: Buffers, clock: FakeClock) -> None:
    began: list[float] = []

    def processor(_: list[int]) -> None:
        began.append(clock.monotonic())
        queue.push(1)

    queue = buffers.queue(processor=processor)
    queue.push(1)

    clock.advance(17.0)

    assert began == [5.0, 10.0, 15.0]


def test_time_does_not_run_backwards(clock: FakeClock) -> None:
    for seconds in (-1.0, float("nan")):
        with pytest.raises(ValueError, match="expected a number from 0"):
            clock.advance(seconds)


def test_settling_a_blocked_worker_says_what_is_wrong(processor: RecordingProcessor) -> None:
    clock = FakeClock(patience=0.01)
    signal = clock.signal()

    with pytest.raises(TimeoutError, match="is its processor blocked"):
        clock.settle()
    signal.close()
    clock.settle()


@pytest.mark.threads
def test_a_stop_that_a_blocked_call_keeps_from_its_end_is_given_up(
    processor: RecordingProcessor,
) -> None:
    clock = FakeClock(patience=0.01)
    queue = Queue[int]("q", processor, partitions=1, flush_at=1, clock=clock).start()
    processor.block()
    queue.push(1)
    processor.wait_for_call()
    try:
        with pytest.raises(TimeoutError, match="Let it go on first"):
            queue.stop()
    finally:
        processor.unblock()
    wait_until(lambda: not queue.running and clock._signals == [])


@running
async def test_a_task_s_flush_that_a_blocked_call_keeps_from_its_end_is_given_up() -> None:
    clock, processor = FakeClock(), RecordingProcessor()
    async with AsyncQueue[int]("q", processor, partitions=1, flush_at=1, clock=clock) as queue:
        processor.block()
        await queue.push(1)
        await asyncio.to_thread(processor.wait_for_call)
        clock._patience = 0.01
        try:
            with pytest.raises(TimeoutError, match="Let it go on first"):
                await queue.flush()
        finally:
            clock._patience = 30.0
            processor.unblock()
        await queue.flush()

    assert processor.items == [1]


def test_what_is_raised_on_a_thread_that_is_about_to_wait_is_not_missed(clock: FakeClock) -> None:
    signal, raised = clock.signal(), list[None]()
    wait = clock._changed.wait

    def late(timeout: float | None = None) -> bool:
        if not raised:  # by a finalizer, say: who waits has looked already
            raised.append(None)
            signal.set()
        return wait(timeout)

    clock._changed.wait = late  # type: ignore[method-assign]
    waiter = threading.Thread(target=signal.wait, args=(None,), daemon=True)
    waiter.start()
    waiter.join(30)

    assert not waiter.is_alive()


def test_a_signal_wakes_its_waiter(clock: FakeClock) -> None:
    signal = clock.signal()
    waiter = threading.Thread(target=signal.wait, args=(None,))
    waiter.start()
    signal.set()
    waiter.join(30)

    assert not waiter.is_alive()


def test_a_task_that_goes_on_never_seems_to_wait(clock: FakeClock) -> None:
    idle: list[bool] = []
    signal: Any = None

    class Watched:  # the condition, as whoever settles sees the waiter at each of its steps
        def __init__(self, inner: Any) -> None:
            self._inner = inner

        def __enter__(self) -> None:
            idle.append(signal.idle)
            self._inner.__enter__()

        def __exit__(self, *_raised: object) -> None:
            self._inner.__exit__(None, None, None)
            idle.append(signal.idle)

        def notify_all(self) -> None:
            self._inner.notify_all()

    async def main() -> None:
        nonlocal signal
        signal = clock.async_signal(current_loop())
        waiter = asyncio.create_task(signal.wait(None))
        await asyncio.sleep(0)
        clock._changed = Watched(clock._changed)  # type: ignore[assignment]
        assert signal.idle
        signal.set()
        idle.clear()
        await waiter

    asyncio.run(main())
    assert idle == [False, False]


def test_the_processor_fails_as_ordered() -> None:
    processor = RecordingProcessor()
    processor.fail(OSError("1"), ValueError("2"))

    with pytest.raises(OSError, match="1"):
        processor([1])
    with pytest.raises(ValueError, match="2"):
        processor([1])
    processor([1])
    processor({"a": 2})

    assert processor.attempts == [[1], [1], [1], {"a": 2}]
    assert processor.batches == [[1], {"a": 2}]
    assert processor.items == [1, 2]


def test_waiting_for_a_call_that_never_comes_raises() -> None:
    with pytest.raises(TimeoutError, match="was not called"):
        RecordingProcessor().wait_for_call(patience=0.01)
