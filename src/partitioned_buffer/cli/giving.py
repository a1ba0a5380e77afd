"""
What was given up goes into a buffer, part by part, and is forgotten when that has settled it.

What cannot be read stays, and what the buffer refuses. So does a part of which something is given
up again by a buffer that keeps nothing. For a shared buffer, what the server has is settled.
"""

import json
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

from .. import AsyncMap, AsyncQueue, Entry, Map, Queue
from .._core.backing.map.log import kinds_of, read
from ..errors import BufferFull, InvalidOption, Undecodable
from ..storage.keys import make_keys
from ..storage.records import Codec
from .names import typed
from .text import printable

PART = 1000
"""How many items are given to a buffer before it is flushed, and they are forgotten."""


class Buried(Protocol):
    """*count* items that were given up together."""

    @property
    def id(self) -> Any:
        """What it is forgotten by."""

    @property
    def count(self) -> int:
        """How many they are."""
        ...

    @property
    def data(self) -> bytes | None:
        """What they are; None: they are lost."""


class Given(NamedTuple):
    """One that is kept otherwise, as it is given."""

    id: Any
    count: int  # type: ignore[assignment]  # instead of a tuple's method
    data: bytes | None


class Giving:
    """Gives *limit* items to *buffer*, has them forgotten, and says how far it has come."""

    def __init__(
        self, buffer: Any, forget: Callable[[Any], object], codec: Codec, limit: int
    ) -> None:
        self._buffer, self._forget, self._codec, self._limit = buffer, forget, codec, limit
        made = buffer._settings
        self._keeps = made.dead_letter is not None or made.storage is not None
        self._before = buffer.stats().dead_lettered
        self._ids: list[tuple[Any, int]] = []  # given, and not settled yet
        self._is_owed = False  # whether something was written that is not flushed yet
        self._given = self.settled = 0
        self.refused: list[str] = []

    def give(self, those: Iterable[Buried]) -> None:
        """Give *those* to the buffer, part by part."""
        for each in those:
            if self._given >= self._limit:
                break
            try:
                self._push(items_of(self._buffer, self._codec, each))
            except (Undecodable, TypeError) as error:  # or a storage does not take it
                self.refused.append(f"{each.count} items, number {each.id}: {error}")
                continue
            self._given += each.count
            self._ids.append((each.id, each.count))
            if self._given - self.settled >= PART and not self._settle():
                return
        self._settle()

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
        self._buffer._go(self._buffer._flush(None, beyond=False))
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
            self._forget(which)
            self.settled += count
        self._ids.clear()
        return True


def items_of(buffer: Any, codec: Codec, each: Buried) -> list[Any]:
    """Return what *buffer* has given up: items, or a Map's entries. Raises `Undecodable`."""
    if each.data is None:
        raise Undecodable("it is damaged")
    if type(buffer)._kind.endswith("Map"):
        return _entries(codec, each.data, each.count)
    return codec.decode(each.data, each.count)


def _entries(codec: Codec, data: bytes, count: int) -> list[Entry[Any, Any]]:
    """
    Return what a Map has given up: kept as in its log. Raises `Undecodable`.

    There may be more than were counted: of one whose parts did not merge, each part.
    """
    columns, keys = read(data, len(kinds_of(data)) or count), make_keys(codec)
    values = codec.decode(columns.values, columns.valued)
    return [
        Entry(keys.decode(key), value, version or 0, 0)
        for _, _, key, value, version, _ in columns.ops(values)
    ]


_OF_TASKS = (
    ": make one for this; or, for a dead letter file, call "
    "`await asyncio.to_thread(letters.replay, buffer)` in a program that runs this one"
)


def buffer_named(name: str) -> Any:
    """Return the buffer that `--into` names. Raises `InvalidOption`."""
    found = typed("--into", name)
    if not isinstance(found, Queue | Map):
        raise InvalidOption(
            f"--into {name}: it is of type {type(found).__name__}: expected a Queue or a Map, "
            f"which are for threads{_OF_TASKS * isinstance(found, AsyncQueue | AsyncMap)}"
        )
    return found


@contextmanager
def running(buffer: Any) -> Generator[None, None, None]:
    """Start the buffer, unless it runs; stop it again if it was started."""
    starts = not buffer.running
    if starts:
        buffer.start()
    try:
        yield
    finally:
        if starts:
            buffer.stop(timeout=1.0)


def outcome(
    settled: int, refused: list[str], kept: int | None, where: str, *, in_json: bool
) -> str:
    """Return what became of it; *kept* is None if nobody can say."""
    if in_json:
        said = {"given_back": settled, "kept": kept, "where": where, "refused": refused}
        return json.dumps(said) + "\n"
    left = "the rest" if kept is None else f"{kept:,}"
    lines = [f"{settled:,} given back, {left} kept in {where}."]
    if refused:
        lines += ["These stay:", *map(printable, refused)]
    return "\n".join(lines) + "\n"
