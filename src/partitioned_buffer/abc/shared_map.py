"""
What of a Map waits on a shared storage: one record for each key of a partition.

    producers: front ─► append ─► waiting ─── swap ──► in flight ─► step ─► window ─► workers
                                  one record   when     settled, key by key   │
                                  for a key    that is empty ◄────────────────┘

An op is a key and a record, both bytes. A record's head says what is to be done with what waits
for that key, and what is known of it when it waits itself:

    mode     waits then                                                          value
    PUT      this, whatever waits                                                as the codec has it
    NEWER    this, if its version is newer than what the key has                 likewise
    DELETE   nothing; what is in flight is gone, and the version, too            none
    ADD      the sum of this and what waits                                      a number
    PART     what waits, and this behind it                                      parts

`NEWER` has to beat the version that waits, else the one in flight, else the one delivered last, as
far as that is remembered; what waits or flies without a version has 0. It is no update of what it
does not beat. An op that `CLEARS` first does what a `DELETE` does.

Numbers are text: `i` and a whole number, or `f` and a float. Parts are one behind the other, each
with its length (4 bytes, big-endian): what the codec made of a value, or, where the length has
`NUMBER` added, a number. An `ADD` to parts is a part, and so is the sum of whole numbers that a
float could not hold: what waits is then the parts of both.
"""

import struct
from collections.abc import Sequence
from typing import Final, NamedTuple

PUT: Final = b"P"
NEWER: Final = b"N"
DELETE: Final = b"D"
ADD: Final = b"A"
PART: Final = b"M"

VERSIONED: Final = 1
"""Among a record's flags: it has a version."""
CLEARS: Final = 2
"""Likewise, of an op alone: it first does what a `DELETE` does."""

HEAD: Final = struct.Struct(">cBqIq")
"""Of a record: mode, flags, version, updates, and the hash of its key; 22 bytes."""

LENGTH: Final = struct.Struct(">I")
NUMBER: Final = 1 << 31
EXACT: Final = 1 << 53
"""The greatest whole number up to which floats hold them all: no more than that is added up."""
MOST_PARTS: Final = 1 << 20
"""Bytes of parts that wait for one key at most; for more the storage is full."""

MapOp = tuple[bytes, bytes]
"""A key, and a record."""


class Tally(NamedTuple):
    """What a producer has made of its own writes before it sent them as fewer ops."""

    accepted: int = 0
    """How many writes there were, without deletes."""
    coalesced: int = 0
    """How many of these others have replaced or taken in."""
    deleted: int = 0
    """How many of these were deleted."""

    @property
    def held(self) -> int:
        """How many are left."""
        return self.accepted - self.coalesced - self.deleted


class Swap(NamedTuple):
    """What a step of a Map's partition has brought."""

    number: int
    """Of the swap that is in flight: all of it is settled before there is another. 0: none was."""
    entries: Sequence[MapOp]
    """What comes next of it, in any order; some of it may have been given to this claim before."""
    is_all: bool
    """Whether this claim has been given all of it."""
    left: int
    """How many entries of it are not settled."""
    waiting: int
    """How many wait for the next one."""


class Found(NamedTuple):
    """What there is of one key."""

    waiting: bytes | None
    """The record that waits."""
    flying: bytes | None
    """The record in flight."""
    mark: int
    """That of the last op of the asking producer that its partition has had."""
