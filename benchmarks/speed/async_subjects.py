"""
What is measured on an event loop: one adapter per peer.

Each is an async context manager. What is entered takes items, and at its end all of them have
been processed. A peer that is not installed is left out.
"""
# ruff: noqa: PLC0415  (what is not installed is not imported)

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from importlib.util import find_spec
from typing import Any, NamedTuple

import janus

from partitioned_buffer import AsyncQueue

from .subjects import ASLEEP, PLENTY, Ours

LoopFactory = Callable[[], asyncio.AbstractEventLoop]
Process = Callable[[list[Any]], object]
"""What is done with a batch: a plain function, of which each subject makes what it takes."""


class Puts(NamedTuple):
    """The ways to put something, as far as there are such."""

    put_nowait: Any = None
    put: Any = None
    put_all_nowait: Any = None


Subject = AbstractAsyncContextManager[Puts]


class Channel(NamedTuple):
    """A queue's methods, for a task of one's own to take items from it."""

    put_nowait: Callable[[Any], object]
    put: Callable[[Any], Awaitable[object]]
    get_nowait: Callable[[], Any]
    get: Callable[[], Awaitable[Any]]
    empty: type[Exception]


def standard(bound: int = 0) -> Channel:
    made = asyncio.Queue[Any](bound)
    return Channel(made.put_nowait, made.put, made.get_nowait, made.get, asyncio.QueueEmpty)


def janus_queue(bound: int = 0) -> Channel:
    made = janus.Queue[Any](bound).async_q
    return Channel(made.put_nowait, made.put, made.get_nowait, made.get, janus.AsyncQueueEmpty)


def culsans_queue(bound: int = 0) -> Channel:
    import culsans

    made = culsans.Queue[Any](bound)  # whose `async_q` would only call these
    return Channel(
        made.put_nowait, made.async_put, made.get_nowait, made.async_get, culsans.QueueEmpty
    )


def installed(package: str) -> bool:
    return find_spec(package) is not None


def missing() -> list[str]:
    """Return what is left out."""
    return [name for name in ("culsans", "flushq", "uvloop") if not installed(name)]


CHANNELS = {"asyncio.Queue": standard, "janus": janus_queue}
if installed("culsans"):
    CHANNELS["culsans"] = culsans_queue


def loops() -> dict[str, LoopFactory]:
    """Return what makes an event loop, of each kind there is."""
    kinds: dict[str, LoopFactory] = {"asyncio": asyncio.new_event_loop}
    if installed("uvloop"):
        import uvloop

        kinds["uvloop"] = uvloop.new_event_loop
    return kinds


@asynccontextmanager
async def appended() -> AsyncIterator[Puts]:
    """The floor, and what is added to it by awaiting anything at all."""
    items = list[Any]()

    async def append(item: Any) -> None:
        items.append(item)

    yield Puts(items.append, append)


@asynccontextmanager
async def kept(make: Callable[[int], Channel], bound: int = 0) -> AsyncIterator[Puts]:
    """A queue that nobody reads."""
    channel = make(bound)
    yield Puts(channel.put_nowait, channel.put)


@asynccontextmanager
async def consumed(
    make: Callable[[int], Channel],
    process: Process,
    batch: int,
    *,
    bound: int = 0,
    in_thread: bool = False,
) -> AsyncIterator[Puts]:
    """
    A queue and the task one writes for it: collect what there is, hand it over, repeat.

    Only for the first item of a batch does it wait, and it sets no timer, to be as fast as can be.
    """
    channel = make(bound)
    deliver = _called_in_thread(process) if in_thread else _coroutine(process)

    async def consume() -> None:
        while True:
            items = [await channel.get()]
            try:
                while len(items) < batch:
                    items.append(channel.get_nowait())
            except channel.empty:
                pass
            if items[-1] is None:
                await deliver(items[:-1])
                return
            await deliver(items)

    task = asyncio.create_task(consume())
    await asyncio.sleep(0)
    yield Puts(channel.put_nowait, channel.put)
    await channel.put(None)
    await task


@asynccontextmanager
async def consumed_in_time(process: Process, batch: int) -> AsyncIterator[Puts]:
    """
    An `asyncio.Queue`, and a task that collects a batch until it is full or its time is over.

    What one writes who wants full batches and no item to wait too long, which ours does.
    """
    queue, deliver = asyncio.Queue[Any](), _coroutine(process)

    async def consume() -> None:
        while True:
            items = list[Any]()
            with suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    while len(items) < batch:
                        items.append(await queue.get())
            if items:
                await deliver(items)
            for _ in items:
                queue.task_done()

    task = asyncio.create_task(consume())
    await asyncio.sleep(0)
    yield Puts(queue.put_nowait, queue.put)
    await queue.join()
    task.cancel()


@asynccontextmanager
async def listed(process: Process, batch: int) -> AsyncIterator[Puts]:
    """A list, an Event and a task: the least that one can write, for one thread and no failures."""
    waiting, wake, ended = list[Any](), asyncio.Event(), False
    deliver = _coroutine(process)

    def put(item: Any) -> None:
        waiting.append(item)
        if len(waiting) == batch:
            wake.set()

    async def consume() -> None:
        while waiting or not ended:
            await wake.wait()
            wake.clear()
            items = waiting[:]
            waiting.clear()
            for start in range(0, len(items), batch):
                await deliver(items[start : start + batch])

    task = asyncio.create_task(consume())
    await asyncio.sleep(0)
    yield Puts(put)
    ended = True
    wake.set()
    await task


class _Asleep:
    """A policy of flushq's kind that never takes anything."""

    async def collect(self, *_: object) -> None:
        await asyncio.sleep(ASLEEP)


@asynccontextmanager
async def flushed(
    process: Process = len, batch: int = PLENTY, *, asleep: bool = False
) -> AsyncIterator[Puts]:
    """With the faster policy of its two: the other sets a timer for each item."""
    import flushq

    async with flushq.FlushQueue[Any](
        _coroutine(process),
        _Asleep() if asleep else flushq.NaturalPolicy(batch),
        max_queue_size=0,
        max_shutdown_wait=600.0,
        max_shutdown_batch_size=batch,
    ) as queue:
        yield Puts(put=queue.enqueue)


@asynccontextmanager
async def ours(process: Process, *, plain: bool = False, **options: Any) -> AsyncIterator[Puts]:
    processor = process if plain else _coroutine(process)
    async with AsyncQueue[Any]("bench", processor, **options) as queue:
        yield Puts(queue.push_nowait, queue.push, queue.push_all_nowait)


@asynccontextmanager
async def ours_asleep(**options: Any) -> AsyncIterator[Puts]:
    """Ours, whose workers sleep until the end."""
    made = AsyncQueue[Any]("bench", _coroutine(len), processing_interval=ASLEEP, **options)
    async with made as queue:
        yield Puts(queue.push_nowait, queue.push)
        queue.update_options(processing_batch_size="table")


@asynccontextmanager
async def ours_of_threads(**options: Any) -> AsyncIterator[Puts]:
    """Ours without a loop."""
    made = Ours(**options)
    yield Puts(made.put)
    made.close()


def _coroutine(process: Process) -> Callable[[list[Any]], Awaitable[object]]:
    async def deliver(batch: list[Any]) -> None:
        process(batch)

    return deliver


def _called_in_thread(process: Process) -> Callable[[list[Any]], Awaitable[object]]:
    async def deliver(batch: list[Any]) -> None:
        await asyncio.to_thread(process, batch)

    return deliver
