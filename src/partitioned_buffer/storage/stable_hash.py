"""
A hash that is the same in every process, for stores that outlive one.

Python's own differs per process for text, bytes and dates. This one is the checksum of bytes that
say what a key equals: keys that are equal have equal bytes, whatever their types. What numbers
equal across their types is known to `hash()`, which is the same everywhere for them: 1, 1.0, True
and Decimal(1) are one key to a dict, and here.

It is for routing: 32 bits, quick, and not for secrets. It must never change: the records of a key
would go on in another partition, beside those that wait. Text takes three times as long as with
`hash()`, an int eight times, tuples and what is rarer 1 to 2 µs.
"""

import enum
import struct
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from numbers import Rational, Real
from typing import Any
from uuid import UUID
from zlib import crc32

_MODULUS = (1 << 61) - 1
"""Of `hash()` for numbers on 64 bits; elsewhere it is done by hand."""

_LENGTH = struct.Struct(">I")
_TEXT, _NUMBER, _BYTES = map(crc32, (b"s", b"n", b"b"))  # what their bytes go on from


def stable_hash(key: Any) -> int:
    """
    Return the hash of *key*, from 0 to 2**32 - 1: equal keys have equal ones, in every process.

    Takes text, bytes, numbers, None, UUIDs, dates and times, members of Enums, and tuples and
    frozensets of these. Raises `TypeError` for others: only their class knows what they equal.
    """
    kind = type(key)
    if kind is str:
        try:
            return crc32(key.encode(), _TEXT)
        except UnicodeEncodeError:  # a lone surrogate is text, too
            return crc32(key.encode("utf-8", "surrogatepass"), _TEXT)
    if kind is int or kind is float or kind is bool:
        return crc32(_number(key), _NUMBER)
    if kind is bytes:
        return crc32(key, _BYTES)
    return crc32(canonical(key))


def canonical(key: Any) -> bytes:
    """Return bytes that are the same for keys that are equal, and differ for others, mostly."""
    write = _EXACTLY.get(type(key))
    if write is not None:
        return write(key)
    if isinstance(key, Real | Decimal):  # members of some Enums, too
        return _numeral(key)
    for kind, write in _KINDS.items():
        if isinstance(key, kind):
            equals: object = kind.__eq__
            if type(key).__eq__ is not equals:
                raise _refusal(key, f"it compares in a way that {kind.__name__} does not")
            return write(key)
    raise _refusal(key, "what it equals is not known")


def _refusal(key: object, why: str) -> TypeError:
    return TypeError(
        f"cannot route by {type(key).__name__}, which is to stay the same in every process: {why}. "
        "Expected text, bytes, numbers, None, UUIDs, dates, members of Enums, or tuples of these; "
        "give a partition_key function that returns one"
    )


def _number(number: Any) -> bytes:
    if number != number:  # noqa: PLR0124  # not a number equals nothing, and hashes by where it is
        return b"nan"
    return _residue(number).to_bytes(8, "big", signed=True)


def residue(number: Any) -> int:
    """Return what `hash()` is for a number on 64 bits, as the reference of Python defines it."""
    if isinstance(number, Rational):
        over, under = int(number.numerator), int(number.denominator)
    elif number in {_INFINITE, -_INFINITE}:
        return 314159 if number > 0 else -314159
    else:
        over, under = number.as_integer_ratio()
    found = 314159
    if under % _MODULUS:
        found = abs(over) * pow(under, -1, _MODULUS) % _MODULUS
    if over < 0:
        found = -found
    return -2 if found == -1 else found


_INFINITE = float("inf")

_residue: Callable[[Any], int] = hash if sys.hash_info.modulus == _MODULUS else residue


def _tuple(key: tuple[Any, ...]) -> bytes:
    return b"(" + _framed(map(canonical, key))


def _frozenset(key: frozenset[Any]) -> bytes:
    return b"{" + _framed(sorted(map(canonical, key)))


def _framed(parts: Any) -> bytes:
    return b"".join(_LENGTH.pack(len(part)) + part for part in parts)


def _moment(key: datetime) -> bytes:
    key = key.replace(fold=0)  # as Python's own hash does
    offset = key.utcoffset()
    if offset is None:
        return b"D" + key.isoformat().encode()
    since = key.replace(tzinfo=UTC) - _EPOCH - offset  # which may be before the year 1
    return b"Z" + _span(since)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _span(key: timedelta) -> bytes:
    return b"+%d,%d,%d" % (key.days, key.seconds, key.microseconds)


def _time(key: time) -> bytes:
    offset = key.utcoffset()
    if offset is None:
        return b"T" + key.isoformat().encode()
    whole = timedelta(0, key.hour * 3600 + key.minute * 60 + key.second, key.microsecond)
    return b"Y" + _span(whole - offset)


def _member(key: enum.Enum) -> bytes:
    # Without its module: that of a program is called otherwise where it is imported.
    return b"E" + f"{type(key).__qualname__}.{key.name}".encode()


def _numeral(key: Any) -> bytes:
    return b"n" + _number(key)


_KINDS: dict[type, Callable[[Any], bytes]] = {
    str: lambda key: b"s" + str.encode(key, "utf-8", "surrogatepass"),
    bytes: lambda key: b"b" + key,
    tuple: _tuple,
    UUID: lambda key: b"u" + key.bytes,
    enum.Enum: _member,
    datetime: _moment,  # which is a date, too
    date: lambda key: b"d" + key.isoformat().encode(),
    time: _time,
    timedelta: lambda key: b"-" + _span(key),
    frozenset: _frozenset,
}

_EXACTLY: dict[type, Callable[[Any], bytes]] = {
    **_KINDS,
    **dict.fromkeys((int, float, bool, Decimal), _numeral),
    type(None): lambda key: b"0",  # noqa: ARG005
}
