"""The same behaviour on asyncio, uvloop and trio, and inside of anyio's scopes on each."""

import math
import os
import threading
from collections.abc import Callable
from typing import Any

import pytest

from partitioned_buffer import (
    AsyncMap,
    AsyncQueue,
    BufferFull,
    BufferNotRunning,
    Entry,
    Retry,
    WrongThread,
)
from partitioned_buffer.dead_letters import DeadLetterFile, Replayed
from partitioned_buffer.testing import FakeClock, RecordingProcessor, assert_balanced

if not os.environ.get("CI"):
    for name in ("anyio", "trio", "uvloop"):
        pytest.importorskip(name)

import anyio
import anyio.lowlevel
import anyio.to_thread
import trio

LOOPS: dict[str, dict[str, Any]] = {
    "asyncio": {"backend": "asyncio"},
    "uvloop": {"backend": "asyncio", "backend_options": {"use_uvloop": True}},
    "trio": {"backend": "trio"},
}


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Callable[[Any], None]:
    return lambda main: anyio.run(main, **LOOPS[request.param])


class Slow:
    def __init__(self, *, waits: bool = False) -> None:
        self.items: list[int] = []
        self.gate, self.entered = anyio.Event(), anyio.Event()
        if not waits:
            self.gate.set()

    async def __call__(self, batch: list[int]) -> None:
        await anyio.lowlevel.checkpoint()
        self.entered.set()
        await self.gate.wait()
        self.items += batch


def settled(queue: AsyncQueue[int]) -> bool:
    assert_balanced(queue.stats())
    return not queue.running


def test_a_life(run: Callable[[Any], None]) -> None:
    async def main() -> None:
        clock, processor = FakeClock(), Slow()
        async with AsyncQueue("q", processor, partitions=2, clock=clock) as queue:
            await queue.push_all([1, 2, 3])
            await queue.push(4)
            assert processor.items == []
            await clock.aadvance(5.0)
            assert sorted(processor.items) == [1, 2, 3, 4]
            queue.push_nowait(5)
            await queue.flush()
            assert queue.size() == 0
            await queue.push(6)
        assert sorted(processor.items) == [1, 2, 3, 4, 5, 6]
        assert settled(queue)
        with pytest.raises(BufferNotRunning):
            await queue.push(7)

    run(main)


def test_plain_functions_retries_and_a_map(run: Callable[[Any], None]) -> None:
    async def main() -> None:
        clock, processor = FakeClock(), RecordingProcessor()
        retry = Retry(wait_initial=2.0, jitter=0.0)
        async with AsyncMap[str, int](
            "m", processor, partitions=1, clock=clock, retry=retry
        ) as mapped:
            processor.fail(OSError(), OSError())
            await mapped.put("a", 1)
            await mapped.put_newer("a", 2, 7)
            await mapped.flush()
        assert processor.batches == [[Entry("a", 2, 7, 1)]]
        assert len(processor.attempts) == 3

    run(main)


def test_writers_wait_for_room_and_may_be_cancelled(run: Callable[[Any], None]) -> None:
    async def main() -> None:
        processor = Slow()
        async with (
            AsyncQueue("q", processor, partitions=1, max_size=2, flush_at=2) as queue,
            anyio.create_task_group() as group,
        ):
            queue.push_all_nowait([20, 21])
            with pytest.raises(BufferFull):
                queue.push_nowait(22)
            for number in range(20):
                group.start_soon(queue.push, number)
        assert sorted(processor.items) == list(range(22))
        assert settled(queue)

        waits = Slow(waits=True)
        async with AsyncQueue("q", waits, partitions=1, max_size=1) as queue:
            await queue.push(1)
            with anyio.move_on_after(0.01) as scope:
                await queue.push(2)
            assert scope.cancelled_caught
            assert queue.stats().blocked == 0
            waits.gate.set()
        assert waits.items == [1]

    run(main)


def test_a_cancelled_scope_around_the_block_delivers_what_is_held(
    run: Callable[[Any], None],
) -> None:
    async def main() -> None:
        processor = Slow()
        with anyio.CancelScope() as scope:
            async with AsyncQueue("q", processor, partitions=2) as queue:
                await queue.push_all(range(25))
                scope.cancel()
                await anyio.sleep_forever()
        assert scope.cancelled_caught
        assert settled(queue)
        assert processor.items == list(range(25))

    run(main)


def test_a_failing_task_group_around_the_block_delivers_what_is_held(
    run: Callable[[Any], None],
) -> None:
    processor, pushed = RecordingProcessor(), anyio.Event()

    async def use() -> None:
        async with AsyncQueue("q", processor, partitions=2) as queue:
            await queue.push_all(range(25))
            pushed.set()
            await anyio.sleep_forever()

    async def fail() -> None:
        await pushed.wait()
        raise LookupError

    async def main() -> None:
        with pytest.raises(ExceptionGroup):
            async with anyio.create_task_group() as group:
                group.start_soon(use)
                group.start_soon(fail)

    run(main)
    assert processor.items == list(range(25))


def test_what_hangs_is_waited_for_exit_timeout_seconds(run: Callable[[Any], None]) -> None:
    async def main() -> None:
        clock = FakeClock()
        with anyio.CancelScope() as scope:
            async with AsyncQueue(
                "q", down, partitions=1, exit_timeout=12.0, clock=clock, retry=FOREVER
            ) as queue:
                await queue.push(1)
                scope.cancel()
                await anyio.sleep_forever()
        assert settled(queue)
        assert (clock.monotonic(), queue.stats().held) == (12.0, 1)

    run(main)


@pytest.mark.parametrize("handler_hangs", [False, True])
def test_what_a_coroutine_that_hangs_was_given_is_handed_over_by_its_task(
    run: Callable[[Any], None], handler_hangs: bool
) -> None:
    taken: list[int] = []

    async def bury(items: list[int], _error: BaseException, _attempts: int) -> None:
        await anyio.lowlevel.checkpoint()
        if handler_hangs:
            await anyio.sleep_forever()
        taken.extend(items)

    async def main() -> None:
        processor = Slow(waits=True)
        queue = AsyncQueue(
            "q", processor, partitions=1, flush_at=1, exit_timeout=1.0, dead_letter=bury
        )
        with anyio.CancelScope() as scope:
            async with queue:
                await queue.push_all([1, 2])
                await processor.entered.wait()
                scope.cancel()
                await anyio.sleep_forever()
        assert settled(queue)
        held = 2 if handler_hangs else 0
        assert (len(taken), queue.stats().held) == (2 - held, held)

    run(main)


FOREVER = Retry(attempts=math.inf, wait_initial=5.0, multiplier=1.0, jitter=0.0)


async def down(_: list[int]) -> None:
    raise OSError


def test_stop_cancels_what_is_not_done_in_time(run: Callable[[Any], None]) -> None:
    async def main() -> None:
        processor = Slow(waits=True)
        async with AsyncQueue("q", processor, partitions=1, flush_at=1) as queue:
            await queue.push(1)
            await anyio.sleep(0.01)
            assert (await queue.stop(timeout=0.01)).left == (1,)
        processor.gate.set()
        async with queue:
            pass
        assert processor.items == [1]
        assert settled(queue)

    run(main)


def test_an_error_of_a_worker_surfaces(
    run: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: Any, **__: Any) -> int:
        raise MemoryError

    async def main() -> None:
        queue = AsyncQueue[int]("q", Slow(), partitions=1)
        with pytest.raises(MemoryError), monkeypatch.context() as patch:
            async with queue:
                await queue.push(1)
                patch.setattr(type(queue._partitions[0].table), "swap", dies)
                queue._run.workers[0].wake()
                await anyio.sleep_forever()
        assert settled(queue)
        async with queue:
            pass
        assert queue.stats().delivered == 1

    run(main)


def test_other_threads_push_and_replay_but_do_not_wait(
    run: Callable[[Any], None], tmp_path: Any
) -> None:
    async def main() -> None:
        letters, processor = DeadLetterFile(tmp_path / "dead.jsonl"), RecordingProcessor()
        processor.fail_always(OSError())
        async with AsyncQueue(
            "q", processor, partitions=1, retry=Retry(attempts=1), dead_letter=letters
        ) as queue:
            thread = threading.Thread(target=queue.push_nowait, args=(1,))
            thread.start()
            await anyio.to_thread.run_sync(thread.join)
            await queue.flush()
            processor.recover()
            with pytest.raises(WrongThread):
                letters.replay(queue)
            assert await anyio.to_thread.run_sync(letters.replay, queue) == Replayed(1, 0)
            await anyio.to_thread.run_sync(lambda: anyio.run(elsewhere, queue))
        assert processor.items == [1]

    async def elsewhere(queue: AsyncQueue[int]) -> None:
        for call in (lambda: queue.push(1), queue.flush, queue.stop):
            with pytest.raises(WrongThread, match="lives on another event loop"):
                await call()

    run(main)


def test_a_processor_cannot_wait_for_itself(run: Callable[[Any], None]) -> None:
    async def main() -> None:
        errors: list[BaseException] = []

        async def processor(_: list[int]) -> None:
            try:
                await queue.flush()
            except WrongThread as error:
                errors.append(error)

        async with AsyncQueue("q", processor, partitions=1) as queue:
            await queue.push(1)
        assert len(errors) == 1

    run(main)


def test_an_interrupt_in_a_processor_ends_trio_and_the_batch_stays() -> None:
    async def interrupted(_: list[int]) -> None:
        raise KeyboardInterrupt

    queue = AsyncQueue("q", interrupted, partitions=1, flush_at=1)

    async def main() -> None:
        async with queue:
            await queue.push(1)
            await trio.sleep_forever()

    with pytest.raises(KeyboardInterrupt):
        trio.run(main)
    assert settled(queue)
    assert queue.stats().held == 1
