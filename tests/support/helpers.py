"""What several test files share."""

import asyncio
import functools
import itertools
import math
import os
import sys
import sysconfig
import threading
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from portal import Portal

from partitioned_buffer import AsyncMap, AsyncQueue, Entry, Map, PartialFailure, Queue, Retry
from partitioned_buffer.testing import FakeClock, RecordingProcessor

_numbers = itertools.count()

ROUNDS = float(os.environ.get("ROUNDS", "1"))
"""By what the number of rounds is multiplied, of tests that try their luck again and again."""

PATIENCE = 60.0
"""Seconds after which what never ends is given up, long before it would end the whole run."""

EVERY_5_S = Retry(attempts=math.inf, wait_initial=5.0, multiplier=1.0, jitter=0.0)


in_turn = pytest.mark.skipif(
    bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    reason="without the GIL a thread stays with a partition for some pushes: even in the long run",
)
"""Marks what counts on single pushes going to the partitions in turn."""


def rounds(full: int, *, least: int = 1) -> int:
    """Return how many rounds to go: all of them, or as few as `ROUNDS` says."""
    return max(least, round(full * ROUNDS))


@contextmanager
def often_switched(seconds: float = 1e-5) -> Iterator[None]:
    """Have threads take turns after so many seconds, far more often than by themselves."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(seconds)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def in_thread(call: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """Call in a thread of its own; the list gets what came of it."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(call())
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, outcome


def wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() >= until:
            pytest.fail(f"it does not happen within {PATIENCE:g} s")
        threading.Event().wait(0.001)


def join(*threads: threading.Thread) -> None:
    """Wait for the end of *threads*; fail if one of them hangs, and say where."""
    until = time.monotonic() + PATIENCE
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
        if thread.is_alive():
            pytest.fail(f"{thread.name} has not ended within {PATIENCE:g} s:\n{_place_of(thread)}")


def _place_of(thread: threading.Thread) -> str:
    frame = sys._current_frames().get(thread.ident or 0)
    return "" if frame is None else "".join(traceback.format_stack(frame))


def let_time_pass(clock: FakeClock, *, until_end_of: threading.Thread, by: float = 1.0) -> int:
    """Move the clock on until that thread ends; return how often that took."""
    jumps, until = 0, time.monotonic() + PATIENCE
    while until_end_of.is_alive() and time.monotonic() < until:
        clock.jump(by)
        jumps += 1
        until_end_of.join(0.01)
    join(until_end_of)
    return jumps


def running(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run a coroutine function as a test."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(test(*args, **kwargs))  # type: ignore[arg-type]

    return run


def unwoken(buffer: Any) -> Any:
    """Have no write wake the workers, until the next start: all goes by the clock, or a flush."""
    inner = getattr(buffer, "buffer", buffer)
    inner._wake_workers = lambda: None
    for partition in inner._partitions:
        partition.table.rewire(lambda: None)
    return buffer


async def turns(count: int = 10) -> None:
    """Let other tasks have so many turns."""
    for _ in range(count):
        await asyncio.sleep(0)


async def until(condition: Callable[[], bool]) -> None:
    """Do as `wait_until`, in a task."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0)


class Sink:
    """
    A processor and dead letter handler: it fails and dawdles as told, and keeps the rest.

    Told to fail with the class `PartialFailure`, it fails the second half of what it is given.
    """

    def __init__(self, clock: FakeClock | None = None) -> None:
        self._clock = clock
        self.delivered: list[Any] = []
        self.dead: list[Any] = []
        self.errors: list[BaseException | type[PartialFailure]] = []
        self.down: BaseException | type[PartialFailure] | None = None
        self.delays: list[float] = []  # seconds that the next calls take
        self.bury_down = False
        self.bury_errors = 0

    def __call__(self, batch: Any) -> None:
        items = list(batch.values()) if isinstance(batch, dict) else batch
        if self.delays and self._clock:
            self._clock.jump(self.delays.pop(0))
        error = self.errors.pop(0) if self.errors else self.down
        if error is PartialFailure:
            error = PartialFailure(items[len(items) // 2 :])
        if not isinstance(error, BaseException):
            self.delivered += items
            return
        if isinstance(error, PartialFailure):
            failed = error.failed
            self.delivered += [i for i in items if i not in failed and key_of(i) not in failed]
        raise error.with_traceback(None)

    def bury(self, items: list[Any], _error: BaseException, _attempts: int) -> None:
        if self.bury_down:
            self.bury_errors += 1
            raise OSError
        self.dead += items

    def fail(self, *errors: BaseException | type[PartialFailure]) -> None:
        self.errors += errors

    def fail_always(self, error: BaseException | type[PartialFailure]) -> None:
        self.down = error

    def recover(self) -> None:
        self.errors.clear()
        self.down = None
        self.bury_down = False


def key_of(item: Any) -> Any:
    return item.key if isinstance(item, Entry) else item


def values(processor: RecordingProcessor) -> dict[Any, Any]:
    return {entry.key: entry.value for entry in processor.items}


class FaultyProcessor:
    """
    Fails as told with even items, does well with odd ones, and may stall in its first call.

    A call that stalls lets the time pass that somebody outside waits for, so that a `stop()`
    or `flush()` comes to its deadline while the processor is busy; and not a second more.
    """

    def __init__(
        self,
        clock: FakeClock,
        fault: Callable[[list[Any], bool], BaseException | None],
        *,
        stalls: bool = False,
        shortly: bool = False,
        handler_raises: bool = False,
    ) -> None:
        self._clock, self._fault = clock, fault
        self._stalls, self._shortly, self._handler_raises = stalls, shortly, handler_raises
        self._inside: list[Any] = clock._signals
        self._calls = 0
        self._released = False
        self.entered = threading.Event()
        self.delivered: tuple[list[Any], list[Any]] = ([], [])  # even ones, odd ones
        self.dead: list[Any] = []
        self.values: set[object] = set()  # of a Map's entries

    def __call__(self, batch: list[Any]) -> None:
        items = [key_of(item) for item in batch]
        odd, error = items[0] % 2, None
        if not odd:
            self._calls += 1
            first = self._calls == 1
            self.entered.set()
            if self._stalls and first:
                self._stall()
            error = self._fault(items, first)
        failed = items if error else []
        if isinstance(error, PartialFailure):
            failed = error.failed
        self.delivered[odd].extend(item for item in items if item not in failed)
        self.values |= {item.value for item in batch if isinstance(item, Entry)}
        if error:
            raise error

    def bury(self, items: list[Any], _error: BaseException, _attempts: int) -> None:
        if self._handler_raises:  # once
            self._handler_raises = False
            raise OSError
        self.dead += [key_of(item) for item in items]

    def begin_end(self) -> None:
        """Take whoever waits from now on for somebody outside."""
        self._inside = list(self._clock._signals)

    def release(self) -> None:
        with self._clock._changed:
            self._released = True
            self._clock._changed.notify_all()

    def recover(self) -> None:
        self._fault = lambda _items, _first: None

    def _stall(self) -> None:
        clock = self._clock
        with clock._changed:
            while not self._released:
                if due := self._due():
                    clock.jump(1.0 if self._shortly else due - clock.monotonic())
                    self._released = self._shortly
                elif not clock._changed.wait(60):
                    raise TimeoutError("nobody released the call")

    def _due(self) -> float | None:
        """Return what the next one outside waits for, if everybody but this call waits."""
        signals, now = self._clock._signals, self._clock.monotonic()
        if sum(not signal.idle for signal in signals) > 1:
            return None
        outside = [signal.deadline for signal in signals if signal not in self._inside]
        return min((due for due in outside if due and due > now), default=None)


KINDS: dict[str, dict[str, Callable[..., Any]]] = {
    "threads": {"queue": Queue, "map": Map},
    "tasks": {
        "queue": lambda *args, **options: Portal(AsyncQueue(*args, **options)),
        "map": lambda *args, **options: Portal(AsyncMap(*args, **options)),
    },
}
"""What makes a buffer of each kind, by who its workers are."""


def _awaited(kind: Callable[..., Any]) -> Callable[..., Any]:
    """Make *kind* with the same processor, and dead letter handler, as coroutine functions."""

    def as_coroutine(function: Callable[..., object]) -> Callable[..., object]:
        async def call(*args: Any) -> None:
            await asyncio.sleep(0)
            try:
                function(*args)
            except KeyboardInterrupt:  # ends a loop, whoever raises it
                raise SystemExit from None

        return call

    def make(name: str, processor: Any, *, dead_letter: Any, **options: Any) -> Portal:
        handler = as_coroutine(dead_letter)
        return Portal(kind(name, as_coroutine(processor), dead_letter=handler, **options))

    return make


KINDS["coroutines"] = {"queue": _awaited(AsyncQueue), "map": _awaited(AsyncMap)}


class Buffers:
    """Makes started buffers on the test's clock; checks the ledger of each at the end."""

    def __init__(self, clock: FakeClock, processor: RecordingProcessor, face: str) -> None:
        self._kinds = KINDS[face]
        self._defaults: dict[str, Any] = {"clock": clock, "partitions": 1, "retry": EVERY_5_S}
        self._processor = processor
        self.made: list[Queue[Any] | Map[Any, Any]] = []

    def queue(self, **options: Any) -> Queue[Any]:
        queue: Queue[Any] = self._make("queue", options)
        return queue

    def map(self, **options: Any) -> Map[Any, Any]:
        mapped: Map[Any, Any] = self._make("map", options)
        return mapped

    def _make(self, kind: str, options: dict[str, Any]) -> Any:
        name = options.pop("name", f"buffer-{next(_numbers)}")
        processor = options.pop("processor", self._processor)
        buffer = self._kinds[kind](name, processor, **(self._defaults | options))
        self.made.append(buffer)
        buffer.start()
        if isinstance(clock := buffer._settings.clock, FakeClock):
            clock.settle()  # a worker that is about to wait would do so from after a jump on
        return buffer
