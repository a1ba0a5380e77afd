"""The explorer of schedules finds what is planted: one that finds nothing proves nothing."""

import ast
import asyncio
from collections.abc import Callable

import pytest
from loop_explorer import Check, ExploredLoop, explore, replay, sweep


class Naive:
    """What a hand-written double buffer does: process, and clear what was processed."""

    def __init__(self) -> None:
        self.items: list[int] = []
        self.delivered: list[int] = []

    async def push(self) -> None:
        for item in range(3):
            self.items.append(item)
            await asyncio.sleep(0)

    async def flush(self) -> None:
        for _ in range(2):
            await asyncio.sleep(0)
        await self.deliver()

    async def deliver(self) -> None:
        taken = self.items[:]
        await asyncio.sleep(0)
        self.delivered += taken
        self.items.clear()

    def check(self) -> None:
        assert self.delivered + self.items == [0, 1, 2]


class Careful(Naive):
    """... and what it should do."""

    async def deliver(self) -> None:
        taken = self.items[:]
        await asyncio.sleep(0)
        self.delivered += taken
        del self.items[: len(taken)]


class Swapping(Naive):
    """Empties the buffer before it delivers: a worker that is cancelled in between loses it."""

    async def deliver(self) -> None:
        taken, self.items = self.items, []
        await asyncio.sleep(0)
        self.delivered += taken


def of_toy(kind: Callable[[], Naive]) -> Callable[[ExploredLoop], Check]:
    def scenario(loop: ExploredLoop) -> Check:
        toy = kind()
        loop.spawn("pusher", toy.push())
        loop.spawn("worker", toy.flush())
        return toy.check

    return scenario


def test_the_explorer_finds_what_is_cleared_unread() -> None:
    replay(of_toy(Naive), [])

    with pytest.raises(AssertionError, match="choices=") as found:
        explore(of_toy(Naive))

    choices = ast.literal_eval(str(found.value).split("choices=")[1].split(", cuts")[0])
    with pytest.raises(AssertionError):
        replay(of_toy(Naive), choices)


def test_the_explorer_finds_what_a_cancelled_worker_loses() -> None:
    explore(of_toy(Swapping))

    with pytest.raises(AssertionError, match="worker"):
        sweep(of_toy(Swapping), "worker", schedules=1)


def test_the_explorer_finds_a_task_that_waits_for_ever() -> None:
    def scenario(loop: ExploredLoop) -> Check:
        event = asyncio.Event()

        async def wait() -> None:
            event.clear()  # which may have been set by now
            await event.wait()

        async def wake() -> None:
            await asyncio.sleep(0)
            event.set()

        loop.spawn("waiter", wait())
        loop.spawn("waker", wake())
        return lambda: None

    with pytest.raises(AssertionError, match="waiter waits for ever"):
        explore(scenario)


def test_the_explorer_finds_nothing_where_nothing_is() -> None:
    explored = explore(of_toy(Careful), at_least=300)

    assert explored.complete
    assert sweep(of_toy(Careful), "worker", schedules=5) > 10
