"""The cases on an event loop: what is written from a task, and what is sent end to end."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Literal

from .async_subjects import (
    CHANNELS,
    LoopFactory,
    Process,
    Subject,
    appended,
    consumed,
    consumed_in_time,
    flushed,
    installed,
    kept,
    listed,
    ours,
    ours_asleep,
    ours_of_threads,
    standard,
)
from .cases import FLOOR
from .measure import Row, Timed, call_each, timed
from .subjects import PLENTY

BATCH, BOUND = 100, 1000
BASE = "asyncio.Queue, put_nowait"
IN_TIME = "asyncio.Queue, put_nowait, by size or time"
THEIRS_BOUNDED = f"asyncio.Queue, await put, maxsize={BOUND}"
OURS_BOUNDED = f"AsyncQueue, await push, max_size={BOUND}, flush_at={BATCH}"
Make = Callable[[Process], Subject]
Method = Literal["put_nowait", "put", "put_all_nowait"]


def _on(loop: LoopFactory, main: Coroutine[Any, Any, float]) -> float:
    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(main)


async def _await_each(put: Callable[[Any], Awaitable[object]], items: Sequence[Any]) -> None:
    for item in items:
        await put(item)


async def _write(make: Callable[[], Subject], method: Method, items: list[Any]) -> float:
    async with make() as subject:
        if method == "put_nowait":
            return timed(call_each(subject.put_nowait, items), len(items))
        began = time.perf_counter_ns()
        await _await_each(subject.put, items)
        return (time.perf_counter_ns() - began) / len(items)


def writes(count: int, loop: LoopFactory) -> dict[str, Timed]:
    """So many items are written by one task, while the worker sleeps."""
    subjects: dict[str, tuple[Callable[[], Subject], Method]] = {
        FLOOR: (appended, "put_nowait"),
        "await a coroutine that appends": (appended, "put"),
    }
    for name, make in CHANNELS.items():
        subjects[f"{name}.put_nowait"] = (partial(kept, make), "put_nowait")
        subjects[f"await {name}.put"] = (partial(kept, make), "put")
    roomy = partial(kept, standard, PLENTY)
    subjects["asyncio.Queue.put_nowait, maxsize"] = (roomy, "put_nowait")
    subjects["await asyncio.Queue.put, maxsize"] = (roomy, "put")
    if installed("flushq"):
        subjects["await flushq.enqueue"] = (partial(flushed, asleep=True), "put")
    bounded = {"max_size": PLENTY}
    subjects |= {
        "Queue.push": (ours_of_threads, "put_nowait"),
        "Queue.push, max_size": (partial(ours_of_threads, **bounded), "put_nowait"),
        "AsyncQueue.push_nowait": (ours_asleep, "put_nowait"),
        "AsyncQueue.push_nowait, max_size": (partial(ours_asleep, **bounded), "put_nowait"),
        "await AsyncQueue.push": (ours_asleep, "put"),
        "await AsyncQueue.push, max_size": (partial(ours_asleep, **bounded), "put"),
    }
    items = list(range(count))

    def run(make: Callable[[], Subject], method: Method) -> float:
        return _on(loop, _write(make, method, items))

    return {name: partial(run, *subject) for name, subject in subjects.items()}


def _end_to_end_subjects() -> dict[str, tuple[Make, Method]]:
    def task(make: Any, **how: Any) -> Make:
        return lambda process: consumed(make, process, BATCH, **how)

    def own(**options: Any) -> Make:
        return lambda process: ours(process, processing_batch_size=BATCH, **options)

    subjects: dict[str, tuple[Make, Method]] = {
        "a list, an Event and a task": (lambda process: listed(process, BATCH), "put_nowait"),
    }
    for name, make in CHANNELS.items():
        subjects[f"{name}, put_nowait"] = (task(make), "put_nowait")
        subjects[f"{name}, await put"] = (task(make), "put")
    if installed("flushq"):
        subjects["flushq, await enqueue"] = (lambda process: flushed(process, BATCH), "put")
    return subjects | {
        IN_TIME: (lambda process: consumed_in_time(process, BATCH), "put_nowait"),
        THEIRS_BOUNDED: (task(standard, bound=BOUND), "put"),
        "asyncio.Queue, put_nowait, plain": (task(standard, in_thread=True), "put_nowait"),
        "AsyncQueue, push_nowait": (own(), "put_nowait"),
        f"AsyncQueue, push_nowait, flush_at={BATCH}": (own(flush_at=BATCH), "put_nowait"),
        "AsyncQueue, await push": (own(), "put"),
        OURS_BOUNDED: (own(max_size=BOUND, flush_at=BATCH), "put"),
        "AsyncQueue, push_all_nowait of 100": (own(), "put_all_nowait"),
        "AsyncQueue, push_nowait, plain": (own(plain=True), "put_nowait"),
    }


async def _produce(subject: Any, method: Method, parts: list[list[Any]]) -> None:
    for part in parts:
        if method == "put":
            await _await_each(subject.put, part)
        elif method == "put_nowait":
            call_each(subject.put_nowait, part)()
        else:
            hundreds = [part[start : start + 100] for start in range(0, len(part), 100)]
            call_each(subject.put_all_nowait, hundreds)()
        if len(parts) > 1:
            await asyncio.sleep(0)


async def _send(make: Make, method: Method, shares: list[list[list[Any]]]) -> float:
    """Have each of *shares* put by a task of its own, part by part."""
    seen: list[int] = []
    count = sum(len(part) for parts in shares for part in parts)
    async with AsyncExitStack() as stack:
        subject = await stack.enter_async_context(make(lambda batch: seen.append(len(batch))))
        began = time.perf_counter_ns()
        async with asyncio.TaskGroup() as tasks:
            for parts in shares:
                tasks.create_task(_produce(subject, method, parts))
        await stack.aclose()
        spent = time.perf_counter_ns() - began
    if sum(seen) != count or max(seen) > BATCH:
        raise RuntimeError(f"{sum(seen)} of {count} items arrived, at most {max(seen)} at once")
    return spent / count


def end_to_end(count: int, producers: int, loop: LoopFactory) -> dict[str, Timed]:
    """
    From the first put until the last item is with the processor, in batches of 100 at most.

    One producer pushes all at once; several give way to other tasks after each 100.
    """
    size = count if producers == 1 else BATCH
    parts = [list(range(start, min(start + size, count))) for start in range(0, count, size)]
    shares = [parts[first::producers] for first in range(producers)]

    def run(make: Make, method: Method) -> float:
        return _on(loop, _send(make, method, shares))

    return {name: partial(run, *subject) for name, subject in _end_to_end_subjects().items()}


def like_with_like(
    wrote: dict[str, Row], sent: dict[str, Row]
) -> dict[str, tuple[float, float, float]]:
    """Compare what does the same: by time for a write, by rate from end to end."""
    one, bounded = "AsyncQueue.push_nowait", "AsyncQueue.push_nowait, max_size"
    times = [
        (one, "Queue.push"),
        (bounded, "Queue.push, max_size"),
        ("await AsyncQueue.push", one),
        ("await AsyncQueue.push, max_size", bounded),
    ]
    rates = [
        ("AsyncQueue, push_nowait", BASE),
        ("AsyncQueue, push_nowait", IN_TIME),
        ("AsyncQueue, await push", "asyncio.Queue, await put"),
        (OURS_BOUNDED, THEIRS_BOUNDED),
        ("AsyncQueue, push_nowait, plain", "asyncio.Queue, put_nowait, plain"),
    ]
    return {
        f"time of {mine} ÷ {other}": wrote[mine].ratios(wrote[other]) for mine, other in times
    } | {f"rate of {mine} ÷ {other}": sent[other].ratios(sent[mine]) for mine, other in rates}
