"""
What a stored Map's log comes to when it is read again.
"""

import gc
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import repeat
from typing import Any, NamedTuple, Protocol

from ....errors import Undecodable
from .log import (
    BURIED,
    DELETE,
    KEPT,
    KNOWN,
    OWN,
    PLACED,
    PUT,
    SETTLED,
    VALUED,
    VERSIONED,
    VOID,
    WRITES,
    Columns,
    Values,
    kinds_of,
    read,
)
from .marks import FIRST, POSITION, VERSION, Mark, Marks

LOST: Any = object()
"""Instead of a value, or a key, that does not decode."""

_ENDS = frozenset({SETTLED, BURIED})


class Keys(Protocol):
    """What is used of how keys become bytes."""

    def encode(self, key: Any, /) -> bytes: ...
    def decode(self, data: bytes, /) -> Any: ...
    def decode_all(self, data: Sequence[bytes], /) -> list[Any]: ...


class Replayed(NamedTuple):
    """What a log comes to."""

    marks: Marks
    values: dict[Any, Any]
    """By key; with `merge` lists of all that is to be merged, with marks, in order."""
    merges: bool
    lost: int
    """How many ops could not be read."""

    def entries(self) -> Iterator[tuple[Any, Any, Mark]]:
        """Yield keys, values and marks of what is held, keys in the order of their first ops."""
        values = self.values
        for key, last in self.marks.held.items():
            for value, made in values[key] if self.merges else ((values[key], last),):
                yield key, value, (made[VERSION], made[POSITION], last[FIRST])


@contextmanager
def uncollected() -> Generator[None]:
    """Look for no garbage meanwhile: of what is made by the million, all is kept."""
    was_enabled = gc.isenabled()
    try:
        gc.disable()
        yield
    finally:
        if was_enabled:
            gc.enable()


def replay(
    chunks: Iterable[tuple[int, int, bytes | None]],
    values: Values,
    keys: Keys,
    *,
    merge: bool,
    remember: int,
) -> Replayed:
    """
    Return what a log comes to: *chunks* are positions, numbers of ops, and data or None.

    What cannot be read is lost, and counted; the last value of a key being lost, those before it
    are not held, either. A lost settling has values come again.
    """
    whole = list(chunks)
    state = (_Merging if merge else _Replay)(values, keys, remember, _voids(whole))
    for start, count, data in whole:
        if data is None:
            state.lost += count
            continue
        try:
            state.take(start, read(data, count))
        except Undecodable:
            state.lost += count
    return Replayed(state.marks, state.values, merge, state.lost)


def _voids(chunks: Iterable[tuple[int, int, bytes | None]]) -> frozenset[int]:
    """Return which ops came to nothing, as others say that follow."""
    found: set[int] = set()
    for _, count, data in chunks:
        if data is not None and VOID in kinds_of(data):
            try:
                ops = read(data, count).ops((None,) * count)
            except Undecodable:
                continue
            found.update(op[5] for op in ops if op[0] == VOID)
    return frozenset(found)


class _Replay:
    """What was read so far: the last value of each key."""

    def __init__(
        self, values: Values, keys: Keys, remember: int, voids: frozenset[int] = frozenset()
    ) -> None:
        self.marks, self.lost = Marks(remember), 0
        self.values: dict[Any, Any] = {}
        self._codec, self._keys, self._voids = values, keys, voids
        self._lossy = False  # whether something of the chunk does not decode

    def take(self, start: int, columns: Columns) -> None:
        """Do what the ops of a chunk say, the first of which has that position."""
        keys, values = self._decoded(columns)
        voids, end = self._voids, start + len(keys)
        dull = self._lossy or any(start <= at < end for at in voids)
        if not dull and self._at_once(start, keys, values, columns):
            return
        value, version, place = iter(values), iter(columns.versions), iter(columns.positions)
        for at, kind, key in zip(range(start, end), columns.kinds, keys, strict=True):
            what = next(value) if kind in VALUED else None
            newer = next(version) if kind in VERSIONED else None
            upto = next(place) if kind in PLACED else 0
            if key is LOST:
                self.lost += 1
            elif at in voids:
                pass
            elif kind in WRITES:
                self._write(key, what, newer, at)
            elif kind in _ENDS:
                self.marks.settle(key, upto, newer, buried=kind == BURIED)
                self._forget(key, upto)
            elif kind == DELETE:
                self.marks.delete(key)
                self._forget(key, at)
            elif kind == KEPT:
                self._keep(key, what, newer, at if upto == OWN else upto)
            elif kind == KNOWN and newer is not None:
                (self.marks.recent if upto else self.marks.older)[key] = newer

    def _at_once(
        self, start: int, keys: Sequence[Any], values: Sequence[Any], columns: Columns
    ) -> bool:
        """Do what a chunk of puts, or of what a snapshot keeps, says; return whether it is one."""
        count, kinds = len(keys), columns.kinds
        places = range(start, start + count)
        if columns.valued == count == kinds.count(PUT):
            self._put_all(places, keys, values)
        elif columns.valued == count == kinds.count(KEPT):
            self._keep_all(places, keys, values, columns)
        else:
            return False
        return True

    def _write(self, key: Any, value: Any, version: int | None, at: int) -> None:
        made = self.marks.next(key, version, at)
        if made is not None:
            self._hold(key, value, made)

    def _decoded(self, columns: Columns) -> tuple[list[Any], list[Any]]:
        """Return the keys and values of a chunk, `LOST` for those that do not decode."""
        data, count = columns.values, columns.valued
        self._lossy = False
        try:
            keys = self._all_keys(columns)
        except Undecodable:
            self._lossy, keys = True, list(map(self._key, columns.keys))
        try:
            return keys, self._codec.decode(data, count) if count else []
        except Undecodable:
            self._lossy, values = True, [LOST] * count
            for place, item in self._codec.decode_each(data, count).items:
                values[place] = item
            return keys, values

    def _all_keys(self, columns: Columns) -> list[Any]:
        if (at_once := getattr(self._keys, "decode_joined", None)) is not None:
            keys: list[Any] | None = at_once(columns.joined, len(columns.lengths))
            if keys is not None:
                return keys
        return self._keys.decode_all(columns.keys)

    def _key(self, data: bytes) -> Any:
        try:
            return self._keys.decode(data)
        except Undecodable:
            return LOST

    def _put_all(self, places: range, keys: Sequence[Any], values: Sequence[Any]) -> None:
        if not self._are_new(keys, repeat(None, len(keys)), list(places)):
            held = self.marks.held
            for at, key in zip(places, keys, strict=True):
                before = held.get(key)
                held[key] = None, at, at if before is None else before[FIRST]
        self._have_all(keys, values)

    def _are_new(self, keys: Sequence[Any], versions: Iterable[Any], places: Sequence[int]) -> bool:
        """Hold *keys*, if none of them is held, and each is there once; return whether it is so."""
        held = self.marks.held
        if not held.keys().isdisjoint(keys):
            return False
        many = len(held) + len(keys)
        held.update(zip(keys, zip(versions, places, places, strict=True), strict=True))
        if len(held) == many:
            return True
        for key in keys:
            held.pop(key, None)
        return False

    def _keep_all(
        self, places: range, keys: Sequence[Any], values: Sequence[Any], columns: Columns
    ) -> None:
        """Do what a chunk of a snapshot says."""
        own, given = list(places), columns.positions
        if given.count(OWN) < len(given):
            own = [at if p == OWN else p for at, p in zip(places, given, strict=True)]
        if self._are_new(keys, columns.versions, own):
            self._have_all(keys, values)
        else:
            for key, value, version, at in zip(keys, values, columns.versions, own, strict=True):
                self._keep(key, value, version, at)

    def _have_all(self, keys: Sequence[Any], values: Sequence[Any]) -> None:
        self.values.update(zip(keys, values, strict=True))

    def _keep(self, key: Any, value: Any, version: int | None, at: int) -> None:
        before = self.marks.held.get(key)
        self._hold(key, value, (version, at, at if before is None else before[FIRST]))

    def _hold(self, key: Any, value: Any, made: Mark) -> None:
        if value is LOST:  # and what it was written over is not to come back
            self.lost += 1
            self.marks.held.pop(key, None)
            self.values.pop(key, None)
        else:
            self.marks.held[key] = made
            self.values[key] = value

    def _forget(self, key: Any, upto: int) -> None:  # noqa: ARG002  # others ask
        """Forget the values of *key* up to a position, which the marks have forgotten already."""
        if key not in self.marks.held:
            self.values.pop(key, None)


class _Merging(_Replay):
    """All values of each key that are to be merged again, with their marks."""

    def _put_all(self, places: range, keys: Sequence[Any], values: Sequence[Any]) -> None:
        held, all_of = self.marks.held, self.values
        for at, key, value in zip(places, keys, values, strict=True):
            before = held.get(key)
            if before is None:
                held[key] = made = (None, at, at)
                all_of[key] = [(value, made)]
            else:
                held[key] = made = (None, at, before[FIRST])
                all_of[key].append((value, made))

    def _have_all(self, keys: Sequence[Any], values: Sequence[Any]) -> None:
        held = self.marks.held
        self.values.update((k, [(v, held[k])]) for k, v in zip(keys, values, strict=True))

    def _hold(self, key: Any, value: Any, made: Mark) -> None:
        if value is LOST:
            self.lost += 1
        else:
            self.marks.held[key] = made
            self.values.setdefault(key, []).append((value, made))

    def _forget(self, key: Any, upto: int) -> None:
        left = [each for each in self.values.pop(key, ()) if each[1][POSITION] > upto]
        if left and key in self.marks.held:
            self.values[key] = left
