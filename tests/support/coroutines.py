"""Coroutine processors, and what has to hold of a buffer of theirs that was left."""

import asyncio
import math
from collections.abc import Callable
from typing import Any

from helpers import turns

from partitioned_buffer import AsyncQueue, Retry
from partitioned_buffer.testing import assert_balanced

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


FOREVER = Retry(attempts=math.inf, wait_initial=5.0, multiplier=1.0, jitter=0.0)


class Slow:
    """A coroutine processor that takes its time, and can be held up."""

    def __init__(self) -> None:
        self.items: list[int] = []
        self.entered = 0
        self.cancelled = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, batch: list[int]) -> None:
        self.entered += 1
        try:
            await turns(3)
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        self.items += batch


async def use(
    queue: AsyncQueue[int], pushed: int = 25, then: Callable[[], object] = lambda: None
) -> None:
    async with queue:
        for number in range(pushed):
            await queue.push(number)
        then()
        await asyncio.Event().wait()


def settled(queue: AsyncQueue[int]) -> bool:
    """Check what has to hold of every buffer that was left."""
    assert_balanced(queue.stats())
    assert not queue.running
    assert len(asyncio.all_tasks()) == 1
    return True
