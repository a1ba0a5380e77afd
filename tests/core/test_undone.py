"""A processor that leaves its work to be run by somebody else has delivered nothing."""

import asyncio
import functools
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from concurrent.futures import Future
from typing import Any
from unittest.mock import MagicMock

import pytest
from helpers import EVERY_5_S, Buffers, running

from partitioned_buffer import AsyncMap, AsyncQueue, InvalidOption, Map, Queue, Retry
from partitioned_buffer.events import ProcessingFailed
from partitioned_buffer.testing import FakeClock, RecordingHook, RecordingProcessor


def generator(batch: list[Any]) -> Generator[Any, None, None]:
    yield from batch


async def async_generator(batch: list[Any]) -> AsyncGenerator[Any, None]:
    for item in batch:
        yield item


async def coroutine(batch: list[Any]) -> None: ...


class Generating:
    def __call__(self, batch: list[Any]) -> Generator[Any, None, None]:
        yield from batch

    def method(self, batch: list[Any]) -> Generator[Any, None, None]:
        yield from batch


GENERATORS = [
    generator,
    async_generator,
    functools.partial(generator),
    functools.partial(async_generator),
    Generating(),
    Generating().method,
    lambda batch: (yield batch),
]


@pytest.mark.parametrize("kind", [Queue, Map, AsyncQueue, AsyncMap])
@pytest.mark.parametrize("function", GENERATORS)
@pytest.mark.parametrize("option", ["processor", "dead_letter"])
def test_a_generator_function_is_refused(kind: Any, function: Any, option: str) -> None:
    options = {"name": "events", "processor": print, option: function}

    with pytest.raises(InvalidOption, match=rf"^{option}=.* a function that has no yield"):
        kind(**options)


RETURNED = [
    (generator, "returned a generator, none of which has run: nothing was delivered"),
    (async_generator, "returned an async generator, none of which has run: nothing was delivered"),
    (lambda batch: map(print, batch), "returned a map, none of which has run"),
    (lambda batch: filter(print, batch), "returned a filter, none of which has run"),
    (lambda _: Future[None](), "returned a future, which nobody waits for: perhaps nothing was"),
]


def first_plain(
    processor: RecordingProcessor, returns: Callable[[list[Any]], object]
) -> Callable[[list[Any]], object]:
    """Return a processor that delivers at its first call, and leaves it undone at the second."""

    def process(batch: list[Any]) -> object:
        if batch == ["undone"]:
            return returns(batch)
        processor(batch)
        return "anything else"

    return process


@pytest.mark.both_faces
@pytest.mark.parametrize(("returns", "message"), RETURNED)
def test_what_has_yet_to_be_run_is_a_failed_attempt_at_any_call(
    returns: Any,
    message: str,
    buffers: Buffers,
    processor: RecordingProcessor,
    clock: FakeClock,
    hook: RecordingHook,
) -> None:
    queue = buffers.queue(
        processor=first_plain(processor, returns), processing_batch_size=1, hooks=[hook]
    )
    queue.push_all(["done", "undone", "behind"])

    for failures in (1, 2):  # at the first attempt, and at the next
        clock.advance(5.0)
        assert processor.items == ["done"]
        assert queue.stats().delivered == 1
        assert len(hook.of(ProcessingFailed)) == failures
    error = hook.of(ProcessingFailed)[0].error
    assert isinstance(error, TypeError)
    assert message in str(error)
    queue.stop(0)


def test_what_a_mock_returns_is_nothing_that_is_undone(buffers: Buffers, clock: FakeClock) -> None:
    queue = buffers.queue(processor=MagicMock())
    queue.push("item")
    clock.advance(5.0)

    assert queue.stats().delivered == 1


@pytest.mark.parametrize("last", [1, 2])
def test_a_coroutine_that_a_thread_returns_later_is_a_failed_attempt(
    last: int, buffers: Buffers, processor: RecordingProcessor, clock: FakeClock
) -> None:
    queue = buffers.queue(processor=first_plain(processor, coroutine), processing_batch_size=1)
    queue.push_all(["done"] * last + ["undone"])
    clock.advance(5.0)

    assert queue.stats().delivered == last
    assert queue.size() == 1
    queue.stop(0)


@running
async def test_a_coroutine_function_whose_result_nobody_awaits_has_failed() -> None:
    clock, hook, done = FakeClock(), RecordingHook(), []

    async def twice(batch: list[str]) -> Coroutine[Any, Any, None] | None:
        await asyncio.sleep(0)
        if batch == ["undone"]:
            return coroutine(batch)
        done.extend(batch)
        return None

    def plain(batch: list[str]) -> object:
        return twice(batch)

    for processor in (twice, plain):
        async with AsyncQueue(
            "q",
            processor,
            partitions=1,
            processing_batch_size=1,
            clock=clock,
            retry=EVERY_5_S,
            hooks=[hook],
        ) as queue:
            await queue.push_all(["done", "undone"])
            await clock.aadvance(5.0)
            assert queue.stats().delivered == 1
            await queue.stop(0)

    assert done == ["done", "done"]
    errors = [event.error for event in hook.of(ProcessingFailed)]
    assert all("returned a coroutine, which nobody awaits" in str(e) for e in errors[:1])


@running
async def test_a_task_that_nobody_awaits_has_failed() -> None:
    clock, hook = FakeClock(), RecordingHook()

    async def begin(batch: list[str]) -> object:  # as a client does whose methods return futures
        return Begun()

    async with AsyncQueue(
        "q", begin, partitions=1, clock=clock, retry=EVERY_5_S, hooks=[hook]
    ) as queue:
        await queue.push("undone")
        await clock.aadvance(5.0)
        assert queue.stats().delivered == 0
        await queue.stop(0)

    error = hook.of(ProcessingFailed)[0].error
    assert "returned an awaitable, which nobody awaits: perhaps nothing was delivered" in str(error)


class Begun:
    """What a task or a future is, of whichever loop."""

    def __await__(self) -> Generator[Any, None, None]:
        raise NotImplementedError


def test_a_task_that_a_thread_returns_has_failed(
    buffers: Buffers, processor: RecordingProcessor, clock: FakeClock, hook: RecordingHook
) -> None:
    process = first_plain(processor, lambda batch: Begun())
    queue = buffers.queue(processor=process, processing_batch_size=1, hooks=[hook])
    queue.push_all(["done", "undone"])
    clock.advance(5.0)

    assert queue.stats().delivered == 1
    assert "an awaitable, which a thread cannot await" in str(hook.of(ProcessingFailed)[0].error)
    queue.stop(0)


@pytest.mark.both_faces
def test_a_dead_letter_handler_that_returns_one_has_not_taken_them(
    buffers: Buffers, processor: RecordingProcessor
) -> None:
    returned: list[object] = [generator([])]

    def bury(items: list[int], error: BaseException, attempts: int) -> object:
        return returned.pop() if returned else None

    queue = buffers.queue(retry=Retry(attempts=1, wait_initial=0.001), dead_letter=bury)
    processor.fail_always(OSError())
    queue.push(1)
    queue.flush()

    assert not returned
    stats = queue.stats()
    assert (stats.dead_letter_errors, stats.dead_lettered) == (1, 1)


@pytest.mark.both_faces
@pytest.mark.parametrize("returns", [0, False, "", [], object(), range(3), iter([1])])
def test_anything_else_that_is_returned_is_delivered(returns: object, buffers: Buffers) -> None:
    queue = buffers.queue(processor=lambda batch: returns)
    queue.push(1)
    queue.flush()

    assert queue.stats().delivered == 1
