"""Writes to an async buffer: which of them wait, and for what."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from coroutines import Coroutine
from helpers import running, until

from partitioned_buffer import AsyncMap, AsyncQueue, BufferFull, Entry, Retry
from partitioned_buffer.testing import FakeClock, RecordingProcessor, assert_balanced


@running
async def test_a_push_with_room_does_not_give_way() -> None:
    gave_way: list[bool] = []
    async with AsyncQueue("q", Coroutine(), partitions=1, max_size=100) as queue:
        asyncio.get_running_loop().call_soon(gave_way.append, True)
        await queue.push(1)
        await queue.push_all([2, 3])
        assert gave_way == []


@running
async def test_who_has_been_let_in_need_not_stand_in_line_for_each_of_many(
    stood: list[int],
) -> None:
    async def write() -> None:
        for number in range(500):
            await queue.push(number)

    async with AsyncQueue(
        "q", Coroutine(), partitions=1, max_size=100, processing_batch_size=50
    ) as queue:
        await asyncio.gather(*(write() for _ in range(4)))

    assert queue.stats().delivered == 2000
    assert len(stood) < 1000


@running
async def test_all_for_whom_there_is_room_are_let_in_at_once() -> None:
    processor = Coroutine()

    async def write() -> None:
        for number in range(10):
            await queue.push(number)

    async with AsyncQueue(
        "q", processor, partitions=1, max_size=50, processing_batch_size=50
    ) as queue:
        await asyncio.gather(*(write() for _ in range(100)))

    assert queue.stats().delivered == 1000
    assert len(processor.batches) < 100


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
