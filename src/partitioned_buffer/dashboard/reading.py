"""
Looks at buffers one after the other, and at none for too long.

One that does not answer keeps a thread, and is left out until it does; so it costs whoever looks
at the page a second, once.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from .._core.waiting.locks import start

R = TypeVar("R")

PATIENCE = 1.0
"""Seconds that one has."""
MOST = 8
"""How many may hang at a time: no more threads than that are lost."""


class Reader(Generic[R]):
    """Looks by *look*; where that raises or hangs, *instead* is told why there is nothing."""

    def __init__(self, look: Callable[[Any], R], instead: Callable[[Any, str], R]) -> None:
        self.look, self.instead, self.patience = look, instead, PATIENCE
        self.lock = threading.Lock()
        self.hanging: dict[int, Any] = {}

    def each(self, things: Iterable[Any]) -> list[R]:
        """Return what there is to see of each."""
        walk = _Walk(self, things)
        while walk.left:
            with self.lock:
                many = len(self.hanging) >= MOST
            if many or not self._go(walk):
                break
        walk.end()
        return [walk.found[each] for each in range(len(walk.found))]

    def _go(self, walk: "_Walk[R]") -> bool:
        """Walk on, with a thread of its own; return whether that was possible."""
        leg = _Leg(walk)
        try:
            start(threading.Thread(target=leg.run, name="partitioned-buffer-page", daemon=True))
        except RuntimeError:  # no more threads
            return False
        while not leg.done.wait(max(0.001, leg.began + self.patience - time.monotonic())):
            if leg.leave():
                break
        return True


class _Walk(Generic[R]):
    """From one thing to the next."""

    def __init__(self, reader: Reader[R], things: Iterable[Any]) -> None:
        self.reader = reader
        self.left = deque(enumerate(things))
        self.found: dict[int, R] = {}

    def end(self) -> None:
        """Leave out the rest."""
        while self.left:
            number, thing = self.left.popleft()
            self.found[number] = self.reader.instead(thing, "not asked: too many others hang")


class _Leg:
    """As far as one thread gets."""

    def __init__(self, walk: _Walk[Any]) -> None:
        self._walk, self._reader = walk, walk.reader
        self._at: tuple[int, Any] | None = None
        self._is_left = False
        self.began = time.monotonic()
        self.done = threading.Event()

    def run(self) -> None:
        """Go, until all is seen, or nobody waits any more."""
        while self._take():
            number, thing = self._at or (0, None)
            try:
                seen = self._reader.look(thing)
            except BaseException as error:  # whatever a subclass, or a clock, raises
                seen = self._reader.instead(thing, f"raised {type(error).__name__}")
            with self._reader.lock:
                if self._is_left:
                    self._reader.hanging.pop(id(thing), None)
                    return
                self._walk.found[number] = seen
        self.done.set()

    def _take(self) -> bool:
        """Take the next that is not known to hang."""
        walk, reader = self._walk, self._reader
        with reader.lock:
            while walk.left:
                self._at, self.began = walk.left.popleft(), time.monotonic()
                number, thing = self._at
                if id(thing) not in reader.hanging:
                    return True
                walk.found[number] = reader.instead(thing, "does not answer")
            return False

    def leave(self) -> bool:
        """Give up the one in hand if it has had its time; return whether it was given up."""
        with self._reader.lock:
            if self.done.is_set() or time.monotonic() < self.began + self._reader.patience:
                return False
            number, thing = self._at or (0, None)
            self._is_left = True
            self._reader.hanging[id(thing)] = thing  # held, so that its id stays its own
            self._walk.found[number] = self._reader.instead(thing, "does not answer")
            return True
