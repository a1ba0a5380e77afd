"""asyncio, whichever loop runs it."""

import asyncio
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from contextvars import Context
from typing import Any, NamedTuple

from .base import Main, RunningLoop

LONGEST = 24 * 3600.0
"""Seconds that a timer is set for at most; who waits longer looks at the clock in between."""


EXACT, GRAIN = 1.0, 0.02
"""Seconds: waits of at least the first may take up to the second longer."""


class AsyncioSignal:
    """A flag that is only ever touched by the loop's own thread, so that nothing can race."""

    __slots__ = ("_up", "_waiter", "home")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.home = loop  # whose thread is told of what is raised
        self._up = False
        self._waiter: asyncio.Future[None] | None = None

    def set(self) -> None:
        """Raise the flag, soon."""
        # From the loop's own thread, too: a signal handler or finalizer may run there, in the
        # middle of anything, and this is the one way in that is made for that.
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            self.home.call_soon_threadsafe(self._raise)

    @staticmethod
    def set_all(signals: "Sequence[AsyncioSignal]") -> None:
        """Raise the flags of one loop, soon, which takes one way in for all."""
        with suppress(RuntimeError):
            signals[0].home.call_soon_threadsafe(_raise_all, signals)

    def _raise(self) -> None:
        self._up = True
        if self._waiter is not None:
            _end(self._waiter)

    async def wait(self, timeout: float | None) -> None:
        """Wait for the flag, then lower it."""
        if not self._up:
            waiter = self._waiter = self.home.create_future()
            timer = None if timeout is None else _timer(self.home, timeout, waiter)
            try:
                await waiter
            finally:
                self._waiter = None
                if timer is not None:
                    timer.cancel()
        self._up = False

    def close(self) -> None:
        """Nothing to give back."""


def _raise_all(signals: Sequence[AsyncioSignal]) -> None:
    for signal in signals:  # as `_raise` does: there may be a thousand
        signal._up = True
        if (waiter := signal._waiter) is not None and not waiter.done():
            waiter.set_result(None)


def _end(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)


class _Together:
    """One timer of a loop, for all who wait until about the same time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, tick: int, all_of_them: "_Ticks") -> None:
        self.waiters: dict[asyncio.Future[None], None] = {}
        self._tick, self._all = tick, all_of_them
        # In no context: it would keep what that has, which may be a buffer, as long as it is set.
        loop.call_at(tick * GRAIN, self._end, context=Context())

    def _end(self) -> None:
        self._all.pop(self._tick, None)
        for waiter in self.waiters:
            _end(waiter)


class _Place(NamedTuple):
    """Of a waiter among those, as a timer that can be cancelled."""

    together: _Together
    waiter: "asyncio.Future[None]"

    def cancel(self) -> None:
        """Wait for it no more."""
        self.together.waiters.pop(self.waiter, None)


_Ticks = dict[int, _Together]


class _Here(threading.local):
    """What the loop has that runs in this thread."""

    loop: asyncio.AbstractEventLoop | None = None
    ticks: _Ticks


_here = _Here()


def _timer(
    loop: asyncio.AbstractEventLoop, seconds: float, waiter: "asyncio.Future[None]"
) -> asyncio.TimerHandle | _Place:
    """
    Have *waiter* wait no longer than that.

    A thousand who wait for some seconds, and mostly not in vain, share a few timers: to set one
    and to cancel it takes as long as all the rest of a wait.
    """
    if not EXACT <= seconds <= LONGEST:
        return loop.call_later(min(seconds, LONGEST), _end, waiter)
    if _here.loop is not loop:
        _here.loop, _here.ticks = loop, {}
    tick = int((loop.time() + seconds) / GRAIN) + 1
    together = _here.ticks.get(tick)
    if together is None:
        together = _here.ticks[tick] = _Together(loop, tick, _here.ticks)
    together.waiters[waiter] = None
    return _Place(together, waiter)


class AsyncioGroup(asyncio.TaskGroup):
    """
    The standard library's group.

    Unlike others, it may be left in another task than it was entered in, as frameworks'
    fixtures and lifespans do.
    """

    def start(self, main: Main, name: str, gone: Callable[[], None]) -> Callable[[], object]:
        """Start a task, which calls *gone* at its end; return what cancels it."""
        task = self.create_task(main(), name=name)
        task.add_done_callback(lambda _: gone())
        return task.cancel


class AsyncioLoop(RunningLoop):
    """The loop that runs in this thread."""

    way_in = "asyncio.run_coroutine_threadsafe(buffer.{}(...), loop)"

    def __init__(self) -> None:
        self.native: asyncio.AbstractEventLoop = asyncio.get_running_loop()

    def here(self) -> bool:
        return asyncio._get_running_loop() is self.native

    def is_over(self) -> bool:
        return self.native.is_closed()

    def task(self) -> object:
        return asyncio.current_task() if self.here() else None

    def signal(self) -> AsyncioSignal:
        return AsyncioSignal(self.native)

    def group(self) -> AsyncioGroup:
        return AsyncioGroup()

    async def checkpoint(self) -> None:
        await asyncio.sleep(0)

    def run(self, main: Main) -> Any:
        return asyncio.run_coroutine_threadsafe(main(), self.native).result()

    def ends(self, error: BaseException) -> bool:
        if isinstance(error, asyncio.CancelledError):
            task = asyncio.current_task()  # none, where a coroutine is driven by hand
            return task is None or task.cancelling() > 0
        return isinstance(error, KeyboardInterrupt | GeneratorExit)

    def forgive(self, error: BaseException) -> bool:
        task = asyncio.current_task()
        if not isinstance(error, asyncio.CancelledError) or task is None or not task.cancelling():
            return False
        task.uncancel()
        return True

    def later(self, seconds: float, callback: Callable[[], object]) -> None:
        self.native.call_later(min(seconds, LONGEST), callback)

    def soon(self, callback: Callable[[], object]) -> None:
        with suppress(RuntimeError):  # the loop is closed
            self.native.call_soon_threadsafe(callback)

    def shield(self) -> AbstractContextManager[object]:
        # A cancellation of asyncio's own comes once, and has come. Those of anyio come again
        # and again until their scope is left.
        anyio = sys.modules.get("anyio")
        return nullcontext() if anyio is None else anyio.CancelScope(shield=True)
