"""
Cancellation strands nothing: what was accepted is delivered, or held and said to be.

Each case is one that happens in programs; `test_async_schedules` cancels everywhere.
"""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from helpers import running, turns, until

from partitioned_buffer import AsyncQueue, BufferNotRunning, Retry, StopReport
from partitioned_buffer._tasks.loops.asyncio import AsyncioLoop
from partitioned_buffer.testing import FakeClock, RecordingProcessor, assert_balanced

FOREVER = Retry(attempts=None, wait_initial=5.0, multiplier=1.0, jitter=0.0)


class Slow:
    """A coroutine processor that takes its time, and can be held up."""

    def __init__(self) -> None:
        self.items: list[int] = []
        self.entered = 0
        self.cancelled = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, batch: list[int]) -> None:
        self.entered += 1
        try:
            await turns(3)
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        self.items += batch


async def use(
    queue: AsyncQueue[int], pushed: int = 25, then: Callable[[], object] = lambda: None
) -> None:
    async with queue:
        for number in range(pushed):
            await queue.push(number)
        then()
        await asyncio.Event().wait()


def settled(queue: AsyncQueue[int]) -> bool:
    """Check what has to hold of every buffer that was left."""
    assert_balanced(queue.stats())
    assert not queue.running
    assert len(asyncio.all_tasks()) == 1
    return True


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
    assert "was stopped with 3 undelivered" in caplog.text


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
async def test_a_push_that_is_cancelled_when_it_has_just_got_room_gives_it_back() -> None:
    processor = Slow()
    processor.gate.clear()
    async with AsyncQueue("q", processor, partitions=1, max_size=1) as queue:
        await queue.push(1)
        waiting = asyncio.create_task(queue.push(2))
        await turns()
        processor.gate.set()
        await until(lambda: queue.stats().blocked == 0)  # it has the room, and has not run yet
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
        assert queue._workers[0]._flushes == []
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


# --- everybody -------------------------------------------------------------------------


async def cancel_all(*, twice: bool = False) -> None:
    """Do as recipes for shutting down a loop do."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    if twice:
        await turns()
        assert not all(task.done() for task in tasks)
        for task in tasks:
            task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("flush_at", [None, 1])
@pytest.mark.parametrize("plain", [True, False])
@running
async def test_who_cancels_all_tasks_waits_for_what_is_held(
    plain: bool, flush_at: int | None
) -> None:
    processor: Any = RecordingProcessor() if plain else Slow()
    queue = AsyncQueue("q", processor, partitions=2, flush_at=flush_at, retry=Retry(wait_max=0.0))
    user = asyncio.create_task(use(queue))
    assert not user.done()
    await turns(5)
    await cancel_all()

    assert settled(queue)
    assert queue.stats().delivered == 25
    assert sorted(processor.items) == list(range(25))


@running
async def test_when_only_a_worker_is_cancelled_the_buffer_stops_and_says_so() -> None:
    processor = Slow()
    async with AsyncQueue("q", processor, partitions=2) as queue:
        await queue.push_all([1, 2])
        (worker,) = [task for task in asyncio.all_tasks() if task.get_name() == "q-0"]
        worker.cancel()
        await until(lambda: not queue.running)
        with pytest.raises(BufferNotRunning):
            await queue.push(3)
        await until(lambda: queue.stats().delivered == 2)

    assert settled(queue)


@running
async def test_who_cancels_all_tasks_twice_waits_no_more(caplog: pytest.LogCaptureFixture) -> None:
    processor = Slow()
    processor.gate.clear()
    queue = AsyncQueue("q", processor, partitions=1, flush_at=1)
    user = asyncio.create_task(use(queue, 3))
    assert not user.done()
    await until(lambda: processor.entered == 1)
    await cancel_all(twice=True)

    assert settled(queue)
    assert queue.stats().held == 3
    assert "with 3 undelivered" in caplog.text


@running
async def test_a_buffer_whose_tasks_are_all_cancelled_ends_after_exit_timeout() -> None:
    processor = Slow()
    processor.gate.clear()
    queue = AsyncQueue("q", processor, partitions=1, flush_at=1, exit_timeout=0.01)
    user = asyncio.create_task(use(queue, 3))
    assert not user.done()
    await until(lambda: processor.entered == 1)
    await cancel_all()

    assert settled(queue)
    assert queue.stats().held == 3


def test_a_loop_that_ends_with_a_buffer_in_it_delivers_what_is_held(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """`asyncio.run` cancels what is left, and waits for it."""
    processor = RecordingProcessor()
    queue = AsyncQueue("q", processor, partitions=2)

    async def main() -> None:
        await queue.__aenter__()  # and nobody leaves it
        await queue.push_all(range(25))

    asyncio.run(main())
    assert_balanced(queue.stats())
    assert sorted(processor.items) == list(range(25))
    assert not queue.running


@running
async def test_the_late_result_of_a_plain_call_counts_when_its_task_was_cut_off() -> None:
    processor = RecordingProcessor()
    processor.block()
    queue = AsyncQueue("q", processor, partitions=1, flush_at=1, processing_batch_size=1)
    user = asyncio.create_task(use(queue, 2))
    assert not user.done()
    await until(lambda: processor.attempts != [])
    await cancel_all(twice=True)
    assert queue.stats().held == 2
    processor.unblock()
    await until(lambda: queue._workers[0].ended)

    assert settled(queue)
    assert (queue.stats().delivered, queue.stats().held) == (1, 1)
    assert processor.items == [0]


@running
async def test_a_batch_cut_short_by_who_cancels_all_tasks_is_given_again_at_no_cost() -> None:
    calls, gate = [], asyncio.Event()

    async def processor(batch: list[int]) -> None:
        calls.append(list(batch))
        batch.clear()  # its own, to do with as it likes
        if len(calls) == 1:
            await gate.wait()

    once = Retry(attempts=1, on=OSError)
    queue = AsyncQueue("q", processor, partitions=1, flush_at=1, retry=once)
    user = asyncio.create_task(use(queue, 3))
    await until(lambda: calls != [])
    await cancel_all()

    assert user.cancelled()
    assert settled(queue)
    assert calls == [[0, 1, 2], [0, 1, 2]]
    assert (queue.stats().delivered, queue.stats().dead_lettered) == (3, 0)


@running
async def test_a_retry_and_a_dead_letter_cut_short_are_made_again_too() -> None:
    attempts, dead, gate = 0, list[int](), asyncio.Event()

    async def processor(batch: list[int]) -> None:
        nonlocal attempts
        attempts += 1
        if attempts == 2:
            await gate.wait()
        raise OSError

    async def bury(items: list[int], _error: BaseException, tries: int) -> None:
        assert tries == 2
        dead.extend(items)

    twice = Retry(attempts=2, wait_initial=0.0, split=False)
    queue = AsyncQueue("q", processor, partitions=1, flush_at=1, retry=twice, dead_letter=bury)
    user = asyncio.create_task(use(queue, 3))
    await until(lambda: attempts == 2)
    await cancel_all()

    assert user.cancelled()
    assert settled(queue)
    assert (attempts, dead) == (3, [0, 1, 2])


@running
async def test_tasks_cancelled_before_their_first_step_leave_nothing_running() -> None:
    queue = AsyncQueue[int]("q", Slow(), partitions=2)
    entering = asyncio.create_task(queue.__aenter__())
    await asyncio.sleep(0)
    await cancel_all()

    assert entering.cancelled()
    assert settled(queue)
    async with queue:
        await queue.push(1)
    assert queue.stats().delivered == 1


@running
async def test_the_time_of_an_earlier_end_is_over_for_nobody_who_came_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    timers: list[Callable[[], object]] = []
    monkeypatch.setattr(AsyncioLoop, "later", lambda _self, _seconds, call: timers.append(call))
    processor = Slow()
    queue = AsyncQueue("q", processor, partitions=1)
    async with queue:
        await queue.push(1)
        (worker,) = [task for task in asyncio.all_tasks() if task.get_name() == "q-0"]
        worker.cancel()
        await until(lambda: queue.stats().delivered == 1)
    (exit_timeout_is_over,) = timers
    async with queue:
        exit_timeout_is_over()
        await queue.push(2)
        await queue.flush()

    assert processor.items == [1, 2]
