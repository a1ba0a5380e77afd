"""
What a stored buffer may hold, on the disk and in memory: room is taken before the commit.

As with tables in memory (see `tables.room`), nobody is granted room: who is first in line takes
it. A ticket holds what it took until its records have landed; from then on they hold it.
"""

import math
from collections.abc import Callable
from typing import Protocol

from ..options.settings import Settings
from ..tables.step import Lock


def store_room(made: Settings) -> "StoreRoom | None":
    """Return the room of a buffer of these settings; None if it has no bound."""
    return StoreRoom(made.max_size, made.max_bytes, made.when_full) if made.bounded else None


class Taker(Protocol):
    """What takes room."""

    size: int
    weight: int
    holds: bool


class StoreRoom:
    """Room for *max_size* items of *max_bytes* bytes together; None is no bound."""

    def __init__(self, max_size: int | None, max_bytes: int | None, when_full: str) -> None:
        self.size, self.bytes, self.when_full = max_size, max_bytes, when_full
        self._limit: float = math.inf if max_size is None else max_size
        self._limit_bytes: float = math.inf if max_bytes is None else max_bytes
        self.serve: Callable[[], object] | None = None
        self.reset()

    def reset(self) -> None:
        """Be empty, with nobody in line, and locked by nobody."""
        self.lock = Lock()
        self.used = self.used_bytes = 0
        self.line = self.line_bytes = 0

    def fits(self, size: int, weight: int, /) -> bool:
        """Return whether there would be room if nothing were held."""
        return size <= self._limit and weight <= self._limit_bytes

    def take(self, ticket: Taker, first: bool = False) -> bool:
        """Take room for *ticket*, beside what those in line wait for but the *first*."""
        size, weight, lock = ticket.size, ticket.weight, self.lock
        line, line_bytes = (0, 0) if first else (self.line, self.line_bytes)
        _ = lock.take
        try:
            holds = ticket.holds
            if (
                not holds
                and (not size or self.used + size + line <= self._limit)
                and (not weight or self.used_bytes + weight + line_bytes <= self._limit_bytes)
            ):
                self.used += size
                self.used_bytes += weight
                ticket.holds = holds = True
        finally:
            _ = lock.free
        return holds

    def leave(self, ticket: Taker) -> None:
        """Give back what *ticket* holds, if it does: it was not written."""
        size, weight, lock = ticket.size, ticket.weight, self.lock
        _ = lock.take
        try:
            if ticket.holds:
                self.used -= size
                self.used_bytes -= weight
                ticket.holds = False
        finally:
            _ = lock.free
        self.look()

    def add(self, size: int, weight: int) -> None:
        """Count what is held without having asked: recovered, or the frame of a chunk."""
        lock = self.lock
        _ = lock.take
        try:
            self.used += size
            self.used_bytes += weight
        finally:
            _ = lock.free

    def give_back(self, size: int, weight: int) -> None:
        """Count what is settled."""
        self.add(-size, -weight)
        self.look()

    def look(self) -> None:
        """Let those in line look whether there is room."""
        if self.line and self.serve is not None:
            self.serve()
