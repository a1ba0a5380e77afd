"""
Every schedule of the asyncio face, not the lucky ones: pushes, flushes and stops, in any order of
wakeups (see `loop_explorer`), and with any task cancelled at any step.

`test_explorer` plants the races that the design avoids, and sees them found.

The environment variable `SCHEDULES` is how many each test explores at most (100 unless set).
"""

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest
from loop_explorer import (
    ALL,
    BEGAN,
    CLOCK,
    SCHEDULES,
    Check,
    ExploredLoop,
    Scenario,
    explore,
    sweep,
)

from partitioned_buffer import (
    AsyncMap,
    AsyncQueue,
    BufferFull,
    BufferNotFound,
    BufferNotRunning,
    Reject,
    Retry,
    Undelivered,
    get,
)
from partitioned_buffer.testing import assert_balanced

FEW = max(2, SCHEDULES // 40)
"""Of how many schedules each step is tried."""

EXIT_TIMEOUT = 30.0
"""Of a buffer, unless set."""

PATIENCE = 25.0
"""Seconds that a scenario takes at most: no timeout is ever needed, nor a second attempt twice."""

WORKER, WATCHDOG = "explored-0", "explored-watchdog"

HASTE = {"hasty": 10}
"""How often the time of a scenario runs ahead."""

Tasks = dict[str, Callable[[], Coroutine[Any, Any, None]]]

EVERY_SECOND = Retry(attempts=math.inf, wait_initial=1.0, multiplier=1.0, jitter=0.0)


@pytest.fixture(autouse=True)
def time_is_the_loops(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Leave nothing to the machine's clock, and to later tests no name that a failure has left."""
    monkeypatch.setattr("partitioned_buffer._tasks.supervisor.SystemClock", lambda: CLOCK)
    monkeypatch.setattr("partitioned_buffer._tasks.worker.time", CLOCK)
    monkeypatch.setattr("partitioned_buffer._core.buffer.registry._running", {})
    caplog.set_level(
        logging.CRITICAL, "partitioned_buffer"
    )  # it would be reported a thousand times


class World:
    """
    A buffer, the tasks that use it, and what became of each item.

    Items are accepted in the order in which writes return, for none gives way after it has
    written. So the law is one of sequences: what is settled, then what is held, is what was
    accepted, by partition.
    """

    def __init__(
        self, loop: ExploredLoop, kind: type[Any] = AsyncQueue, *, calm: bool = True, **options: Any
    ) -> None:
        defaults: dict[str, Any] = {
            "clock": CLOCK,
            "partitions": 1,
            "processing_batch_size": 2,
            "processing_interval": 60.0,
            "interval_jitter": 0.0,
            "retry": EVERY_SECOND,
            "dead_letter": self.bury,
        }
        made = defaults | options
        self.loop, self.calm = loop, calm
        self.until = math.inf if loop.haste else BEGAN + PATIENCE
        loop.when_idle = self.check_idle
        self.buffer = kind("explored", self.process, **made)
        self.partition: Callable[[Any], Any] = made.get("partition_key", lambda _: 0)
        self.room: int = made.get("max_size", 0)
        self.accepted: list[Any] = []
        self.settled: list[Any] = []
        self.errors: list[BaseException] = []  # of the calls that come next
        self.stuck = False  # whether calls take for ever
        self.rejected = self.undelivered = 0
        self.busy = Counter[Any]()

    async def process(self, batch: list[Any]) -> None:
        await self.settle(batch, self.errors.pop(0) if self.errors else None)

    async def bury(self, items: list[Any], error: BaseException, _attempts: int) -> None:
        if isinstance(error, Undelivered):  # the end of a block has left them
            self.undelivered += len(items)
        await self.settle(items, None)

    async def settle(self, batch: list[Any], error: BaseException | None) -> None:
        items = list(map(item_of, batch))
        partition = self.partition(items[0])
        assert not self.busy[partition], "cycles of a partition overlap"
        self.busy[partition] += 1
        try:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            if self.stuck:
                await asyncio.sleep(1_000.0)
            if error is not None:
                raise error.with_traceback(None)
            self.settled += items
        except Reject:
            self.rejected += len(items)
            raise
        finally:
            self.busy[partition] -= 1

    # --- tasks

    async def live(self, others: Tasks) -> None:
        """Be the task in the `async with`, with other tasks in it."""
        in_body = False
        try:
            async with self.buffer:
                in_body = True
                await asyncio.wait([self.loop.start(name, task()) for name, task in others.items()])
                in_body = False
        except GeneratorExit:
            self.calm = False  # a worker has died
        except asyncio.CancelledError:
            self.calm = self.calm and in_body  # else it is as if the time of stop() were over
            raise

    async def write_each(self, *items: Any) -> None:
        for item in items:
            is_map = isinstance(self.buffer, AsyncMap)
            writing = self.buffer.put(item, item) if is_map else self.buffer.push(item)
            await self.write(writing, item)
            await asyncio.sleep(0)

    async def write_together(self, *items: Any) -> None:
        is_map = isinstance(self.buffer, AsyncMap)
        pairs = ((item, item) for item in items)
        writing = self.buffer.put_all(pairs) if is_map else self.buffer.push_all(items)
        await self.write(writing, *items)

    async def write(self, writing: Awaitable[None], *items: Any) -> None:
        with suppress(BufferNotRunning, BufferFull):
            await writing
            self.accepted += items
            assert not any(worker.ended for worker in self.buffer._run.workers)

    async def flush(self, timeout: float | None = None) -> None:
        before = set(self.accepted)
        with suppress(BufferNotRunning, TimeoutError):
            await self.buffer.flush(timeout)
            assert before <= set(self.settled)

    async def stop(self, timeout: float | None = None) -> None:
        try:
            await self.buffer.stop(timeout)
        except asyncio.CancelledError:
            self.calm = False
            raise
        assert not self.buffer.running

    # --- checks

    @property
    def held(self) -> list[Any]:
        return [
            item_of(item)
            for table in (p.table for p in self.buffer._partitions)
            for item in table.held()
        ]

    def check(self) -> None:
        """See that all is in its place, that nothing is left over, and that it can live again."""
        self.check_law()
        assert self.buffer._state in ("new", "stopped")
        assert self.buffer.stats().blocked == 0
        with pytest.raises(BufferNotFound):
            get("explored")
        assert CLOCK.now < self.until, "somebody waited for nothing"
        if self.calm:
            assert not self.held
        self.errors.clear()
        self.stuck = False
        self.loop.settle(self.live_again())
        self.check_law()
        assert not self.held

    def check_law(self) -> None:
        stats = self.buffer.stats()
        assert_balanced(stats)
        assert stats.accepted == len(self.accepted)
        assert stats.delivered + stats.dead_lettered == len(self.settled)
        assert stats.dead_lettered <= self.rejected + self.undelivered
        found = self.settled + self.held
        for partition in set(map(self.partition, self.accepted + found)):
            mine = [item for item in found if self.partition(item) == partition]
            assert mine == [item for item in self.accepted if self.partition(item) == partition]

    def check_idle(self) -> None:
        """See that nobody waits for room that there is, or writes though a worker is to end."""
        assert self.loop.length or WORKER not in self.loop.struck or not self.buffer.running
        room = self.buffer._admission.room
        if room is not None and self.buffer.stats().blocked:
            assert room.used + MOST_AT_ONCE > (room.size or 0)

    async def live_again(self) -> None:
        write = getattr(self.buffer, "push_nowait", lambda item: self.buffer.put_nowait(item, item))
        async with self.buffer:
            await self.buffer.flush()
            for item in range(self.room or 1):
                write(str(item))
                self.accepted.append(str(item))
            if self.room:
                with pytest.raises(BufferFull):
                    write("one more")
            await self.buffer.flush()
            await asyncio.sleep(EXIT_TIMEOUT + 10.0)  # nobody from the life before acts on this one
            write("later")
            self.accepted.append("later")
            await self.buffer.flush()


def item_of(item: Any) -> Any:
    return getattr(item, "value", item)


def of(build: Callable[[World], Tasks], **options: Any) -> Scenario:
    """Return a scenario: a life with the tasks that *build* returns."""

    def scenario(loop: ExploredLoop) -> Check:
        world = World(loop, **options)
        loop.spawn("life", world.live(build(world)))
        return world.check

    return scenario


def busy(world: World) -> Tasks:
    """Two who write, one who flushes."""
    return {
        "a": lambda: world.write_each("a1", "a2", "a3"),
        "b": lambda: world.write_each("b1", "b2"),
        "flush": world.flush,
    }


def failing(world: World) -> Tasks:
    """... while the processor fails twice."""
    world.errors += [OSError("down"), OSError("down")]
    return busy(world)


def burying(world: World) -> Tasks:
    """... while the processor wants nothing of the first batch."""
    world.errors += [Reject("no")]
    return busy(world)


MOST_AT_ONCE = 2
"""How much one write takes at most, of those that may have to wait."""


def full(world: World) -> Tasks:
    """Three who write more than there is room for, one by one, and two at once."""
    world.errors += [OSError("down")]
    return {
        "a": lambda: world.write_each("a1", "a2", "a3"),
        "b": lambda: world.write_together("b1", "b2"),
        "c": lambda: world.write_each("c1", "c2"),
    }


def ending(world: World) -> Tasks:
    """Writes, a flush and two stops, all at once."""
    return {
        "a": lambda: world.write_each("a1", "a2", "a3"),
        "flush": world.flush,
        "stop": world.stop,
        "stop again": world.stop,
    }


def stuck(world: World) -> Tasks:
    """... while the processor never returns."""
    world.stuck, world.calm = True, False
    return {
        "a": lambda: world.write_each("a1", "a2", "a3"),
        "flush": lambda: world.flush(1.0),
        "stop": lambda: world.stop(2.0),
    }


def dying(world: World) -> Tasks:
    """Writes and a flush while one of two workers dies."""
    world.errors += [GeneratorExit()]
    world.calm = False
    return busy(world)


def hasty(world: World) -> Tasks:
    """... with little time for anything."""
    return {
        "a": lambda: world.write_each("a1", "a2", "a3"),
        "b": lambda: world.write_together("b1", "b2"),
        "flush": lambda: world.flush(1.0),
        "stop": lambda: world.stop(1.0),
    }


SCENARIOS: dict[str, tuple[Callable[[World], Tasks], dict[str, Any]]] = {
    "busy": (busy, {"retry": Retry(attempts=1)}),
    "failing": (failing, {}),
    "failing map": (failing, {"kind": AsyncMap}),
    "apart": (failing, {"partitions": 2, "partition_key": lambda item: item[0]}),
    "burying": (burying, {}),
    "full": (full, {"max_size": 2}),
    "full map": (full, {"kind": AsyncMap, "max_size": 2}),
    "ending": (ending, {"max_size": 2}),
    "stuck": (stuck, {"exit_timeout": 5.0, "processing_timeout": 10.0}),
    "dying": (dying, {"partitions": 2, "partition_key": lambda item: item[0]}),
    "hasty": (hasty, {"max_size": 2, "block_timeout": 1.0, "calm": False}),
}


def called(name: str, **options: Any) -> Scenario:
    build, others = SCENARIOS[name]
    return of(build, **(others | options))


@pytest.mark.parametrize("name", SCENARIOS)
def test_in_whatever_order_wakeups_come_all_is_delivered_once_and_in_turn(name: str) -> None:
    explored = explore(called(name), haste=HASTE.get(name, 0))

    assert explored.distinct > 20


@pytest.mark.parametrize(
    ("name", "whom"),
    [
        ("busy", "life"),
        ("busy", "a"),
        ("busy", "flush"),
        ("busy", WORKER),
        ("busy", WATCHDOG),
        ("busy", ALL),
        ("failing", "life"),
        ("failing", "flush"),
        ("failing", WORKER),
        ("failing map", ALL),
        ("apart", WORKER),
        ("apart", ALL),
        ("burying", WORKER),
        ("burying", ALL),
        ("full", "life"),
        ("full", "a"),
        ("full", "b"),
        ("full", WORKER),
        ("full map", "a"),
        ("full map", "b"),
        ("full map", ALL),
        ("ending", "life"),
        ("ending", "a"),
        ("ending", "flush"),
        ("ending", "stop"),
        ("ending", WORKER),
        ("ending", ALL),
        ("stuck", "life"),
        ("stuck", "flush"),
        ("stuck", "stop"),
        ("stuck", WORKER),
        ("stuck", ALL),
        ("dying", "life"),
        ("dying", ALL),
        ("hasty", "life"),
        ("hasty", "a"),
        ("hasty", "stop"),
        ("hasty", ALL),
    ],
)
def test_whoever_is_cancelled_at_whatever_step_nothing_is_lost(name: str, whom: str) -> None:
    struck = sweep(called(name), whom, schedules=FEW, haste=HASTE.get(name, 0))

    assert struck > 5 * FEW


@pytest.mark.parametrize(
    ("name", "first", "then"),
    [
        ("failing", "life", "life"),
        ("failing", "life", WORKER),
        ("failing", WORKER, "life"),
        ("failing", WORKER, WORKER),
        ("failing", ALL, ALL),
        ("burying", ALL, WORKER),
        ("full", "a", WORKER),
        ("full map", ALL, "life"),
        ("ending", "stop", "life"),
        ("ending", "stop", "stop again"),
    ],
)
def test_who_is_cancelled_in_the_middle_of_ending_leaves_what_is_held(
    name: str, first: str, then: str
) -> None:
    scenario = called(name, calm=False)

    assert sweep(scenario, first, schedules=FEW, then=then, gaps=2) > 10 * FEW
