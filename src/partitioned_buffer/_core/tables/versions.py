"""
Which versions were delivered, as far back as memory allows.

Two generations: versions go into the recent one; when that is full it becomes
the older one, and what was older is forgotten. So at least the last `limit`
keys are known, and forgetting costs nothing per key.
"""

from typing import Generic, TypeVar

K = TypeVar("K")


class Versions(Generic[K]):
    """The last delivered version of each of the last *limit* keys, or somewhat more."""

    __slots__ = ("_limit", "_older", "_recent")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._recent: dict[K, int] = {}
        self._older: dict[K, int] = {}

    def __len__(self) -> int:
        return len(self._recent) + len(self._older)

    def get(self, key: K) -> int | None:
        """Return the version of *key*, or None."""
        version = self._recent.get(key)
        return self._older.get(key) if version is None else version

    def set(self, key: K, version: int) -> None:
        """Remember *version* as the one delivered last."""
        if len(self._recent) >= self._limit and key not in self._recent:
            if not self._limit:
                return
            self._older, self._recent = self._recent, {}
        self._recent[key] = version

    def forget(self, key: K) -> None:
        """Let any version of *key* be new."""
        self._recent.pop(key, None)
        self._older.pop(key, None)
