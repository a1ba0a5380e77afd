"""
What is written to a stored Map's log, and how it becomes the bytes of a chunk.

    kind     its value   its version     its position
    PUT      yes
    NEWER    yes         that given
    DELETE
    SETTLED              to remember     up to which its key is settled, delivered (None: forget it)
    BURIED                               likewise, given up: what is remembered stays
    VOID                                 of an op that its key's `merge` refused
    KNOWN                delivered last  of a snapshot: which generation, 0 the older one
    KEPT     yes         or None         of a snapshot: of the last op that made it, or `OWN`

Every op takes one position of its partition. A chunk holds columns, so few calls read it:

    head │ kinds │ hashes │ lengths of keys │ positions │ versions │ large versions │ keys │ values

The columns of positions, versions and values have no gaps: who has one follows from its kind. Keys
and values come as bytes, for their writers made them; values are what the codec joins.
"""

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any, Final, NamedTuple, Protocol

from ....errors import Undecodable

PUT, NEWER, DELETE, SETTLED, BURIED, VOID, KNOWN, KEPT = range(8)

OWN: Final = -1
"""The position of an entry that a snapshot keeps, and that no later op refers to: its own."""

WRITES = frozenset({PUT, NEWER})
VALUED = frozenset({PUT, NEWER, KEPT})
VERSIONED = frozenset({NEWER, SETTLED, KNOWN, KEPT})
PLACED = frozenset({SETTLED, BURIED, VOID, KNOWN, KEPT})
_SIMPLE = frozenset({PUT, DELETE})
_GROUPS = [bytes(sorted(group)) for group in (PLACED, VERSIONED, VALUED, range(8))]

_HEAD = struct.Struct("<BIII")  # format; how many ops, bytes of large versions, bytes of keys
_FORMAT = 1
_NONE, _LARGE = -(1 << 63), 1 - (1 << 63)  # in the column of versions
_NO_VERSION = struct.pack("<q", _NONE)


class Op(NamedTuple):
    """An op as it is written; a plain tuple of the same does as well."""

    kind: int
    hash: int
    """Of its key, by which it is routed: 64 bits, signed."""
    key: bytes
    value: bytes | None = None
    version: int | None = None
    position: int = 0


AnyOp = tuple[int, int, bytes, bytes | None, int | None, int]


class Values(Protocol):
    """What is used of a codec."""

    def join(self, records: Sequence[bytes], /) -> bytes: ...
    def split(self, data: bytes, /) -> list[bytes]: ...
    def decode(self, data: bytes, count: int, /) -> list[Any]: ...
    def decode_each(self, data: bytes, count: int, /) -> Any: ...
    def encode_all(self, items: Sequence[Any], /) -> list[bytes]: ...


def join(ops: Sequence[AnyOp], values: Values) -> bytes:
    """Return the data of a chunk of *ops*."""
    kinds, hashes, keys, records, versions, positions = zip(*ops, strict=True)
    met, count, each, large, places = set(kinds), len(kinds), b"", b"", b""
    if not met <= _SIMPLE:
        numbers = [at for kind, at in zip(kinds, positions, strict=True) if kind in PLACED]
        places = struct.pack(f"<{len(numbers)}q", *numbers)
        marked = [of for kind, of in zip(kinds, versions, strict=True) if kind in VERSIONED]
        each, large = _packed(marked)
    data = b"".join(keys)
    parts = [
        _HEAD.pack(_FORMAT, count, len(large), len(data)),
        bytes(kinds),
        struct.pack(f"<{count}q{count}I", *hashes, *map(len, keys)),
        places,
        each,
        large,
        data,
        values.join([each for each in records if each is not None]),
    ]
    return b"".join(parts)


def _packed(versions: Sequence[int | None]) -> tuple[bytes, bytes]:
    """Return the column of *versions*, and those that it does not hold."""
    large: list[bytes] = []
    column: list[int] = []
    for version in versions:
        if version is not None and not -_LARGE > version > _LARGE:
            data = version.to_bytes(version.bit_length() // 8 + 1, "little", signed=True)
            large += len(data).to_bytes(4, "little"), data
            column.append(_LARGE)
        else:
            column.append(_NONE if version is None else version)
    return struct.pack(f"<{len(column)}q", *column), b"".join(large)


class Columns(NamedTuple):
    """A chunk that has been read, but for its keys and values."""

    kinds: bytes
    hashed: bytes
    """The hashes, as they are written: a replay needs none."""
    lengths: tuple[int, ...]
    joined: bytes
    """The keys, one after the other."""
    positions: tuple[int, ...]
    versions: Sequence[int | None]
    values: bytes
    valued: int
    """How many have a value."""

    @property
    def hashes(self) -> tuple[int, ...]:
        """The hash of each key."""
        return struct.unpack(f"<{len(self.lengths)}q", self.hashed)

    @property
    def keys(self) -> list[bytes]:
        """The bytes of each key."""
        joined, ends = self.joined, accumulate(self.lengths, initial=0)
        return [joined[begin:end] for begin, end in pairwise(ends)]

    def ops(self, records: Sequence[Any], keys: Sequence[Any] | None = None) -> Iterator[AnyOp]:
        """Yield the ops, with values from *records*, and *keys* that are decoded, perhaps."""
        value, version, place = iter(records), iter(self.versions), iter(self.positions)
        for kind, hashed, key in zip(self.kinds, self.hashes, keys or self.keys, strict=True):
            yield (
                kind,
                hashed,
                key,
                next(value) if kind in VALUED else None,
                next(version) if kind in VERSIONED else None,
                next(place) if kind in PLACED else 0,
            )


def kinds_of(data: bytes) -> bytes:
    """Return the kinds of a chunk's ops, as far as it has any."""
    return data[_HEAD.size : _HEAD.size + int.from_bytes(data[1:5], "little")]


def read(data: bytes, count: int) -> Columns:
    """Return what a chunk of *count* ops holds; raise `Undecodable`."""
    try:
        columns = _read(data, count)
    except (struct.error, ValueError, KeyError) as error:
        raise Undecodable(f"{count} ops of a Map's log cannot be read: {error}") from error
    if len(columns.kinds) != count:
        raise Undecodable(f"{count} ops of a Map's log were expected: it has {len(columns.kinds)}")
    return columns


def _read(data: bytes, count: int) -> Columns:
    version, count, size_large, size_keys = _HEAD.unpack_from(data)
    if version != _FORMAT:
        raise ValueError(f"format {version}, expected {_FORMAT}")
    kinds = kinds_of(data)
    placed, versioned, valued, some = (
        len(kinds) - len(kinds.translate(None, group)) for group in _GROUPS
    )
    if some != count:
        raise ValueError("an op of no known kind")
    at, behind = _HEAD.size + count, _HEAD.size + 9 * count
    numbers = struct.unpack_from(f"<{count}I{placed}q", data, behind)
    lengths, positions, hashed = numbers[:count], numbers[count:], data[at:behind]
    at = behind + 4 * count + 8 * placed
    end = at + 8 * versioned
    packed, large = data[at:end], data[end : end + size_large]
    begin, stop = end + size_large, end + size_large + sum(lengths)
    if stop != begin + size_keys or stop > len(data):
        raise ValueError(f"its keys end at {stop} of {len(data)} bytes")
    versions, keys = _unpacked(packed, versioned, large), data[begin:stop]
    return Columns(kinds, hashed, lengths, keys, positions, versions, data[stop:], valued)


def _unpacked(packed: bytes, count: int, large: bytes) -> Sequence[int | None]:
    if packed == _NO_VERSION * count:
        return [None] * count
    versions: tuple[int, ...] = struct.unpack(f"<{count}q", packed)
    if min(versions) > _LARGE:
        return versions
    if not large:
        return [None if version == _NONE else version for version in versions]
    at = 0
    found: list[int | None] = []
    for version in versions:
        if version == _LARGE:
            end = at + 4 + int.from_bytes(large[at : at + 4], "little")
            if not at + 4 < end <= len(large):
                raise ValueError("a large version ends too late")
            found.append(int.from_bytes(large[at + 4 : end], "little", signed=True))
            at = end
        else:
            found.append(None if version == _NONE else version)
    return found


def route(
    data: bytes,
    places: Sequence[int],
    partitions: int,
    slot_of: Callable[[int, int], int],
    values: Values,
) -> Mapping[int, tuple[int, bytes]]:
    """
    Return what of *places* goes to which of so many partitions: how many ops, and their data.

    `slot_of(hash, partitions)` says where an op goes. Ops that refer to positions would mean
    others elsewhere: raises `Undecodable` for them. So what is moved is a snapshot of what was
    replayed (see `replay.compacted`), which has none of these.
    """
    columns = read(data, len(kinds_of(data)))
    ops = list(columns.ops(values.split(columns.values) if columns.valued else ()))
    pieces: dict[int, list[AnyOp]] = {}
    for place, op in zip(places, map(ops.__getitem__, places), strict=True):
        kind, hashed, *_, position = op
        if kind in PLACED and kind != KNOWN and (kind != KEPT or position != OWN):
            raise Undecodable(f"op {place} refers to a position: a snapshot has to be moved")
        pieces.setdefault(slot_of(hashed, partitions), []).append(op)
    return {slot: (len(piece), join(piece, values)) for slot, piece in pieces.items()}


def chunked(ops: Sequence[AnyOp], values: Values, size: int) -> Iterator[tuple[int, bytes]]:
    """Yield *ops* in chunks of *size*: how many, and their data."""
    for begin in range(0, len(ops), size):
        piece = ops[begin : begin + size]
        yield len(piece), join(piece, values)
