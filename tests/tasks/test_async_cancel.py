"""
Cancellation strands nothing: what was accepted is delivered, or held and said to be.

Each case is one that happens in programs; `test_async_schedules` cancels everywhere.
"""

import asyncio
import threading
from typing import Any

import pytest
from coroutines import FOREVER, Slow, settled, use
from helpers import running, turns, until

from partitioned_buffer import AsyncQueue, Retry, StopReport
from partitioned_buffer.testing import FakeClock

# --- the body ------------------------------------------------------------------------


@running
async def test_a_timeout_around_the_block_delivers_what_is_held() -> None:
    processor = Slow()
    queue = AsyncQueue("q", processor, partitions=2)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(None) as limit:
            await use(queue, then=lambda: limit.reschedule(0.0))

    assert settled(queue)
    assert sorted(processor.items) == list(range(25))
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


@running
async def test_a_task_group_that_fails_delivers_what_is_held() -> None:
    processor = Slow()
    queue = AsyncQueue("q", processor, partitions=2, flush_at=3)

    async def fails() -> None:
        await turns()
        raise LookupError

    with pytest.raises(ExceptionGroup) as caught:
        async with asyncio.TaskGroup() as group:
            group.create_task(use(queue))
            group.create_task(fails())

    assert [type(error) for error in caught.value.exceptions] == [LookupError]
    assert settled(queue)
    assert sorted(processor.items) == list(range(25))


@running
async def test_a_cancelled_body_waits_for_exit_timeout_seconds_at_most(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def down(_: list[int]) -> None:
        raise OSError

    clock = FakeClock()
    queue = AsyncQueue("q", down, partitions=1, retry=FOREVER, exit_timeout=12.0, clock=clock)
    task = asyncio.create_task(use(queue, 3))
    await turns()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert settled(queue)
    assert clock.monotonic() == 12.0
    assert queue.stats().held == 3
    assert "buffer 'q' ended: 3 undelivered stay in memory" in caplog.text


@running
async def test_a_second_cancellation_ends_the_waiting_at_once() -> None:
    processor = Slow()
    processor.gate.clear()
    queue = AsyncQueue("q", processor, partitions=1)
    task = asyncio.create_task(use(queue, 3))
    await turns()
    task.cancel()
    await until(lambda: processor.entered == 1)
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert settled(queue)
    assert processor.cancelled == 1
    assert queue.stats().held == 3
    processor.gate.set()
    async with queue:
        pass
    assert processor.items == [0, 1, 2], "entering again goes on with it"


# --- what is awaited -------------------------------------------------------------------


@running
async def test_a_push_whose_wait_is_cancelled_has_written_nothing_and_keeps_no_room() -> None:
    processor = Slow()
    processor.gate.clear()
    async with AsyncQueue("q", processor, partitions=1, max_size=3) as queue:
        await queue.push_all([1, 2, 3])
        first, second = (asyncio.create_task(queue.push(number)) for number in (4, 5))
        await turns()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert queue.stats().blocked == 1
        processor.gate.set()
        await second
        queue.push_all_nowait([6, 7])
        assert queue.stats().held == 3

    assert processor.items == [1, 2, 3, 5, 6, 7]


@running
async def test_a_push_that_is_cancelled_when_there_is_just_room_again_takes_none() -> None:
    processor = Slow()
    processor.gate.clear()
    async with AsyncQueue("q", processor, partitions=1, max_size=1) as queue:
        await queue.push(1)
        waiting = asyncio.create_task(queue.push(2))
        await turns()
        room: Any = queue._admission.room
        room.serve = lambda: None  # as if the task had not run yet
        processor.gate.set()
        await until(lambda: room.used == 0)
        assert queue.stats().accepted == 1
        assert waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        queue.push_nowait(3)

    assert processor.items == [1, 3]


@running
async def test_a_cancelled_push_of_more_than_fits_says_how_much_went_in() -> None:
    processor = Slow()
    processor.gate.clear()
    async with AsyncQueue("q", processor, partitions=1, max_size=4) as queue:
        waiting = asyncio.create_task(queue.push_all(range(11)))
        await turns()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await waiting
        processor.gate.set()

    assert caught.value.__notes__ == ["4 of 11 items of this call were accepted"]
    assert processor.items == [0, 1, 2, 3]


@running
async def test_a_cancelled_flush_leaves_everything_in_line() -> None:
    processor = Slow()
    processor.gate.clear()
    async with AsyncQueue("q", processor, partitions=1) as queue:
        await queue.push(1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await queue.flush()
        assert processor.entered == 1
        assert processor.cancelled == 0
        assert queue._run.workers[0]._flushes == []
        processor.gate.set()
        await queue.flush()
        assert processor.items == [1]


@running
async def test_a_cancelled_stop_ends_as_if_its_time_were_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    processor = Slow()
    processor.gate.clear()
    async with AsyncQueue("q", processor, partitions=1) as queue:
        await queue.push(1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await queue.stop()
        assert not queue.running
        assert "was stopped with 1 undelivered" in caplog.text
        assert await queue.stop() == StopReport(0, 0, ())

    assert settled(queue)
    assert processor.cancelled == 1
    assert queue.stats().held == 1


# --- the processor ---------------------------------------------------------------------


@running
async def test_a_cancellation_of_the_processors_own_making_is_a_failure_like_any_other() -> None:
    attempts = 0

    async def processor(batch: list[int]) -> None:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            other = asyncio.create_task(asyncio.sleep(60))
            other.cancel()
            await other

    now = Retry(wait_initial=0.0)
    async with AsyncQueue("q", processor, partitions=1, retry=now) as queue:
        await queue.push(1)
        await queue.flush()
        assert queue.running

    assert attempts == 2
    assert queue.stats().delivered == 1


@running
async def test_a_processor_that_finishes_although_it_is_cancelled_has_delivered() -> None:
    delivered = []

    async def stubborn(batch: list[int]) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
        delivered.append(batch)

    async with AsyncQueue("q", stubborn, partitions=1, flush_at=1) as queue:
        await queue.push(1)
        await turns()
        report = await queue.stop(timeout=0.0)

    assert report.left in ((), (1,))  # depending on whether it was done in time
    assert delivered == [[1]]
    assert queue.stats().delivered == 1


@running
async def test_items_whose_dead_letter_handler_is_cut_off_stay_held() -> None:
    async def fail(_: list[int]) -> None:
        raise OSError

    dead: list[int] = []
    gate = asyncio.Event()

    async def bury(items: list[int], *_: object) -> None:
        await gate.wait()
        dead.extend(items)

    queue = AsyncQueue(
        "q", fail, partitions=1, retry=Retry(attempts=1), dead_letter=bury, flush_at=1
    )
    async with queue:
        await queue.push(1)
        await turns()
        assert (await queue.stop(timeout=0.01)).left == (1,)
    assert (queue.stats().dead_lettered, queue.stats().dead_letter_errors, dead) == (0, 0, [])
    gate.set()
    async with queue:
        pass
    assert (queue.stats().dead_lettered, dead) == (1, [1])


@running
async def test_an_interrupt_in_a_processor_ends_the_loop_and_the_batch_stays() -> None:
    async def interrupted(_: list[int]) -> None:
        raise KeyboardInterrupt

    queue = AsyncQueue("q", interrupted, partitions=1, flush_at=1)

    def program() -> None:
        asyncio.run(use(queue, 1))

    thread_errors: list[BaseException] = []

    def run() -> None:
        try:
            program()
        except BaseException as error:
            thread_errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    await asyncio.to_thread(thread.join)
    assert [type(error) for error in thread_errors] == [KeyboardInterrupt]
    assert settled(queue)
    assert queue.stats().held == 1
