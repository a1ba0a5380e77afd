"""
A sink in use: called as a buffer's worker calls it, and by one.

A coroutine function is called on a loop that stays, since clients are bound to theirs.
"""

import asyncio
import inspect
from collections.abc import Callable, Generator
from contextvars import copy_context
from typing import Any, NamedTuple, Self

from .... import AsyncMap, AsyncQueue, BatchId, Map, Queue, Retry, Stats
from ....abc.batches import asked
from ... import FakeClock, assert_balanced

Script = Callable[[Any], Generator[float]]
"""What is done with a buffer; it yields how many seconds are to pass."""

PLAIN: dict[str, Any] = {"queue": Queue, "map": Map}
ASYNC: dict[str, Any] = {"queue": AsyncQueue, "map": AsyncMap}
ONCE = Retry(attempts=1)


class Delivering(NamedTuple):
    """A worker, as far as a sink may ask it."""

    identity: BatchId

    def batch_id(self) -> BatchId:
        """Return the id of the batch."""
        return self.identity

    def fencing_token(self) -> int:
        """Return that nobody can take over."""
        return 0


class Letters(NamedTuple):
    """What was given up: the item, why, and after how many attempts."""

    items: list[Any]
    errors: list[BaseException]
    attempts: list[int]

    def __call__(self, items: list[Any], error: BaseException, attempts: int) -> None:
        """Take note."""
        self.items.extend(items)
        self.errors.extend([error] * len(items))
        self.attempts.extend([attempts] * len(items))


class Done(NamedTuple):
    """What came of a script."""

    stats: Stats
    dead: Letters


class Use:
    """A sink, until the end of a `with` block."""

    def __init__(self, sink: Any) -> None:
        self.sink = sink
        called = getattr(sink, "__call__", sink)
        self._is_async = inspect.iscoroutinefunction(sink) or inspect.iscoroutinefunction(called)
        self._loop: asyncio.Runner | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        if self._loop is not None:
            self._loop.close()

    def close(self) -> None:
        """Close the sink."""
        if self._is_async:
            self._run(self.sink.close())
        else:
            self.sink.close()

    def give(
        self, batch: Any, *, position: int = 0, store: str = "contract", gaps: int = 0
    ) -> BaseException | None:
        """Call the sink with *batch*, whose id follows from the rest; return what it raised."""
        identity = BatchId("contract", store, 0, position, len(batch), gaps)
        context = copy_context()
        context.run(asked.set, Delivering(identity))
        try:
            if self._is_async:
                self._run(self.sink(batch), context)
            else:
                context.run(self.sink, batch)
        except Exception as error:
            return error
        return None

    def settle(self) -> None:
        """Let the loop do what it has put off, such as to tell of connections that are lost."""
        if self._is_async:
            self._run(_turns())

    def _run(self, coroutine: Any, context: Any = None) -> None:
        if self._loop is None:
            self._loop = asyncio.Runner()
        self._loop.run(coroutine, context=context)

    def in_buffer(self, kind: str, script: Script, **options: Any) -> Done:
        """Have the sink be the processor of a "queue" or "map" in fake time; check the ledger."""
        letters, clock = Letters([], [], []), FakeClock()
        defaults: dict[str, Any] = {"partitions": 1, "retry": ONCE, "processing_batch_size": 10}
        made: dict[str, Any] = {"dead_letter": letters, "clock": clock} | defaults | options
        if self._is_async:
            stats: list[Stats] = []
            self._run(_on_loop(ASYNC[kind]("contract", self.sink, **made), script, clock, stats))
            done = Done(stats[0], letters)
        else:
            with PLAIN[kind]("contract", self.sink, **made) as buffer:
                for seconds in script(buffer):
                    clock.advance(seconds)
            done = Done(buffer.stats(), letters)
        assert_balanced(done.stats)
        assert done.stats.held == 0
        assert done.stats.restarts == 0, "no worker has died"
        return done


class _Unwaiting:
    """An async buffer with the methods of a plain one, as far as nothing waits."""

    def __init__(self, buffer: Any) -> None:
        self._buffer = buffer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._buffer, f"{name}_nowait", None) or getattr(self._buffer, name)


async def _turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def _on_loop(buffer: Any, script: Script, clock: FakeClock, stats: list[Stats]) -> None:
    async with buffer:
        for seconds in script(_Unwaiting(buffer)):
            await clock.aadvance(seconds)
    stats.append(buffer.stats())
