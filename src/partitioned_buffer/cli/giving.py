"""
What was given up goes into a buffer, part by part, and is forgotten when that has settled it.

What cannot be read stays, and what the buffer refuses. So does a part of which something is given
up again by a buffer that keeps nothing.
"""

from collections.abc import Callable, Iterator
from typing import Any

from .. import Entry, Map
from .._core.backing.map.log import read
from ..errors import BufferFull, Undecodable
from ..storage.keys import make_keys
from ..storage.records import Codec
from ..storage.sqlite.dead import Buried
from ..storage.sqlite.journal import Journal

PART = 1000
"""How many items are given to a buffer before it is flushed, and they are forgotten."""


class Giving:
    """Gives *limit* items of *journal* to *buffer*, and says how far it has come."""

    def __init__(self, buffer: Any, journal: Journal, codec: Codec, limit: int) -> None:
        self._buffer, self._journal, self._codec, self._limit = buffer, journal, codec, limit
        made = buffer._settings
        self._keeps = made.dead_letter is not None or made.storage is not None
        self._before = buffer.stats().dead_lettered
        self._ids: list[tuple[int, int]] = []  # given, and not settled yet
        self._is_owed = False  # whether something was written that is not flushed yet
        self._given = self.settled = 0
        self.refused: list[str] = []

    def give(self, those: Iterator[Buried]) -> None:
        """Give *those* to the buffer, part by part."""
        for each in those:
            if self._given >= self._limit:
                break
            try:
                self._push(self._items(each))
            except (Undecodable, TypeError) as error:  # or a storage does not take it
                self.refused.append(f"{each.count} items, number {each.id}: {error}")
                continue
            self._given += each.count
            self._ids.append((each.id, each.count))
            if self._given - self.settled >= PART and not self._settle():
                return
        self._settle()

    def _items(self, each: Buried) -> list[Any]:
        if each.data is None:
            raise Undecodable("it is damaged")
        if isinstance(self._buffer, Map):
            return _entries(self._codec, each.data, each.count)
        return self._codec.decode(each.data, each.count)

    def _push(self, items: list[Any]) -> None:
        if not isinstance(self._buffer, Map):
            self._write(self._buffer.push_all, items)
            return
        for key, value, version, _ in items:
            if version:
                self._write(self._buffer.put_newer, key, value, version)
            else:
                self._write(self._buffer.put, key, value)

    def _write(self, method: Callable[..., object], *arguments: Any) -> None:
        try:
            method(*arguments)
        except BufferFull:
            if not self._is_owed or not self._settle():  # which makes room
                raise
            method(*arguments)
        self._is_owed = True

    def _settle(self) -> bool:
        """Flush, and forget what has been given; return whether it could be."""
        if not self._is_owed:
            return True
        self._buffer.flush()
        self._is_owed = False
        again = self._buffer.stats().dead_lettered - self._before
        if again and not self._keeps:
            count = sum(count for _, count in self._ids)
            self.refused.append(
                f"{count} items, of which {again} were given up again: {self._buffer!r} keeps none "
                "of these, so nothing of them was forgotten. Give it a dead_letter, or a storage"
            )
            self._ids.clear()
            return False
        for which, count in self._ids:
            self._journal.forget_buried(which)
            self.settled += count
        self._ids.clear()
        return True


def _entries(codec: Codec, data: bytes, count: int) -> list[Entry[Any, Any]]:
    """Return what a Map has given up: kept as in its log. Raises `Undecodable`."""
    columns, keys = read(data, count), make_keys(codec)
    values = codec.decode(columns.values, columns.valued)
    return [
        Entry(keys.decode(key), value, version or 0, 0)
        for _, _, key, value, version, _ in columns.ops(values)
    ]
