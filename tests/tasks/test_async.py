"""AsyncQueue and AsyncMap on asyncio: what differs from the other face (see `both_faces`)."""

import asyncio
import contextvars
import functools
import gc
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import running, until

from partitioned_buffer import (
    AsyncMap,
    AsyncQueue,
    BufferAlreadyRunning,
    BufferFull,
    BufferNotRunning,
    Entry,
    Queue,
    Retry,
    StopReport,
    WrongThread,
    get,
)
from partitioned_buffer.dead_letters import DeadLetterFile, Replayed
from partitioned_buffer.events import BatchDeadLettered, PartitionStarted, PartitionStopped
from partitioned_buffer.testing import (
    FakeClock,
    RecordingHook,
    RecordingProcessor,
    assert_balanced,
)

AT_ONCE = Retry(attempts=1, split=False)


class Coroutine:
    """A coroutine processor that records; it waits inside as long as it is told to."""

    def __init__(self) -> None:
        self.batches: list[Any] = []
        self.entered = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.cancelled = 0

    async def __call__(self, batch: Any) -> None:
        self.entered.set()
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        self.batches.append(batch)

    @property
    def items(self) -> list[Any]:
        return [item for batch in self.batches for item in batch]


# --- who calls what, where ---------------------------------------------------------


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


@running
async def test_partitions_await_their_processors_at_the_same_time() -> None:
    both = asyncio.Barrier(2)

    async def processor(batch: list[int]) -> None:
        await both.wait()

    async with AsyncQueue("q", processor, partitions=2) as queue:
        await queue.push(1)
        await queue.push(2)

    assert queue.stats().delivered == 2


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
async def test_a_dead_letter_handler_that_raises_is_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail(batch: list[int]) -> None:
        raise OSError

    async def bury(*_: object) -> None:
        raise LookupError

    hook = RecordingHook()
    async with AsyncQueue(
        "q", fail, partitions=1, retry=AT_ONCE, dead_letter=bury, hooks=[hook]
    ) as queue:
        await queue.push(1)

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


# --- writes ------------------------------------------------------------------------


@running
async def test_a_push_with_room_does_not_give_way() -> None:
    gave_way: list[bool] = []
    async with AsyncQueue("q", Coroutine(), partitions=1, max_size=100) as queue:
        asyncio.get_running_loop().call_soon(gave_way.append, True)
        await queue.push(1)
        await queue.push_all([2, 3])
        assert gave_way == []


@running
async def test_a_push_to_a_full_buffer_waits_for_room_and_nowait_raises() -> None:
    processor = Coroutine()
    processor.go_on.clear()
    async with AsyncQueue("q", processor, partitions=1, max_size=2, block_timeout=60.0) as queue:
        queue.push_all_nowait([1, 2])
        with pytest.raises(BufferFull, match=r"was full \(max_size=2\)"):  # "for" no seconds
            queue.push_nowait(3)
        with pytest.raises(BufferFull):
            queue.push_all_nowait([3, 4])
        assert queue.stats().blocked == 0
        waiting = asyncio.create_task(queue.push(3))
        many = asyncio.create_task(queue.push_all([4, 5]))
        await asyncio.sleep(0)
        assert queue.stats().blocked == 2
        processor.go_on.set()
        await waiting
        await many

    assert processor.items == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("bound", [{"max_size": 4}, {"max_bytes": 4, "size_of": lambda _: 1}])
@running
async def test_a_map_waits_for_room_too_but_not_to_overwrite(bound: dict[str, Any]) -> None:
    entries: list[Entry[int, str]] = []

    async def processor(batch: list[Entry[int, str]]) -> None:
        entries.extend(batch)

    async with AsyncMap("m", processor, partitions=1, **bound) as mapped:
        await mapped.put_all({1: "a", 2: "b", 3: "c", 4: "d"})
        await mapped.put(1, "A")
        await mapped.put_newer(2, "B", 7)
        writes: list[Callable[[], None]] = [
            lambda: mapped.put_nowait(5, "e"),
            lambda: mapped.put_newer_nowait(5, "e", 1),
            lambda: mapped.put_all_nowait([(5, "e")]),
            lambda: mapped.put_all_newer_nowait([(5, "e", 1)]),
        ]
        for write in writes:
            with pytest.raises(BufferFull):
                write()
        waiting = [
            asyncio.create_task(mapped.put(5, "e")),
            asyncio.create_task(mapped.put_newer(6, "f", 1)),
            asyncio.create_task(mapped.put_all_newer([(7, "g", 1)])),
        ]
        await asyncio.sleep(0)
        assert mapped.stats().blocked == 3
        await mapped.delete(4)
        mapped.delete_nowait(3)
        assert mapped.get(1) == "A"
        await mapped.flush()
        for task in waiting:
            await task

    assert {e.key: e.value for e in entries} == {
        1: "A", 2: "B", 5: "e", 6: "f", 7: "g",
    }  # fmt: skip
    assert mapped.stats().deleted == 2
    assert_balanced(mapped.stats())


@running
async def test_size_of_is_called_once_for_an_item_that_has_to_wait() -> None:
    weighed: list[int] = []

    def size_of(item: int) -> int:
        weighed.append(item)
        return 1

    async with AsyncQueue("q", Coroutine(), partitions=1, max_bytes=1, size_of=size_of) as queue:
        await queue.push(1)
        waiting = asyncio.create_task(queue.push(2))
        await asyncio.sleep(0)
        await queue.flush()
        await waiting

    assert weighed == [1, 2]


@running
async def test_writers_wait_in_line_for_block_timeout_seconds() -> None:
    clock, processor = FakeClock(), RecordingProcessor()
    processor.fail_always(OSError())
    options: dict[str, Any] = {"partitions": 1, "retry": Retry(wait_initial=60.0), "clock": clock}
    async with AsyncQueue("q", processor, max_size=1, block_timeout=2.0, **options) as queue:
        await queue.push(1)
        waiting = asyncio.create_task(queue.push(2))
        await asyncio.sleep(0)
        await clock.aadvance(1.9)
        assert not waiting.done()
        clock.jump(0.1)
        with pytest.raises(BufferFull, match=r"was full for 2\.0 s"):
            await waiting
        processor.recover()

    assert processor.items == [1]


@running
async def test_an_error_of_another_buffer_that_is_full_is_passed_on() -> None:
    def key(item: int) -> int:
        other.push_nowait(item)
        return 0

    async with (
        AsyncQueue("other", Coroutine(), partitions=1, max_size=1) as other,
        AsyncQueue("q", Coroutine(), partitions=1, max_size=1, partition_key=key) as queue,
    ):
        other.push_nowait(1)
        with pytest.raises(BufferFull, match="'other'"):
            await queue.push(1)
        assert queue.size() == 0


@running
async def test_a_processor_that_pushes_into_its_own_full_buffer_does_not_wait_for_itself() -> None:
    errors: list[BaseException] = []

    async def processor(batch: list[int]) -> None:
        try:
            await queue.push(2)
        except BufferFull as error:
            errors.append(error)

    async with AsyncQueue("q", processor, partitions=1, max_size=1) as queue:
        await queue.push(1)
        await queue.flush()

    assert "would wait for itself" in str(errors[0])


def test_any_thread_may_push_nowait_and_wakes_the_worker() -> None:
    processor = RecordingProcessor()
    pushed = threading.Event()

    async def main() -> None:
        async with AsyncQueue("q", processor, partitions=1, flush_at=3) as queue:
            thread = threading.Thread(target=lambda: list(map(queue.push_nowait, range(3))))
            thread.start()
            await until(lambda: queue.stats().delivered == 3)
            thread.join()
            pushed.set()

    asyncio.run(main())
    assert processor.items == [0, 1, 2]
    assert pushed.is_set()


# --- a life ------------------------------------------------------------------------


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
    await until(lambda: queue._workers[0].ended)
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
            patch.setattr(type(queue._tables[0]), "swap", dies)
            queue._workers[0].wake()
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
            monkeypatch.setattr(type(queue._tables[0]), "swap", dies)

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
