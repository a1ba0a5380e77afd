"""Who cancels all the tasks there are waits for what is held, once."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from coroutines import Slow, settled, use
from helpers import running, turns, until

from partitioned_buffer import AsyncQueue, BufferNotRunning, Retry
from partitioned_buffer._tasks.loops.asyncio import AsyncioLoop
from partitioned_buffer.testing import RecordingProcessor, assert_balanced


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
    assert "3 undelivered" in caplog.text


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
    await until(lambda: queue._run.workers[0].ended)

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
