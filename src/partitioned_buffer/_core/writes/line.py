"""
Writers in line for room.

Nobody is granted room: who is first is woken when some comes back, and makes the write itself.
Nobody who waits holds a lock, and the line holds nobody: a writer that is gone, whatever became
of it, is no more in it.
"""

import threading
import weakref
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from itertools import count, islice
from typing import Any, Protocol

from ...abc import AsyncSignal, Clock, Signal
from ..tables.step import FULL
from ..waiting.steps import Pause, Steps


class Face(Protocol):
    """What has to be known of the buffer."""

    _supervisor: Any

    def _signal(self) -> Signal | AsyncSignal: ...
    def _go(self, steps: Generator[Any, None, Any], /) -> Any: ...
    def _is_own_worker(self) -> bool: ...
    def _wake_workers(self) -> object: ...
    def _patience(self) -> float | None: ...
    def _refused(self) -> Exception | None: ...


Write = Callable[[bool], int]
"""Makes a write if there is room, with or without the right to go first; returns the outcome."""


class _Waiter:
    """A writer in line."""

    def __init__(
        self, signal: Signal | AsyncSignal, thread: int | None, load: tuple[int, int]
    ) -> None:
        self.signal, self.thread, self.load = signal, thread, load


class Line:
    """Those who wait for a *room*."""

    def __init__(self, room: Any, clock: Clock, face: Face) -> None:
        self._room, self._clock, self._face = room, clock, face
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

    def holds_me(self) -> bool:
        """Return whether this thread waits here already, and so was interrupted by what asks."""
        thread: int | None = self._face._supervisor.thread()  # None for a task
        return thread is not None and any(waiter.thread == thread for waiter in self._all())

    def serve(self) -> None:
        """Let those look for whom there may be room, which came back."""
        for waiter in islice(self._all(), self._chances()):
            waiter.signal.set()

    def _chances(self) -> int:
        """Return how many may find room, if all wait for as much as the first."""
        first = self._first()
        if first is None or first.thread is not None:
            return 1  # each thread has the next one look: all at once would be in each other's way
        room, (size, weight) = self._room, first.load
        chances = [len(self)]
        if size and room.size is not None:
            chances.append((room.size - room.used) // size)
        if weight and room.bytes is not None:
            chances.append((room.bytes - room.used_bytes) // weight)
        return max(1, min(chances))

    def alarm(self) -> None:
        """Let everybody look what has become of the buffer."""
        for waiter in self._all():
            waiter.signal.set()

    def stand(
        self, write: Write, tables: Sequence[Any], load: tuple[int, int], deadline: float | None
    ) -> Steps[int]:
        """
        Wait for room for a *load* of items and bytes, and *write*; return the outcome, which is
        that it is full when time is over.

        The workers are woken before each wait, so that room is made; when one of the *tables* is
        closed, none will be.
        """
        face = self._face
        waiter = _Waiter(face._signal(), face._supervisor.thread(), load)
        number = next(self._numbers)
        try:
            self._waiters[number] = weakref.ref(waiter, lambda _: self._leave(number))
            self._tell()
            while True:
                if self._first() is waiter or any(t.closed for t in tables):
                    outcome = write(True)
                    if outcome != FULL:
                        return outcome
                remaining = None if deadline is None else deadline - self._clock.monotonic()
                if remaining is not None and remaining <= 0:
                    return FULL
                face._wake_workers()
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

    def _first(self) -> _Waiter | None:
        while True:
            with suppress(RuntimeError):  # others have come or gone: look again
                alive = (waiter for waits in self._waiters.values() if (waiter := waits()))
                return next(alive, None)

    def _all(self) -> Iterator[_Waiter]:
        for waits in list(self._waiters.values()):
            if (waiter := waits()) is not None:
                yield waiter

    def _leave(self, number: int) -> None:
        self._waiters.pop(number, None)
        self._pass_on()

    def _pass_on(self) -> None:
        """Let the first of those look who are left."""
        self._tell()
        if (first := self._first()) is not None:
            first.signal.set()

    def _tell(self) -> None:
        """Tell the room what they wait for. Who changes that does so: the last tells the truth."""
        room = self._room
        while (room.line, room.line_bytes) != (loads := self._loads()):
            room.line, room.line_bytes = loads

    def _loads(self) -> tuple[int, int]:
        # As if all waited for as much as the first, who must not wait for ever: there may be
        # thousands of them. More than all there is says no more than that.
        if (first := self._first()) is None:
            return 0, 0
        room, count, (size, weight) = self._room, len(self), first.load
        return _at_most(room.size, count * max(1, size)), _at_most(room.bytes, count * weight)


def _at_most(limit: int | None, number: int) -> int:
    return number if limit is None else min(limit, number)
