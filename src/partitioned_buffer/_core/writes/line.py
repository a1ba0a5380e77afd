"""
Writers in line for room.

Nobody is granted room: who is first is woken when some comes back, and makes the write itself.
Nobody who waits holds a lock, and the line holds nobody: a writer that is gone, whatever became
of it, is no more in it.
"""

import threading
import weakref
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

from ...abc import AsyncSignal, Clock, Signal
from ..tables.step import FULL
from ..waiting.steps import Pause, Steps

Write = Callable[[bool], int]
"""Makes a write if there is room, with or without the right to go first; returns the outcome."""


class _Waiter:
    """A writer in line."""

    __slots__ = ("__weakref__", "signal", "thread")

    def __init__(self, signal: Signal | AsyncSignal, thread: int | None) -> None:
        self.signal, self.thread = signal, thread


class Line:
    """Those who wait for a *room*."""

    def __init__(self, room: Any, clock: Clock, signal: Callable[[], Signal | AsyncSignal]) -> None:
        self._room, self._clock, self._signal = room, clock, signal
        room.serve = self.serve
        self._numbers = count()
        self._waiters: dict[int, weakref.ref[_Waiter]] = {}

    def reset(self) -> None:
        """Be empty, in a forked child; who waited in the very thread that forked looks there."""
        before, self._waiters = list(self._all()), {}
        for waiter in before:
            if waiter.thread == threading.get_ident():
                waiter.signal.set()

    def __len__(self) -> int:
        return len(self._waiters)

    def holds(self, thread: int | None) -> bool:
        """Return whether *thread* waits here already, and so was interrupted by what asks."""
        return thread is not None and any(waiter.thread == thread for waiter in self._all())

    def serve(self) -> None:
        """Let the first look whether there is room."""
        for first in self._all():
            first.signal.set()
            break

    def alarm(self) -> None:
        """Let everybody look what has become of the buffer."""
        for waiter in self._all():
            waiter.signal.set()

    def stand(
        self,
        write: Write,
        is_over: Callable[[], bool],
        deadline: float | None,
        press: Callable[[], object],
        thread: int | None,
    ) -> Steps[int]:
        """
        Wait for room, and *write*; return the outcome, which is that it is full when time is over.

        *press* is called before each wait, so that room is made; *is_over* says that none will be.
        *thread* is the one that stands still meanwhile, if any does.
        """
        waiter, number = _Waiter(self._signal(), thread), next(self._numbers)
        try:
            self._waiters[number] = weakref.ref(waiter, lambda _: self._leave(number))
            self._tell()
            while True:
                if next(self._all(), None) is waiter or is_over():
                    outcome = write(True)
                    if outcome != FULL:
                        return outcome
                remaining = None if deadline is None else deadline - self._clock.monotonic()
                if remaining is not None and remaining <= 0:
                    return FULL
                press()
                yield Pause(waiter.signal, remaining)
        finally:
            try:
                self._waiters.pop(number, None)  # an interrupt comes after it at the earliest
            finally:
                try:
                    self._pass_on()
                finally:
                    self._pass_on()  # the first may have been interrupted where it began
                    waiter.signal.close()

    def _all(self) -> Iterator[_Waiter]:
        for waits in list(self._waiters.values()):
            if (waiter := waits()) is not None:
                yield waiter

    def _leave(self, number: int) -> None:
        self._waiters.pop(number, None)
        self._pass_on()

    def _pass_on(self) -> None:
        """Let those look who are left."""
        self._tell()
        self.serve()

    def _tell(self) -> None:
        """Tell the room how many there are. Who changes that does so: the last tells the truth."""
        while self._room.line != (waiting := len(self._waiters)):
            self._room.line = waiting
