"""
What a stored Map's log says of its keys: what is held, and which versions were delivered last.

It changes with the ops of the log alone, in their order, so it is the same after a crash as before.
A version has to beat the one that is held, else the one delivered last. What is held is so until
the log says that it is settled: up to then a write compares as if it were still in flight.
"""

from typing import Any, Final

Mark = tuple[int | None, int, int]
"""What is known of what is held for a key. A plain tuple: the garbage collector lets go of it."""

VERSION: Final = 0
"""Of a mark: that of the last op in it; None of a plain put."""
POSITION: Final = 1
"""Of the last op in it."""
FIRST: Final = 2
"""From which position on nothing of the key is settled."""


class Marks:
    """The marks of all keys that are held; the *remember* keys delivered last are certain."""

    def __init__(self, remember: int) -> None:
        self._remember = remember
        self.held: dict[Any, Mark] = {}
        self.recent: dict[Any, int] = {}  # versions delivered, in two generations
        self.older: dict[Any, int] = {}

    def next(self, key: Any, version: int | None, position: int) -> Mark | None:
        """Return the mark of a write of *key*, which is not held yet; None if it is not newer."""
        before = self.held.get(key)
        if version is not None:
            floor = self._last(key) if before is None else before[VERSION] or 0
            if floor is not None and version <= floor:
                return None
        return version, position, position if before is None else before[FIRST]

    def _last(self, key: Any) -> int | None:
        version = self.recent.get(key)
        return self.older.get(key) if version is None else version

    def delete(self, key: Any) -> None:
        """Forget *key*."""
        self.held.pop(key, None)
        self.recent.pop(key, None)
        self.older.pop(key, None)

    def settle(self, key: Any, upto: int, version: int | None, *, buried: bool) -> None:
        """Note that what *key* was up to a position is settled, unless it was deleted since."""
        before = self.held.get(key)
        if before is None or before[FIRST] > upto:
            return
        del self.held[key]
        if before[POSITION] > upto:
            self.held[key] = before[VERSION], before[POSITION], upto + 1
        if not buried:
            self._note(key, version if self._remember else None)

    def _note(self, key: Any, version: int | None) -> None:
        if version is None:
            self.recent.pop(key, None)
            self.older.pop(key, None)
            return
        if key not in self.recent and len(self.recent) >= self._remember:
            self.older, self.recent = self.recent, {}
        self.recent[key] = version
