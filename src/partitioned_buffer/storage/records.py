"""
Items become bytes before they are accepted, and come back from them: what all codecs do alike.

    item ─ encode ─► record ─ join ─► data of a chunk ─ decode ─► items
    items ─────────── pack ────────►                   ─ split ─► records

An item that cannot be stored raises at the push, named, before anything is written. Data that does
not decode any more raises one error, `Undecodable`, whatever the cause: whoever reads it sets the
chunk aside, after `decode_each()` has saved the records that do decode.

A codec keeps nothing but what it was made with, so threads may share it; it runs the user's code
(his functions, what pickle finds, a class's `__post_init__`), so never call it with a lock held.
"""

import pickle
import reprlib
import struct
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

from ..errors import Undecodable

_short = reprlib.Repr()
_short.maxstring = _short.maxother = 60


def in_short(thing: object) -> str:
    """Return *thing* as an error names it; its `repr()` may fail."""
    return _short.repr(thing)


class Failed(NamedTuple):
    """A record that does not decode: its place in the chunk, from 0, its bytes, and why."""

    place: int
    record: bytes
    error: Exception


class Each(NamedTuple):
    """What became of each record of a chunk: places and items, and what failed."""

    items: list[tuple[int, Any]]
    failed: list[Failed]


_ONLY_BYTES = frozenset({bytes})


class Codec(ABC):
    """
    How items become bytes; `codec.make_codec()` makes one.

    With *checks*, what was encoded is decoded at the push, so that nothing is accepted that cannot
    be delivered.
    """

    def __init__(
        self,
        name: str,
        encode: Callable[[Any], Any],
        decode: Callable[[bytes], Any],
        *,
        checks: bool = False,
    ) -> None:
        self.name = name
        """What a file remembers, and refuses to be opened without."""
        self.checks = checks
        self._encode, self._decode = encode, decode

    # --- to bytes

    def encode(self, item: Any) -> bytes:
        """Return the record of *item*; raise `TypeError` if it cannot be stored."""
        try:
            if not self.checks and type(record := self._encode(item)) is bytes:
                return record
            return self._record(item)
        except MemoryError:
            raise
        except Exception:
            self._again("", item)
            raise  # it is not the item's: a signal handler has raised it, say

    def encode_all(self, items: Sequence[Any]) -> list[bytes]:
        """Return the record of each; raise `TypeError` that names the first that cannot be."""
        try:
            records = list(map(self._encode, items))
        except MemoryError:
            raise
        except Exception:
            self._one_by_one(items)
            raise
        if not set(map(type, records)) <= _ONLY_BYTES:
            return self._one_by_one(items)
        if not self.checks:
            return records
        try:
            self._all_came_back(items, self._items(self.join(records)))
        except MemoryError:
            raise
        except Exception:  # whose it is, if it is anybody's, the second time says
            return self._one_by_one(items)
        return records

    def _one_by_one(self, items: Sequence[Any]) -> list[bytes]:
        count = len(items)
        return [
            self._again(f" {place} of {count} (from 0)", item) for place, item in enumerate(items)
        ]

    def _again(self, where: str, item: Any) -> bytes:
        """Return the record of *item*; raise `TypeError` that says *where* it is."""
        try:
            return self._record(item)
        except MemoryError:
            raise
        except Exception as error:
            raise self._refusal(where, item, error) from error

    def pack(self, items: Sequence[Any]) -> bytes:
        """Return the data of a chunk of *items*: as `join(encode_all(items))`, and faster."""
        return self.join(self.encode_all(items))

    @abstractmethod
    def join(self, records: Sequence[bytes]) -> bytes:
        """Return the data of a chunk of *records*."""

    def _record(self, item: Any) -> bytes:
        record = self._encode(item)
        if type(record) is not bytes:
            raise TypeError(f"it was encoded to {type(record).__name__}: expected bytes")
        if self.checks:
            self._came_back(item, self._decode(record))
        return record

    def _came_back(self, item: Any, back: Any) -> None:  # noqa: B027  # most accept anything
        """Raise if *back* is not what *item* should come back as."""

    def _all_came_back(self, items: Sequence[Any], back: Sequence[Any]) -> None:  # noqa: B027
        """Raise if one of *back* may not be what it should come back as."""

    def _refusal(self, where: str, item: Any, error: Exception) -> TypeError:
        return TypeError(
            f"item{where} cannot be stored: {in_short(item)}: {type(error).__name__}: {error}. "
            f"Expected what the codec {self.name} takes, or another codec: {self._advice}"
        )

    _advice = "codec=(encode, decode) takes what these functions take"

    # --- and back

    def decode(self, data: bytes, count: int) -> list[Any]:
        """Return the *count* items of a chunk; raise `Undecodable`."""
        return self._counted(self._items, data, count)

    def split(self, data: bytes) -> list[bytes]:
        """Return the records of a chunk without decoding them; raise `Undecodable`."""
        return self._counted(self._records, data, None)

    def decode_each(self, data: bytes, count: int) -> Each:
        """
        Return the items that decode, and the records that do not.

        Raises `Undecodable` if it is not even known where each record begins.
        """
        items: list[tuple[int, Any]] = []
        failed = []
        for place, record in enumerate(self._counted(self._records, data, count)):
            try:
                items.append((place, self._decode(record)))
            except MemoryError:
                raise
            except Exception as error:
                failed.append(Failed(place, record, error))
        return Each(items, failed)

    @abstractmethod
    def _items(self, data: bytes) -> list[Any]:
        """Return the items of a chunk; raise anything."""

    @abstractmethod
    def _records(self, data: bytes) -> list[bytes]:
        """Return the records of a chunk; raise anything."""

    def _counted(
        self, read: Callable[[bytes], list[Any]], data: bytes, count: int | None
    ) -> list[Any]:
        try:
            found = read(data)
        except MemoryError:  # says nothing about the data
            raise
        except Exception as error:
            raise Undecodable(
                f"{'a chunk' if count is None else f'{count} records'} of the codec {self.name} "
                f"cannot be read: {type(error).__name__}: {error}"
            ) from error
        if count is not None and len(found) != count:
            raise Undecodable(
                f"{count} records of the codec {self.name} were expected: there are {len(found)}"
            )
        return found


class Framed(Codec):
    """
    Records that say nothing about where they end: a chunk begins with how long each is.

    Numbers of 32 bits, the lowest byte first: how many records, the length of each, the records.
    """

    def join(self, records: Sequence[bytes]) -> bytes:
        """Return the data of a chunk of *records*."""
        count = len(records)
        return struct.pack(f"<{count + 1}I", count, *map(len, records)) + b"".join(records)

    def _records(self, data: bytes) -> list[bytes]:
        (count,) = struct.unpack_from("<I", data)
        lengths = struct.unpack_from(f"<{count}I", data, 4)
        ends = list(accumulate(lengths, initial=4 * (count + 1)))
        if ends[-1] != len(data):
            raise ValueError(f"its records end at {ends[-1]} of {len(data)} bytes")
        return [data[start:end] for start, end in pairwise(ends)]

    def _items(self, data: bytes) -> list[Any]:
        return list(map(self._decode, self._records(data)))


PICKLE = 5
"""The protocol of pickles: every Python that this library runs on reads it."""


class Pickled(Framed):
    """
    Anything that can be pickled.

    Reading a pickle runs what is in it: whoever can write to the file can do what this process can.
    """

    def __init__(self, name: str, *, checks: bool) -> None:
        super().__init__(name, pickled, pickle.loads, checks=checks)


def pickled(item: Any) -> bytes:
    """Return the pickle of *item*."""
    return pickle.dumps(item, PICKLE)
