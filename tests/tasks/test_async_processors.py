"""Who calls a processor of an async buffer, where, and with what around it."""

import asyncio
import contextvars
import functools
import threading

import pytest
from coroutines import AT_ONCE
from helpers import in_turn, running

from partitioned_buffer import AsyncQueue, Queue, Retry
from partitioned_buffer.events import BatchDeadLettered
from partitioned_buffer.testing import RecordingHook, assert_balanced


@running
async def test_a_coroutine_processor_is_awaited_on_the_loop_one_batch_at_a_time() -> None:
    loop, inside, most = asyncio.get_running_loop(), 0, 0
    batches = []

    async def processor(batch: list[int]) -> None:
        nonlocal inside, most
        assert asyncio.get_running_loop() is loop
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0)
        inside -= 1
        batches.append(batch)

    async with AsyncQueue("q", processor, partitions=1, processing_batch_size=2) as queue:
        await queue.push_all([1, 2, 3])
        await queue.push(4)

    assert batches == [[1, 2], [3, 4]]
    assert most == 1
    assert_balanced(queue.stats())


@in_turn
@running
async def test_partitions_await_their_processors_at_the_same_time() -> None:
    both = asyncio.Barrier(2)

    async def processor(batch: list[int]) -> None:
        await both.wait()

    async with AsyncQueue("q", processor, partitions=2) as queue:
        await queue.push(1)
        await queue.push(2)

    assert queue.stats().delivered == 2


@in_turn
@running
async def test_a_plain_processor_is_called_in_one_thread_per_partition() -> None:
    threads: list[tuple[int, threading.Thread]] = []

    def processor(batch: list[int]) -> None:
        threads.append((batch[0] % 2, threading.current_thread()))

    async with AsyncQueue("q", processor, partitions=2, processing_batch_size=1) as queue:
        for number in range(6):  # in turn
            await queue.push(number)

    assert len(threads) == 6
    assert len(set(threads)) == len({thread for _, thread in threads}) == 2
    for _, thread in threads:
        assert thread is not threading.main_thread()
        assert thread.daemon, "a hung one must not hold up the exit"
        thread.join(60)
        assert not thread.is_alive(), "the worker has ended"


@running
async def test_what_a_plain_callable_returns_is_awaited_if_it_can_be() -> None:
    stored: list[int] = []

    async def store(where: list[int], batch: list[int]) -> None:
        await asyncio.sleep(0)
        where += batch

    async with AsyncQueue[int]("q", lambda batch: store(stored, batch), partitions=1) as queue:
        await queue.push(1)
    async with AsyncQueue[int]("q", functools.partial(store, stored), partitions=1) as queue:
        await queue.push(2)

    assert stored == [1, 2]


def test_a_coroutine_that_a_thread_cannot_await_is_a_failure_and_not_a_delivery(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def store(batch: list[int]) -> None: ...

    dead: list[int] = []
    with Queue[int](
        "q",
        lambda batch: store([*batch]),
        partitions=1,
        retry=AT_ONCE,
        dead_letter=lambda items, error, attempts: dead.extend(items),
    ) as queue:
        queue.push(1)

    assert dead == [1]
    assert queue.stats().delivered == 0
    assert "returned a coroutine, which a thread cannot await" in caplog.text


@pytest.mark.parametrize("plain", [True, False])
@running
async def test_a_dead_letter_handler_is_called_or_awaited_like_a_processor(plain: bool) -> None:
    loop_thread, dead = threading.current_thread(), []

    async def fail(batch: list[int]) -> None:
        raise OSError

    def bury(items: list[int], error: BaseException, attempts: int) -> None:
        dead.append((items, type(error), attempts, threading.current_thread() is loop_thread))

    async def bury_slowly(items: list[int], error: BaseException, attempts: int) -> None:
        await asyncio.sleep(0)
        bury(items, error, attempts)

    async with AsyncQueue(
        "q", fail, partitions=1, retry=AT_ONCE, dead_letter=bury if plain else bury_slowly
    ) as queue:
        await queue.push(1)

    assert dead == [([1], OSError, 1, not plain)]
    assert queue.stats().dead_lettered == 1


@running
async def test_a_dead_letter_handler_that_raises_is_counted_and_called_again() -> None:
    async def fail(batch: list[int]) -> None:
        raise OSError

    buried: list[int] = []

    async def bury(items: list[int], *_: object) -> None:
        buried.extend(items)
        if len(buried) == 1:
            raise LookupError

    hook, retry = RecordingHook(), Retry(attempts=1, wait_initial=0.001)
    async with AsyncQueue(
        "q", fail, partitions=1, retry=retry, dead_letter=bury, hooks=[hook]
    ) as queue:
        await queue.push(1)

    assert buried == [1, 1]

    assert queue.stats().dead_lettered == queue.stats().dead_letter_errors == 1
    assert [event.size for event in hook.of(BatchDeadLettered)] == [1]


@pytest.mark.parametrize("plain", [True, False])
@running
async def test_processors_see_the_context_variables_of_who_entered_the_buffer(plain: bool) -> None:
    tenant = contextvars.ContextVar("tenant", default="nobody")
    seen = []

    async def coroutine(batch: list[int]) -> None:
        seen.append(tenant.get())

    def function(batch: list[int]) -> None:
        seen.append(tenant.get())

    tenant.set("starter")
    async with AsyncQueue("q", function if plain else coroutine, partitions=1) as queue:
        tenant.set("writer")
        await queue.push(1)
        await queue.flush()
        tenant.set("stopper")
        await queue.push(2)

    assert seen == ["starter", "starter"]


@running
async def test_a_processor_that_never_waits_lets_others_run_while_it_works() -> None:
    turns = 0

    async def busy(batch: list[int]) -> None:
        until = asyncio.get_running_loop().time() + 0.002  # no wait at all
        while asyncio.get_running_loop().time() < until:
            pass

    async def others() -> None:
        nonlocal turns
        while queue.size():
            turns += 1
            await asyncio.sleep(0)

    async with AsyncQueue("q", busy, partitions=1, processing_batch_size=1) as queue:
        await queue.push_all(range(50))
        other = asyncio.create_task(others())
        await queue.flush()
        await other

    assert turns > 10
