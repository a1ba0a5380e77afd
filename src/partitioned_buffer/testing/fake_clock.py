"""
Time that stands still until told to advance, for threads and for tasks.
"""

import math
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar

from ..abc import Loop

TURN = 0.5
"""Real seconds that a thread waits at a time. It may have missed what a finalizer or a signal
handler raised on that very thread, just before it began to wait."""

UNBLOCK = "Let it go on first: this wait is for what it has to do"


class FakeClock:
    """
    A clock that stands still until told to advance.

    Give it to a buffer as `clock=`. Threads that wait are real, only their time is not.

    When the thread that made the clock, or the task that entered an async buffer, waits itself
    (in `stop()`, in `flush()`, for room in a full buffer) and everybody else waits too, nobody is
    left to advance it: it then jumps to what is due next, as often as it takes. If somebody does
    not wait, and nothing happens, that raises `TimeoutError`: a processor is blocked, say.

    *patience*: real seconds after which a wait that cannot end is given up.
    """

    def __init__(self, *, patience: float = 30.0) -> None:
        self._changed = threading.Condition()
        self._signals: list[_AnyFakeSignal] = []
        self._now = 0.0
        self._patience = patience
        self._began = time.time()
        self._owner = threading.get_ident()
        self._openers: dict[Loop, object] = {}

    def monotonic(self) -> float:
        """Return the seconds advanced so far."""
        return self._now

    def time(self) -> float:
        """Return wall-clock time: that of creation, plus what was advanced."""
        return self._began + self._now

    def signal(self) -> "_FakeSignal":
        """Return a signal whose timeouts are this clock's."""
        with self._changed:
            signal = _FakeSignal(self)
            self._signals.append(signal)
            return signal

    def async_signal(self, loop: Loop, /) -> "_FakeAsyncSignal":
        """Return a signal for a task of *loop*, whose timeouts are this clock's."""
        with self._changed:
            self._openers.setdefault(loop, loop.task())
            signal = _FakeAsyncSignal(self, loop)
            self._signals.append(signal)
            return signal

    def advance(self, seconds: float) -> None:
        """
        Let *seconds* pass, one deadline after the other; return when all is settled.

        Raises `TimeoutError` when a worker does not settle (see `settle`).
        """
        if not seconds >= 0:
            raise ValueError(f"seconds={seconds!r}: expected a number from 0")
        self.settle()
        end = self._now + seconds
        while (due := self._next_deadline()) is not None and due <= end:
            self._set(due)
            self.settle()
        self._set(end)
        self.settle()

    def jump(self, seconds: float) -> None:
        """Let *seconds* pass at once, and do not wait for anybody: a processor may be blocked."""
        self._set(self._now + seconds)

    def settle(self) -> None:
        """
        Return when every worker has done what it was asked to, and waits.

        Raises `TimeoutError` when one does not within the clock's patience: most likely its
        processor is blocked.
        """
        with self._changed:
            idle = self._changed.wait_for(
                lambda: all(signal.idle for signal in self._signals), self._patience
            )
        if not idle:
            raise self._given_up("jump() moves the clock without waiting")

    def _given_up(self, hint: str) -> TimeoutError:
        return TimeoutError(
            f"a worker was still busy after {self._patience} real seconds: is its processor "
            f"blocked? {hint}"
        )

    async def aadvance(self, seconds: float) -> None:
        """Do as `advance`, and let the event loop run meanwhile."""
        await self._beside_the_loop(lambda: self.advance(seconds))

    async def asettle(self) -> None:
        """Do as `settle`, and let the event loop run meanwhile."""
        await self._beside_the_loop(self.settle)

    async def _beside_the_loop(self, call: Callable[[], None]) -> None:
        here = [loop for loop in self._openers if loop.task() is not None]
        if not here:  # no buffer has been entered
            call()
            return
        done, errors = here[-1].signal(), list[BaseException]()

        def run() -> None:
            try:
                call()
            except BaseException as error:
                errors.append(error)
            done.set()

        threading.Thread(target=run, daemon=True).start()
        await done.wait(None)
        for error in errors:
            raise error

    def _next_deadline(self) -> float | None:
        with self._changed:
            deadlines = [s.deadline for s in self._signals if s.deadline is not None]
            return min(deadlines, default=None)

    def _jump_to_next(self) -> bool:
        """Be at the next deadline, if all wait; say whether."""
        if not all(signal.idle for signal in self._signals):
            return False
        due = self._next_deadline()
        if due is None:
            return False
        self._set(due)
        return True

    def _set(self, now: float) -> None:
        with self._changed:
            self._now = max(self._now, now)  # a processor may have jumped further
            self._notify()

    def _notify(self) -> None:
        self._changed.notify_all()
        for signal in self._signals:
            signal.look()


_own: ContextVar["_AnyFakeSignal | None"] = ContextVar("own", default=None)
"""What a thread, or task, waits on: not what it waits on in the middle of a call."""


class _AnyFakeSignal:
    """A flag in fake time; all of them share their clock's condition, so none is seen half set."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._outer: _AnyFakeSignal | None = None
        self._waits_elsewhere = 0
        self._up = False
        self._waiting = False
        self.deadline: float | None = None

    @property
    def idle(self) -> bool:
        """Whether somebody waits here and will go on doing so."""
        return self._waits_elsewhere > 0 or (self._waiting and not self._ready())

    def _ready(self) -> bool:
        return self._up or (self.deadline is not None and self._clock._now >= self.deadline)

    def set(self) -> None:
        with self._clock._changed:
            self._up = True
            self._clock._notify()

    def look(self) -> None:
        """Look again whether it is time to go on."""

    def _begin(self, timeout: float | None) -> None:
        self.deadline = None
        if timeout is not None:
            # A wait, however short, ends later: who waits until some time would wait for ever.
            later = math.nextafter(self._clock._now, math.inf if timeout > 0 else -math.inf)
            self.deadline = max(self._clock._now + timeout, later)
        self._waiting = True
        own = _own.get()
        if own is None or own not in self._clock._signals:
            _own.set(self)
        elif own is not self:  # a worker whose processor waits, say
            self._outer = own
            own._waits_elsewhere += 1
        self._clock._notify()

    def _end(self) -> None:
        self._waiting = False
        self.deadline = None
        if self._outer is not None:
            self._outer._waits_elsewhere -= 1
            self._outer = None

    def close(self) -> None:
        with self._clock._changed:
            with suppress(ValueError):  # closed already
                self._clock._signals.remove(self)
            self._clock._notify()


class _FakeSignal(_AnyFakeSignal):
    """What a thread waits on."""

    def wait(self, timeout: float | None) -> None:
        clock, is_owner = self._clock, threading.get_ident() == self._clock._owner
        with clock._changed:
            self._begin(timeout)
            try:
                while not self._ready():
                    if not (is_owner and clock._jump_to_next()):
                        self._rest(clock._patience if is_owner else math.inf)
            finally:
                self._end()
            self._up = False

    def _rest(self, patience: float) -> None:
        """Return when something may have changed; raise if nothing has, for so long."""
        until = time.monotonic() + patience
        while not self._clock._changed.wait(TURN):
            if self._ready():
                return
            if time.monotonic() >= until:
                raise self._clock._given_up(UNBLOCK)


class _FakeAsyncSignal(_AnyFakeSignal):
    """What a task waits on: a real signal, raised when there may be something new."""

    def __init__(self, clock: FakeClock, loop: Loop) -> None:
        super().__init__(clock)
        self._loop, self._news = loop, loop.signal()

    def look(self) -> None:
        if self._waiting:
            self._news.set()

    async def wait(self, timeout: float | None) -> None:
        clock, task = self._clock, self._loop.task()
        is_owner = task is clock._openers[self._loop]
        try:
            with clock._changed:
                self._begin(timeout)
            while not self._ready():
                if not (is_owner and clock._jump_to_next()):
                    await self._rest(clock._patience if is_owner else math.inf)
        finally:
            with clock._changed:
                self._end()
        self._up = False  # last: while it counted as waiting, it would have seemed idle

    async def _rest(self, patience: float) -> None:
        """Return when something may have changed; raise if nothing has, for so long."""
        until = time.monotonic() + patience
        await self._news.wait(None if patience == math.inf else patience)
        if time.monotonic() >= until and not self._ready():
            raise self._clock._given_up(UNBLOCK)
