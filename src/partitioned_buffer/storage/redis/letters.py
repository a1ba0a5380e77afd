"""
What was given up, kept beside the partition that it was in: in the slot of its lease, so that only
its owner buries. Older layouts keep theirs; a letter's number says of which it is.

    letter    count, attempts, length of the error (4 bytes each), when (8 bytes), error, data

When is said, by the clock of who gave it up, if that length has `_TIMED` added; letters of earlier
versions have nothing there.
"""

import struct
import time
from collections.abc import Iterator
from hashlib import sha1
from heapq import merge
from itertools import islice
from typing import NamedTuple

from ...abc.sharing import Claim
from .claims import Claims, lost
from .layouts import Layouts
from .naming import Names
from .scripts import call
from .wire.servers import Servers

_HEAD = struct.Struct(">III")
_COUNTS = struct.Struct(">II")
_WHEN = struct.Struct(">d")
_TIMED = 1 << 31

_OF_ONE = 1 << 40
"""Numbers that a partition of one generation has for its letters."""


class Letter(NamedTuple):
    """*count* records that were given up after *attempts*."""

    number: int
    data: bytes
    count: int  # type: ignore[assignment]  # instead of a tuple's method
    error: str
    attempts: int
    time: float | None
    """Seconds since the epoch; None: not known."""


LastLetter = tuple[int, bytes | None, int, str, int, float | None]
"""A `Letter`; without its data, where that is too much."""


class Box:
    """What was given up of a buffer, for who deals with it."""

    def __init__(self, servers: Servers, names: Names, layouts: Layouts) -> None:
        self._servers, self._names, self._layouts = servers, names, layouts

    def read(self, partition: int) -> Iterator[Letter]:
        """Yield what was given up of a partition, in all layouts, the oldest first."""
        for generation, partitions in self._layouts.generations:
            if partition < partitions:
                for number in self.numbers(generation, partition):
                    letter = self.open(partition, number)
                    if letter is not None:  # not forgotten since
                        yield letter

    def numbers(self, generation: int, partition: int) -> list[int]:
        """Return the numbers of what was given up there, the oldest first."""
        key = self._names.of(generation, partition).dead
        numbers = self._servers.call("rest", key, ("HKEYS", key))
        return [generation * _OF_ONE + number for number in sorted(map(int, numbers))]

    def open(self, partition: int, number: int) -> Letter | None:
        """Return one of those; None: it is forgotten."""
        generation, inner = divmod(number, _OF_ONE)
        key = self._names.of(generation, partition).dead
        letter = self._servers.call("rest", key, ("HGET", key, inner))
        if letter is None:
            return None
        count, attempts, length = _HEAD.unpack_from(letter)
        begin, when = _HEAD.size, None
        if length & _TIMED:
            begin, when = begin + _WHEN.size, _when(letter[begin:][: _WHEN.size])
        end = begin + (length & ~_TIMED)
        error = letter[begin:end].decode(errors="replace")
        return Letter(number, letter[end:], count, error, attempts, when)

    def last(self, most: int, max_bytes: int) -> list[LastLetter]:
        """
        Return *most* of what was given up last, at a cost that does not grow with how much it is.

        Those of earlier versions, of which it is not known when, come last. Of a partition data of
        *max_bytes* is brought; where it is more, it is None.
        """
        asked = [
            (of.dead, call("last", [of.dead, of.meta], most, max_bytes), generation)
            for generation, partitions in reversed(self._layouts.generations)
            for of in (self._names.of(generation, each) for each in range(partitions))
        ]
        replies = self._servers.gathered([(key, command) for key, command, _ in asked])
        each = (
            [_looked_at(generation, letter) for letter in letters]
            for (_, _, generation), letters in zip(asked, replies, strict=True)
        )
        return list(islice(merge(*each, key=lambda letter: -(letter[-1] or 0.0)), most))

    def forget(self, partition: int, number: int) -> None:
        """Forget one of those."""
        generation, number = divmod(number, _OF_ONE)
        of = self._names.of(generation, partition)
        self._servers.call("rest", of.dead, call("forget", [of.dead, of.meta], number))


def _when(data: bytes) -> float | None:
    """Return when that was; None: nothing is said."""
    when: float | None = _WHEN.unpack(data)[0] if data else None
    return when


def _looked_at(generation: int, letter: tuple[int, int, bytes, bytes, bytes, bytes]) -> LastLetter:
    number, size, counts, error, data, when = letter
    count, attempts = _COUNTS.unpack(counts)
    brought = data if len(data) == size else None
    said = error.decode(errors="replace")
    return generation * _OF_ONE + number, brought, count, said, attempts, _when(when)


class Letters(Box):
    """... and for its workers."""

    def __init__(self, servers: Servers, names: Names, layouts: Layouts, claims: Claims) -> None:
        super().__init__(servers, names, layouts)
        self._claims = claims

    def bury(self, claim: Claim, data: bytes, count: int, error: str, attempts: int) -> None:
        """Keep *count* records that were given up; raise `ClaimLost`."""
        of = self._names.of(claim.generation, claim.partition)
        said = error.encode(errors="replace")
        # The same letter again is one that was not heard of, unless this claim buried others since.
        same = _HEAD.pack(count, attempts, len(said)) + said + data
        digest = sha1(same, usedforsecurity=False).hexdigest()
        head = _HEAD.pack(count, attempts, len(said) | _TIMED) + _WHEN.pack(time.time())
        letter = head + same[_HEAD.size :]
        which = f"{claim.token}:{claim.state.buried}:{digest}"
        value = self._claims.value_of(claim)
        command = call("bury", [of.lease, of.meta, of.dead], value, count, letter, which)
        if self._servers.call("rest", of.lease, command) is None:
            raise lost(claim)
        claim.state.buried += 1
