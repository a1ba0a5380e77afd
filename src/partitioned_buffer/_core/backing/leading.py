"""
Whose turn it is to commit: the committer's thread, or a writer that is alone.

Who is alone *leads*: it commits in its own thread, for to wake another one and be woken takes
longer than the rest of a write.

    claimed ─► made ─► landed ─► told

Each of these is one step, which is done once, whoever does it. So the writer may be interrupted
anywhere, for good, or by what writes itself, in the very same thread: who comes next, or else the
committer, goes on where it was.
"""

import sys
from collections.abc import Sequence
from typing import Any, Final, Protocol

from ..tables.step import Lock

CAN_LEAD: Final = sys.version_info >= (3, 12)
"""Before that, garbage is collected, and finalizers run, in the middle of what is written in C."""


class Single(Protocol):
    """A commit of one chunk, which a store has prepared."""

    start: int

    def make(self) -> bool:
        """Make it, in one step, unless somebody has tried; return whether it is made."""
        ...

    def confirm(self) -> None:
        """Raise `StorageError` if what was made may be lost."""


class Led:
    """A write that is one piece, committed by its writer."""

    __slots__ = ("chunk", "holds", "is_begun", "is_made", "pieces", "single", "size", "weight")
    chunk: tuple[int, bytes]
    single: Single

    def __init__(self, pieces: Sequence[Any], size: int = 0, weight: int = 0) -> None:
        self.pieces = pieces
        self.size, self.weight, self.holds = size, weight, False  # see `room`
        self.is_begun = self.is_made = False


class Turns:
    """Of one store, whose writes have *room*."""

    def __init__(self, room: Any) -> None:
        self._lock, self._room = Lock(), room
        self.led: Led | None = None
        self._is_the_threads = False
        self.number = 0
        """How many turns there were."""

    def claim(self, led: Led, number: int) -> bool:
        """Have it be the turn of *led*, if it is nobody's, and none was since that *number*."""
        lock, table = self._lock, led.pieces[0].table
        _ = lock.take
        try:
            if self.led is None and not self._is_the_threads:
                led.is_begun = self.number == number and not table.closed
                if led.is_begun:
                    self.led = led
        finally:
            _ = lock.free
        return led.is_begun

    def finish(self, led: Led) -> None:
        """Go on with *led* to its end, wherever it is, if it is not there yet."""
        if self.led is not led:
            return
        single = led.single
        made = single.make()
        if made:
            pieces = led.pieces
            pieces[0].table.landed((single.start,), (led.chunk,), pieces)
            if self._room is not None:  # who waits for what this has taken: see `committer`
                self._room.look()
        elif self._room is not None and self.led is led:
            self._room.leave(led)
        lock = self._lock
        _ = lock.take
        try:
            if self.led is led:
                led.is_made = made
                self.led = None
                self.number += 1
        finally:
            _ = lock.free

    def help(self) -> None:
        """Finish what is led, if anything is."""
        if (led := self.led) is not None:
            self.finish(led)

    def begin(self) -> None:
        """Have it be the thread's turn, when what is led is finished."""
        lock, mine = self._lock, False
        while not mine:
            self.help()
            _ = lock.take
            try:
                mine = self.led is None
                self._is_the_threads = mine
            finally:
                _ = lock.free

    def end(self) -> None:
        """Have the thread's turn be over."""
        self.number += 1
        self._is_the_threads = False

    def forked(self) -> None:
        """Let nobody have a turn, in a forked child; forget what is led."""
        self._lock, self.led, self._is_the_threads = Lock(), None, True
