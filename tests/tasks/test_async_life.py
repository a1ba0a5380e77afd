"""How an async buffer is entered, left and entered again, and what comes out of the block."""

import asyncio
import gc
import sys
from pathlib import Path
from typing import Any

import pytest
from coroutines import AT_ONCE, Coroutine
from helpers import running, until

from partitioned_buffer import (
    AsyncQueue,
    BufferAlreadyRunning,
    BufferNotFound,
    BufferNotRunning,
    Queue,
    Retry,
    StopReport,
    WrongThread,
    get,
)
from partitioned_buffer.dead_letters import DeadLetterFile, Replayed
from partitioned_buffer.events import PartitionStarted, PartitionStopped
from partitioned_buffer.testing import FakeClock, RecordingHook, RecordingProcessor, assert_balanced


@running
async def test_a_buffer_can_be_entered_again_and_goes_on_with_what_was_left() -> None:
    processor, hook = Coroutine(), RecordingHook()
    processor.go_on.clear()
    queue = AsyncQueue("q", processor, partitions=1, processing_batch_size=1, hooks=[hook])
    async with queue:
        await queue.push_all([1, 2])
        assert get("q", AsyncQueue) is queue
        assert (await queue.stop(timeout=0)).left == (1, 2)
        with pytest.raises(BufferNotRunning, match="use it in an `async with` block again"):
            await queue.push(3)
    processor.go_on.set()
    async with queue:
        await queue.push(3)
        with pytest.raises(BufferAlreadyRunning, match="is running already"):
            await queue.__aenter__()

    assert processor.items == [1, 2, 3]
    assert await queue.stop() == StopReport(0, 0, ())
    assert len(hook.of(PartitionStarted)) == len(hook.of(PartitionStopped)) == 2
    assert_balanced(queue.stats())


@running
async def test_the_name_is_free_when_entering_fails() -> None:
    async with AsyncQueue("q", Coroutine()):
        with pytest.raises(BufferAlreadyRunning, match="a buffer 'q' is running already"):
            await AsyncQueue("q", Coroutine()).__aenter__()
        with pytest.raises(BufferAlreadyRunning):
            Queue("q", print).start()
    Queue("q", print).start().stop()


@running
async def test_stop_cancels_a_coroutine_processor_whose_time_is_over() -> None:
    processor = Coroutine()
    processor.go_on.clear()
    async with AsyncQueue("q", processor, partitions=1, flush_at=1) as queue:
        await queue.push(1)
        await processor.entered.wait()
        report = await queue.stop(timeout=0.01)
        assert report == StopReport(0, 0, (1,))
        assert processor.cancelled == 1
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1, "nothing is left behind"


@running
async def test_stop_leaves_a_plain_call_behind_whose_delivery_still_counts() -> None:
    processor = RecordingProcessor()
    processor.block()
    queue = AsyncQueue("q", processor, partitions=1, processing_batch_size=1, flush_at=1)
    async with queue:
        await queue.push_all([1, 2])
        await until(lambda: processor.attempts != [])
        assert (await queue.stop(timeout=0.01)).left == (1, 2)
    with pytest.raises(BufferAlreadyRunning, match="has not returned"):
        await queue.__aenter__()
    processor.unblock()
    await until(lambda: queue._run.workers[0].ended)
    assert (queue.stats().delivered, queue.stats().held) == (1, 1)
    async with queue:
        pass
    assert processor.items == [1, 2]
    assert_balanced(queue.stats())


@running
async def test_an_error_of_a_worker_surfaces_from_the_block_and_cancels_its_body(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    queue, cancelled = AsyncQueue("q", Coroutine(), partitions=1), False
    with pytest.raises(MemoryError, match="no more"), monkeypatch.context() as patch:
        async with queue:
            await queue.push_all([1, 2])
            patch.setattr(type(queue._partitions[0].table), "swap", dies)
            queue._run.workers[0].wake()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled = True
                raise

    assert cancelled
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    assert len(asyncio.all_tasks()) == 1
    assert "the worker died; the buffer is stopped, with 2 undelivered" in caplog.text
    with pytest.raises(BufferNotRunning):
        await queue.push(3)
    assert queue.stats().held == 2
    async with queue:
        pass
    assert queue.stats().delivered == 2


def dies(*_: Any, **__: Any) -> int:
    raise MemoryError("no more")


@running
async def test_errors_of_several_workers_come_in_a_group(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ExceptionGroup) as caught:
        async with AsyncQueue("q", Coroutine(), partitions=2) as queue:
            monkeypatch.setattr(type(queue._partitions[0].table), "swap", dies)

    assert [type(error) for error in caught.value.exceptions] == [MemoryError, MemoryError]


@running
async def test_an_error_of_the_body_comes_out_as_it_is_and_what_is_held_is_delivered() -> None:
    processor = Coroutine()
    with pytest.raises(LookupError) as caught:
        async with AsyncQueue("q", processor, partitions=1) as queue:
            await queue.push(1)
            raise LookupError

    assert type(caught.value) is LookupError
    assert processor.items == [1]


def test_it_may_be_left_in_another_task_than_it_was_entered_in() -> None:
    """As an async fixture of a test framework is."""
    processor = RecordingProcessor()
    queue = AsyncQueue("q", processor, partitions=1)
    with asyncio.Runner() as runner:
        runner.run(queue.__aenter__())
        runner.run(queue.push(1))
        runner.run(queue.__aexit__(None, None, None))

    assert processor.items == [1]


@running
async def test_retries_wait_in_the_clock_of_the_buffer() -> None:
    clock, processor = FakeClock(), RecordingProcessor()
    every_5_s = Retry(wait_initial=5.0, multiplier=1.0, jitter=0.0)
    async with AsyncQueue("q", processor, partitions=1, clock=clock, retry=every_5_s) as queue:
        processor.fail(OSError(), OSError())
        await queue.push(1)
        await clock.aadvance(5.0)
        assert len(processor.attempts) == 1
        await clock.aadvance(5.0)
        assert len(processor.attempts) == 2
        await clock.aadvance(5.0)
        assert processor.items == [1]
        queue.update_options(processing_interval=1.0)
        await queue.push(2)
        await clock.aadvance(1.0)
        assert processor.items == [1, 2]
        with pytest.raises(ValueError, match="seconds=-1"):
            await clock.aadvance(-1)


@running
async def test_a_signal_of_a_clock_that_was_never_used_settles_at_once() -> None:
    clock = FakeClock()
    await clock.asettle()
    await clock.aadvance(1.0)
    assert clock.monotonic() == 1.0


@running
async def test_nobody_keeps_a_buffer_alive_that_has_been_left() -> None:
    import weakref  # noqa: PLC0415

    queue = AsyncQueue("q", RecordingProcessor(), partitions=1)
    async with queue:
        await queue.push(1)
    left = weakref.ref(queue)
    del queue
    for _ in range(3):
        await asyncio.sleep(0)
        gc.collect()

    assert left() is None


# --- dead letters come back ----------------------------------------------------------


@running
async def test_dead_letters_are_replayed_from_another_thread(tmp_path: Path) -> None:
    letters, processor = DeadLetterFile(tmp_path / "dead.jsonl"), RecordingProcessor()
    processor.fail_always(OSError())
    async with AsyncQueue(
        "q", processor, partitions=1, retry=AT_ONCE, dead_letter=letters
    ) as queue:
        await queue.push_all([1, 2])
        await queue.flush()
        assert queue.stats().dead_lettered == 2
        processor.recover()
        with pytest.raises(WrongThread, match=r"asyncio\.to_thread"):
            letters.replay(queue)
        assert await asyncio.to_thread(letters.replay, queue) == Replayed(2, 0)

    assert processor.items == [1, 2]


in_push = pytest.param(
    "push",
    marks=pytest.mark.skipif(
        sys.version_info < (3, 12), reason="looks at the thread alone, which is this one"
    ),
)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("seen_by", ["running", "get", "another", "enter", "stop", in_push])
def test_a_loop_that_was_closed_without_leaving_the_block_has_ended_the_life(
    seen_by: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Its tasks are gone: the name is free, writes are refused, and what is held can go on."""
    processor = Coroutine()
    queue = AsyncQueue[int]("gone", processor, partitions=2)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(queue.__aenter__())
    queue.push_all_nowait([1, 2, 3])
    loop.close()

    async def look() -> None:
        if seen_by == "running":
            assert not queue.running
        elif seen_by == "get":
            with pytest.raises(BufferNotFound):
                get("gone")
        elif seen_by == "another":
            async with AsyncQueue[int]("gone", processor):
                pass
        elif seen_by == "stop":
            await queue.stop()
        elif seen_by == "push":
            with pytest.raises(BufferNotRunning, match="`async with` block again"):
                await queue.push(4)

    asyncio.run(look())
    if seen_by != "enter":
        assert "its event loop was closed before" in caplog.text
        assert "3 undelivered, which stay held" in caplog.text
        with pytest.raises(BufferNotRunning):
            queue.push_nowait(4)

    async def go_on() -> None:
        async with queue:
            await queue.push(5)

    asyncio.run(go_on())
    assert sorted(processor.items) == [1, 2, 3, 5]
    assert_balanced(queue.stats())
