"""Ops of shared Maps, as their stores are given them; keys and values are text here."""

from collections.abc import Sequence
from typing import NamedTuple

from partitioned_buffer.abc.shared_map import (
    ADD,
    CLEARS,
    DELETE,
    HEAD,
    NEWER,
    PART,
    PUT,
    VERSIONED,
    MapOp,
    Swap,
    Tally,
)
from partitioned_buffer.abc.sharing import Claim, Parcel, SharedStore, Want
from partitioned_buffer.errors import StorageError
from partitioned_buffer.testing.contract.shared.maps.ops import parts, text

HASH = -5
"""Of all keys, unless told."""


def _op(
    mode: bytes,
    key: str,
    value: bytes = b"",
    version: int | None = None,
    updates: int = 0,
    clears: bool = False,
    hashed: int = HASH,
) -> MapOp:
    flags = (VERSIONED if version is not None else 0) | (CLEARS if clears else 0)
    return key.encode(), HEAD.pack(mode, flags, version or 0, updates, hashed) + value


def put(key: str, value: str, *, clears: bool = False, hashed: int = HASH) -> MapOp:
    return _op(PUT, key, value.encode(), clears=clears, hashed=hashed)


def newer(
    key: str,
    value: str,
    version: int,
    *,
    updates: int = 0,
    clears: bool = False,
    hashed: int = HASH,
) -> MapOp:
    return _op(NEWER, key, value.encode(), version, updates, clears, hashed)


def delete(key: str) -> MapOp:
    return _op(DELETE, key)


def add(key: str, number: float, *, clears: bool = False) -> MapOp:
    return _op(ADD, key, text(number), clears=clears)


def part(key: str, *values: str, clears: bool = False) -> MapOp:
    return _op(PART, key, parts(*values), clears=clears)


class Kept(NamedTuple):
    """What a record says."""

    mode: bytes
    value: bytes
    version: int | None
    updates: int
    hashed: int


def kept(record: bytes) -> Kept:
    mode, flags, version, updates, hashed = HEAD.unpack_from(record)
    assert flags in (0, VERSIONED)
    assert flags or not version
    return Kept(mode, record[HEAD.size :], version if flags else None, updates, hashed)


def values(entries: Sequence[MapOp]) -> dict[str, str]:
    """Return the values of records by key."""
    return {key.decode(): record[HEAD.size :].decode() for key, record in entries}


def ops_of(
    *ops: MapOp,
    known: int = 0,
    first: int | None = None,
    partition: int = 0,
    generation: int = 0,
    coalesced: int = 0,
    deleted: int = 0,
) -> Parcel:
    """Return a parcel of *ops*, behind the mark *known*, or from the mark *first* on."""
    first = known + 1 if first is None else first
    last, many = first + len(ops) - 1, sum(record[:1] != DELETE for _, record in ops)
    tally = Tally(many + coalesced + deleted, coalesced, deleted)
    return Parcel(generation, partition, known, first, last, len(ops), b"", ops, tally)


def swapped(
    store: SharedStore,
    claim: Claim,
    swap: int = -1,
    *,
    delivered: Sequence[str] = (),
    buried: Sequence[str] = (),
    records: int = 100,
    max_bytes: int = 1 << 20,
) -> Swap:
    """Take a step by which keys of *swap* are settled."""
    done, dead = ([key.encode() for key in keys] for keys in (delivered, buried))
    (found,) = store.step(0, [Want(claim, swap, records, max_bytes, 0, done, dead)])
    if isinstance(found, StorageError):
        raise found
    assert isinstance(found, Swap)
    return found
