"""
What a Queue's chunk is, beside the records: where each of them belongs.

    0 | records                         they went to the partition whose turn it was
    1 | count 4 | hash 8 each | records  by the hash of their partition keys; -1: it had none

The hash, and not the partition, for another number of partitions would deal the keys anew.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from zlib import crc32

from ....abc import Codec, Route

NO_KEY: Final = -1

_COUNT = struct.Struct("<I")


def with_hashes(records: bytes, hashes: Sequence[int]) -> bytes:
    """Return a chunk of *records*, each with its hash."""
    if max(hashes, default=NO_KEY) == NO_KEY:
        return b"\0" + records
    count = len(hashes)
    return b"".join((b"\1", _COUNT.pack(count), struct.pack(f"<{count}q", *hashes), records))


def without_hashes(chunk: bytes) -> bytes:
    """Return the records of a chunk."""
    if chunk[:1] == b"\0":
        return chunk[1:]
    (count,) = _COUNT.unpack_from(chunk, 1)
    return chunk[1 + _COUNT.size + 8 * count :]


def hashes_of(chunk: bytes) -> Sequence[int]:
    """Return the hash of each record; none if they have none."""
    if chunk[:1] == b"\0":
        return ()
    (count,) = _COUNT.unpack_from(chunk, 1)
    return struct.unpack_from(f"<{count}q", chunk, 1 + _COUNT.size)


def route_of_queue(codec: Codec, slots_of: Callable[[int], Sequence[int]]) -> Route:
    """
    Return what deals a Queue's records out to other partitions, of which *slots_of* has the slots.

    What has no key stays together with what was written with it, for its order is that.
    """

    def route(
        chunk: bytes, places: Sequence[int], partitions: int
    ) -> Mapping[int, tuple[int, bytes]]:
        slots, hashes = slots_of(partitions), hashes_of(chunk)
        records = codec.split(without_hashes(chunk))
        together = crc32(chunk) % partitions
        groups: dict[int, list[tuple[bytes, int]]] = {}
        for place in places:
            hashed = hashes[place] if hashes else NO_KEY
            where = together if hashed == NO_KEY else slots[hashed % len(slots)]
            groups.setdefault(where, []).append((records[place], hashed))
        return {where: (len(group), _chunk(codec, group)) for where, group in groups.items()}

    return route


def _chunk(codec: Codec, group: Sequence[tuple[Any, int]]) -> bytes:
    return with_hashes(codec.join([record for record, _ in group]), [each for _, each in group])
