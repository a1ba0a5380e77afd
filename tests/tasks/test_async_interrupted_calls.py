"""
A signal pending at every opcode of every call of an async buffer, whose handler raises; of what
is awaited, at every opcode of all its steps.

As for threads: it comes out of that very call, and nobody else notices.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Generator
from functools import partial
from itertools import count
from typing import Any

import pytest
from helpers import running, turns, until
from trips import Interrupts, TimeLimit

from partitioned_buffer import AsyncMap, AsyncQueue
from partitioned_buffer.testing import assert_balanced

numbers = count()
SEVERAL = [10, 11, 12]


class Stepped:
    """An awaitable, whose steps are made where a signal may come."""

    def __init__(self, coroutine: Any, interrupts: Interrupts) -> None:
        self._coroutine, self._interrupts = coroutine, interrupts
        self._send: Callable[[], Any] = partial(coroutine.send, None)

    def __await__(self) -> Generator[Any, Any, None]:
        while True:
            try:
                ended, awaits = self._interrupts.during(self._step)
            except (TimeLimit, KeyboardInterrupt) as error:
                if self._coroutine.cr_frame is None:
                    raise
                # It came where the task makes its step: and so out of what the task awaits.
                self._send = partial(self._coroutine.throw, error)
                continue
            if ended:
                return
            self._send = partial(self._coroutine.send, None)
            yield awaits

    def _step(self) -> tuple[bool, Any]:
        try:
            return False, self._send()
        except StopIteration:
            return True, None


class Subject:
    """A buffer, in which something waits, and what becomes of it."""

    def __init__(self, kind: Any, *, begun: bool = True, **options: Any) -> None:
        self.delivered: list[Any] = []
        options = {"partitions": 2, "processing_interval": 3600} | options
        self.buffer = kind(f"interrupted {next(numbers)}", self.process, **options)
        self.before, self._begun = 0, begun

    async def process(self, batch: list[Any]) -> None:
        await asyncio.sleep(0)
        self.delivered += batch

    async def begin(self) -> None:
        if not self._begun:
            return
        await self.buffer.__aenter__()
        for number in range(2):
            self.write(number)
        self.before = 2

    def write(self, number: int) -> None:
        if isinstance(self.buffer, AsyncMap):
            self.buffer.put_nowait(number, number)
        else:
            self.buffer.push_nowait(number)

    async def trouble(self, accepts: set[int]) -> str | None:
        """Say what is wrong, if anything is, with what has accepted one of these numbers."""
        buffer = self.buffer
        if buffer._run.is_alive:
            await buffer.__aexit__(None, None, None)
        await until(lambda: buffer._run.has_ended)
        await turns()
        if buffer.running or len(asyncio.all_tasks()) > 1:
            return f"something goes on: {asyncio.all_tasks()}"
        accepted = buffer.stats().accepted
        if accepted - self.before not in accepts:
            return f"{accepted - self.before} were accepted"
        async with buffer:
            self.write(99)
            await buffer.flush()
        stats = buffer.stats()
        assert_balanced(stats)
        settled = stats.delivered + stats.coalesced + stats.deleted
        if stats.held or settled != accepted + 1 or len(self.delivered) != stats.delivered:
            return f"not delivered: {stats}, {self.delivered}"
        if max(Counter(map(repr, self.delivered)).values()) > 1:
            return f"delivered twice: {self.delivered}"
        return None


async def within_a_block(buffer: Any) -> None:
    async with buffer:
        buffer.push_nowait(7)


def by_item(item: int) -> int:
    return item


NONE, ONE, ALL, SOME = {0}, {0, 1}, {0, 3}, {0, 1, 2, 3}
FULL, NEW = {"max_size": 2}, {"begun": False}
PAIRS, TRIPLES = [(i, i) for i in SEVERAL], [(i, i, 3) for i in SEVERAL]
NOWAIT: dict[str, tuple[set[int], Any, dict[str, Any], Callable[[Any], object]]] = {
    "push_nowait": (ONE, AsyncQueue, {}, lambda b: b.push_nowait(7)),
    "push_nowait by key": (ONE, AsyncQueue, {}, lambda b: b.push_nowait(7, partition_key=by_item)),
    "push_all_nowait": (ALL, AsyncQueue, {}, lambda b: b.push_all_nowait(iter(SEVERAL))),
    "put_nowait": (ONE, AsyncMap, {}, lambda b: b.put_nowait(7, 7)),
    "put_newer_nowait": (ONE, AsyncMap, {}, lambda b: b.put_newer_nowait(1, 7, 5)),
    "put_all_nowait": (SOME, AsyncMap, {}, lambda b: b.put_all_nowait(PAIRS)),
    "put_all_newer_nowait": (SOME, AsyncMap, {}, lambda b: b.put_all_newer_nowait(TRIPLES)),
    "delete_nowait": (ONE, AsyncMap, {}, lambda b: b.delete_nowait(1)),
    "get": (NONE, AsyncMap, {}, lambda b: b.get(1)),
    "items, in": (NONE, AsyncMap, {}, lambda b: (b.items(), 1 in b)),
    "partition_of": (NONE, AsyncMap, {}, lambda b: b.partition_of(1)),
    "size, stats": (NONE, AsyncQueue, {}, lambda b: (b.size(), b.stats())),
    "update_options": (NONE, AsyncQueue, {}, lambda b: b.update_options(flush_at=2)),
}
AWAITED: dict[str, tuple[set[int], Any, dict[str, Any], Callable[[Any], Awaitable[object]]]] = {
    "push": (ONE, AsyncQueue, {}, lambda b: b.push(7)),
    "push, full": (ONE, AsyncQueue, FULL, lambda b: b.push(7)),
    "push_all": (ALL, AsyncQueue, {}, lambda b: b.push_all(SEVERAL)),
    "push_all, full": (SOME, AsyncQueue, FULL, lambda b: b.push_all(SEVERAL)),
    "put": (ONE, AsyncMap, {}, lambda b: b.put(7, 7)),
    "put, full": (ONE, AsyncMap, FULL, lambda b: b.put(7, 7)),
    "put_newer": (ONE, AsyncMap, {}, lambda b: b.put_newer(1, 7, 5)),
    "put_all": (SOME, AsyncMap, {}, lambda b: b.put_all(PAIRS)),
    "put_all_newer": (SOME, AsyncMap, {}, lambda b: b.put_all_newer(TRIPLES)),
    "delete": (ONE, AsyncMap, {}, lambda b: b.delete(1)),
    "flush": (NONE, AsyncQueue, {}, lambda b: b.flush()),
    "flush in time": (NONE, AsyncQueue, {}, lambda b: b.flush(60)),
    "stop": (NONE, AsyncQueue, {}, lambda b: b.stop()),
    "enter": (NONE, AsyncQueue, NEW, lambda b: b.__aenter__()),
    "leave": (NONE, AsyncQueue, {}, lambda b: b.__aexit__(None, None, None)),
    "block": (ONE, AsyncQueue, NEW, within_a_block),
}


async def enumerate_all(
    trip: Any,
    case: tuple[set[int], Any, dict[str, Any], Callable[[Any], Any]],
    call: Callable[[Interrupts, Any], Awaitable[None]],
) -> None:
    """Have *call* interrupted at one opcode after the other."""
    accepts, kind, options, _ = case
    interrupts = Interrupts(trip)

    async def interrupted(at: int) -> tuple[str | None, int]:
        """Say what is wrong, if anything is, and how many opcodes there were."""
        subject, raised = Subject(kind, **options), None
        await subject.begin()
        interrupts.come_at(at)
        try:
            await call(interrupts, subject.buffer)
        except (TimeLimit, KeyboardInterrupt) as error:
            raised = error
        trouble = interrupts.swallowed(raised) or await subject.trouble(accepts)
        return trouble, interrupts.seen

    with interrupts.session():
        results = [await interrupted(10**9) for _ in range(3)]
        last = results[-1][1]
        assert results[-1][0] is None
        for at in interrupts.places(last, 20):
            trouble, _ = await interrupted(at)
            assert trouble is None, f"opcode {at} of {last}: {trouble}"


@pytest.mark.parametrize("name", NOWAIT)
@running
async def test_of_what_does_not_wait(trip: Any, name: str) -> None:
    case = NOWAIT[name]

    async def call(interrupts: Interrupts, buffer: Any) -> None:
        interrupts.during(lambda: case[3](buffer))

    await enumerate_all(trip, case, call)


# A coroutine may be interrupted before its first step: who would have awaited it has been told.
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", AWAITED)
@running
async def test_of_what_is_awaited(trip: Any, name: str) -> None:
    case = AWAITED[name]

    async def call(interrupts: Interrupts, buffer: Any) -> None:
        await Stepped(case[3](buffer), interrupts)

    await enumerate_all(trip, case, call)
