"""
What the server of a `SharedDict` makes of a Map's records: see `abc/shared_map.py`.
"""

from typing import NamedTuple

from ..abc.shared_map import (
    ADD,
    CLEARS,
    DELETE,
    EXACT,
    HEAD,
    LENGTH,
    NEWER,
    NUMBER,
    PART,
    VERSIONED,
)

_MOST_UPDATES = (1 << 32) - 1
_MOST_DIGITS = len(str(EXACT)) + 1
"""Of a whole number that is added up: with its sign."""


class Record(NamedTuple):
    """An op, or what waits."""

    mode: bytes
    flags: int
    version: int
    updates: int
    hash: int
    value: bytes

    @classmethod
    def of(cls, data: bytes) -> "Record":
        """Return what *data* say."""
        mode, flags, version, updates, hashed = HEAD.unpack_from(data)
        return cls(mode, flags, version, updates, hashed, data[HEAD.size :])

    @property
    def data(self) -> bytes:
        """The bytes of it, as it waits."""
        flags = self.flags & ~CLEARS
        head = HEAD.pack(self.mode, flags, self.version, self.updates, self.hash)
        return head + self.value

    @property
    def is_clearing(self) -> bool:
        """Whether all there was is deleted."""
        return self.mode == DELETE or self.flags & CLEARS > 0

    @property
    def is_versioned(self) -> bool:
        """Whether it has a version."""
        return self.flags & VERSIONED > 0

    @property
    def beaten_by(self) -> int:
        """What a version has to be greater than, to be newer."""
        return self.version if self.is_versioned else 0


def over(new: Record, old: Record) -> Record:
    """Return what waits when *new* comes to *old*, which waits."""
    if new.mode == NEWER:
        updates = min(_MOST_UPDATES, new.updates + 1 + old.updates)
        return new._replace(updates=updates)
    if new.mode not in {ADD, PART}:
        return new
    if new.mode == old.mode == ADD and (number := _sum(old.value, new.value)) is not None:
        return new._replace(value=number, updates=0)
    return new._replace(mode=PART, value=_parts(old) + _parts(new), updates=0)


def _parts(record: Record) -> bytes:
    if record.mode == PART:
        return record.value
    size = len(record.value)
    return LENGTH.pack(size | NUMBER if record.mode == ADD else size) + record.value


def _sum(one: bytes, two: bytes) -> bytes | None:
    """Return the sum of two numbers as text; None: it would not be exact."""
    first, second = _number(one), _number(two)
    if first is None or second is None:
        return None
    added = first + second
    if isinstance(added, float):
        return b"f" + repr(added).encode()
    return b"i%d" % added if abs(added) <= EXACT else None


def _number(text: bytes) -> int | float | None:
    if text[:1] == b"f":
        return float(text[1:])
    if len(text) - 1 > _MOST_DIGITS or abs(number := int(text[1:])) > EXACT:
        return None
    return number
