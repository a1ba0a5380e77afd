"""
How much a buffer may hold: writers take room before they write, what is settled gives it back.

Room for items is kept in two places: a number, under a lock, and a few *permits* in a
list, taken by `list.pop`, which is atomic. So most writes take no lock, and the bound is
exact: what is held never exceeds it.

Writers that wait stand in line: room that comes back goes to the first of them, as soon as
there is enough for it, and to nobody who came later.
"""

import math
import sys
import threading
from collections import deque
from collections.abc import Callable

from ...abc import AsyncSignal, Clock, Signal
from ..waiting.steps import Pause, Steps

PERMITS = 256
"""How many permits a writer that finds none makes at most."""

WRITING = {
    __name__,
    *(
        f"partitioned_buffer._core.writes.{name}"
        for name in ("hot_bounded", "bulk", "admission", "admission_by_kind")
    ),
}
"""The modules whose functions may have taken room that they have not written to yet."""

STEPS = {
    f"partitioned_buffer.{name}"
    for name in (
        "_core.waiting.steps",
        "_core.buffer.lifecycle",
        "_threads.supervisor",
        "_tasks.supervisor",
    )
}
"""The modules that go through steps of theirs, and of others."""

MakeSignal = Callable[[], Signal | AsyncSignal]


class _Waiter:
    """A writer in line."""

    __slots__ = ("count", "granted", "signal", "weight")

    def __init__(self, count: int, weight: int, signal: Signal | AsyncSignal) -> None:
        self.count, self.weight, self.signal = count, weight, signal
        self.granted = False


class Room:
    """What is left of a bound of *size* items and *weight* bytes; None is no bound."""

    def __init__(
        self, clock: Clock, signal: MakeSignal, size: int | None, weight: int | None
    ) -> None:
        self._clock, self._signal = clock, signal
        self.size: float = math.inf if size is None else size
        self.weight: float = math.inf if weight is None else weight
        self.weighed = weight is not None
        self.permits: list[None] = []
        self.reset()

    def reset(self) -> None:
        """Be empty, and locked by nobody."""
        self.lock = threading.RLock()  # the tables', too
        self._ownership = threading.Condition(self.lock)
        self._line: deque[_Waiter] = deque()
        self.closed = False
        self._left, self._left_weight = self.size, self.weight
        self.permits.clear()

    @property
    def blocked(self) -> int:
        """How many writers wait."""
        return len(self._line)

    @property
    def mine(self) -> bool:
        """Whether this thread is in the middle of something here, and so must not wait."""
        try:
            self._ownership.notify(0)
        except RuntimeError:  # documented: this thread does not hold the lock
            return self._is_written_to_below()
        return True

    def _is_written_to_below(self) -> bool:
        """
        Whether a write that is going on was interrupted on this very thread, by a finalizer or a
        signal handler: it may have taken the last room, and cannot go on to fill it.

        Only the stack tells, at no cost for writes that need not wait.
        """
        frame, interrupted = sys._getframe(1), False
        while frame := frame.f_back:  # type: ignore[assignment]
            module = frame.f_globals.get("__name__")
            if module not in WRITING:
                interrupted = interrupted or module not in STEPS
            elif interrupted:
                names = frame.f_locals
                writer = names.get("self")
                if self in (names.get("room"), writer, getattr(writer, "_room", None)):
                    return True
        return False

    def admit(self, count: int, weight: int = 0) -> bool:
        """Take room if there is enough, and nobody in line."""
        with self.lock:
            if self._line:
                return False
            self._collect()
            if count > self._left or weight > self._left_weight:
                return False
            self._left -= count
            self._left_weight -= weight
            if not self.weighed and self._left:
                made = int(min(PERMITS, self._left))
                self._left -= made
                self.permits += [None] * made
            return True

    def _collect(self) -> None:
        """Take back the permits that nobody has taken."""
        while True:
            try:
                self.permits.pop()
            except IndexError:
                return
            self._left += 1

    def could_admit(self, count: int, weight: int) -> bool:
        """Return whether there would be room if nothing were held."""
        return count <= self.size and weight <= self.weight

    def force(self, count: int, weight: int = 0) -> None:
        """Take room that there may not be, for a moment."""
        with self.lock:
            self._left -= count
            self._left_weight -= weight

    def give(self, count: int, weight: int = 0) -> None:
        """Give back room, and let in who waits for it."""
        with self.lock:
            self._left += count
            self._left_weight += weight
            self._serve()

    def _serve(self) -> None:
        while self._line and not self.closed:
            first = self._line[0]
            if first.count > self._left or first.weight > self._left_weight:
                return
            self._left -= first.count
            self._left_weight -= first.weight
            self._line.popleft()
            first.granted = True
            first.signal.set()

    def wait(
        self, count: int, weight: int, deadline: float | None, press: Callable[[], None]
    ) -> Steps[bool]:
        """
        Wait in line for room, and take it; return False if there was none in time.

        *press* is called by who is in line and waits, so that room is made.
        """
        waiter = _Waiter(count, weight, self._signal())
        try:
            with self.lock:
                if self.closed:
                    return False
                self._collect()
                self._line.append(waiter)
                self._serve()
            while not (waiter.granted or self.closed):
                remaining = None if deadline is None else deadline - self._clock.monotonic()
                if remaining is not None and remaining <= 0:
                    break
                press()
                yield Pause(waiter.signal, remaining)
        except BaseException:
            self._leave(waiter)
            if waiter.granted:
                self.give(count, weight)
            raise
        finally:
            waiter.signal.close()
        self._leave(waiter)
        return waiter.granted

    def _leave(self, waiter: _Waiter) -> None:
        with self.lock:
            if not waiter.granted and waiter in self._line:
                self._line.remove(waiter)
                self._serve()  # what it waited for may do for the next

    def open(self) -> None:
        """Let writers wait."""
        self.closed = False

    def close(self) -> None:
        """Send away all who wait."""
        with self.lock:
            self.closed = True
            for waiter in self._line:
                waiter.signal.set()
