"""
What a Map's producers write, and what is found of it: see `abc/shared_map.py`.
"""

import struct
import zlib
from collections.abc import Iterable
from typing import NamedTuple

from .....abc.shared_map import (
    ADD,
    CLEARS,
    DELETE,
    HEAD,
    LENGTH,
    NEWER,
    NUMBER,
    PART,
    PUT,
    VERSIONED,
    MapOp,
    Tally,
)

Key = str | bytes
Number = int | float


class Seen(NamedTuple):
    """What a record that waits, or is in flight, says."""

    mode: bytes
    value: bytes
    version: int | None = None
    updates: int = 0


def put(key: Key, value: Key, version: int | None = None, *, clears: bool = False) -> MapOp:
    """Have *value*, whatever waits."""
    return _op(PUT, key, raw(value), version, clears=clears)


def newer(key: Key, value: Key, version: int, *, updates: int = 0, clears: bool = False) -> MapOp:
    """Have *value* if *version* is newer than what there is."""
    return _op(NEWER, key, raw(value), version, updates=updates, clears=clears)


def delete(key: Key) -> MapOp:
    """Have nothing."""
    return _op(DELETE, key, b"")


def add(key: Key, number: Number, *, clears: bool = False) -> MapOp:
    """Have *number* more."""
    return _op(ADD, key, text(number), clears=clears)


def part(key: Key, *values: Key | Number, clears: bool = False) -> MapOp:
    """Have *values* behind what there is."""
    return _op(PART, key, parts(*values), clears=clears)


def _op(  # noqa: PLR0913  # what a record has
    mode: bytes,
    key: Key,
    value: bytes,
    version: int | None = None,
    *,
    updates: int = 0,
    clears: bool = False,
) -> MapOp:
    flags = (0 if version is None else VERSIONED) | (CLEARS if clears else 0)
    return raw(key), HEAD.pack(mode, flags, version or 0, updates, hash_of(key)) + value


def hash_of(key: Key) -> int:
    """Return the hash of *key*: any 8 bytes, with a sign."""
    half = struct.pack(">I", zlib.crc32(raw(key)))
    hashed: int = struct.unpack(">q", half + half)[0]
    return hashed


def raw(value: Key) -> bytes:
    """Return the bytes of *value*."""
    return value if isinstance(value, bytes) else value.encode()


def text(number: Number) -> bytes:
    """Return *number* as it is written."""
    return b"i%d" % number if isinstance(number, int) else b"f" + repr(number).encode()


def parts(*values: Key | Number) -> bytes:
    """Return *values* one behind the other."""
    made = b""
    for value in values:
        if isinstance(value, int | float):
            made += LENGTH.pack(NUMBER | len(text(value))) + text(value)
        else:
            made += LENGTH.pack(len(raw(value))) + raw(value)
    return made


def tally_of(ops: Iterable[MapOp]) -> Tally:
    """Return the tally of *ops* that are all that was written."""
    return Tally(sum(record[:1] != DELETE for _, record in ops))


def seen(key: bytes, record: bytes | None) -> Seen | None:
    """Return what *record* says, and see that it is one of *key* that waits."""
    if record is None:
        return None
    mode, flags, version, updates, hashed = HEAD.unpack_from(record)
    assert mode in {PUT, NEWER, ADD, PART}, "that does not wait"
    assert flags in {0, VERSIONED}, "what is cleared is cleared"
    assert hashed == hash_of(key), "the hash of another key"
    return Seen(mode, record[HEAD.size :], version if flags & VERSIONED else None, updates)


def split(value: bytes) -> list[bytes | Number]:
    """Return the parts that *value* has."""
    found, at = list[bytes | Number](), 0
    while at < len(value):
        (size,) = LENGTH.unpack_from(value, at)
        at += LENGTH.size
        piece = value[at : at + size % NUMBER]
        assert len(piece) == size % NUMBER, "a part has an end"
        found.append(number_of(piece) if size & NUMBER else piece)
        at += size % NUMBER
    return found


def number_of(text: bytes) -> Number:
    """Return the number that *text* says."""
    assert text[:1] in {b"i", b"f"}
    return int(text[1:]) if text[:1] == b"i" else float(text[1:])


def total(what: Seen | None) -> Number:
    """Return the sum that waits, as one number or in parts."""
    assert what is not None
    assert what.mode in {ADD, PART}
    numbers = [number_of(what.value)] if what.mode == ADD else split(what.value)
    made: Number = 0
    for number in numbers:
        assert isinstance(number, int | float)
        made += number
    return made
