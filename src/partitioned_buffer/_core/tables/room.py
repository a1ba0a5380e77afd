"""
What all tables of a bounded buffer may hold together.

What is used is counted in the very step that makes a write or settles one, so what is free
is what is not held, at any instant. All tables of a room share its lock. Nobody is *granted*
room: a writer in line is woken, and makes its write itself, as the first. Others may take what
is left beside all that those in line wait for: who has just been served need not stand behind
them again, and nobody in line waits longer for that.
"""

import math
from collections.abc import Callable
from typing import Any

from ..waiting.locks import is_mine
from .step import Lock


class Room:
    """Room for *max_size* items of *max_bytes* bytes together; None is no bound."""

    def __init__(
        self, max_size: int | None = None, max_bytes: int | None = None, when_full: str = "block"
    ) -> None:
        self.size, self.bytes, self.when_full = max_size, max_bytes, when_full
        self.limit: float = math.inf if max_size is None else max_size
        self.limit_bytes: float = math.inf if max_bytes is None else max_bytes
        self.weighed = max_bytes is not None
        self.tables: list[Any] = []  # by themselves
        self.serve: Callable[[], object] | None = None
        self.reset()

    def reset(self) -> None:
        """Be empty, with nobody in line, and locked by nobody."""
        self.lock = Lock()
        self.used = self.used_bytes = 0
        self.line = self.line_bytes = 0  # about what those in line wait for

    def fits(self, size: int, weight: int, /) -> bool:
        """Return whether there would be room if nothing were held."""
        return size <= self.limit and weight <= self.limit_bytes

    def has(self, size: int, weight: int, first: bool = False, /) -> bool:
        """Return whether there is room now, beside what those in line wait for but the *first*."""
        line, line_bytes = (0, 0) if first else (self.line, self.line_bytes)
        return (not size or self.used + size + line <= self.limit) and (
            not weight or self.used_bytes + weight + line_bytes <= self.limit_bytes
        )

    def is_mine(self) -> bool:
        """Return whether this thread was interrupted while it keeps others waiting."""
        return is_mine(self.lock)

    def recount(self) -> tuple[int, int]:
        """Return what is used, as the tables have it."""
        loads = [table.load() for table in self.tables]
        return sum(size for size, _ in loads), sum(weight for _, weight in loads)
