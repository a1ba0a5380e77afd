"""
What waits in the front of a shared Map: for each key, what is to be done with it on the server.

A write is put over what waits for its key here as the server would put it over what waits there
(see `abc.shared_map`), so that what is sent grows with the keys, and not with the writes. But only
as long as nothing of it was sent: that goes again as it was, and the newer waits behind it.
"""

import operator
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

from ....abc import Codec
from ....abc.shared_map import (
    ADD,
    CLEARS,
    DELETE,
    EXACT,
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
from ....errors import Undecodable
from .records import Ticket


class Sent(Exception):  # no error: it says where a value waits
    """What waits was sent, and is not put anything over."""


class Unsent(NamedTuple):
    """What is to be done with a key."""

    mode: bytes
    flags: int
    version: int
    updates: int
    hash: int
    """Of its key."""
    key: bytes
    data: bytes
    """The value, as a record has it."""
    value: Any
    """Where values are merged: itself."""
    tally: Tally
    """How many writes it comes of."""
    tickets: tuple[Ticket, ...]
    """Of those who wait to hear of it."""
    sent: list[int]
    """Its mark, once it is sent. What is put over it before has the same list."""

    @property
    def place(self) -> bytes:
        """What it is found by in the front's table: of other partition keys it is another."""
        return place_of(self.hash, self.key)

    @property
    def op(self) -> MapOp:
        """What the storage is told."""
        head = HEAD.pack(self.mode, self.flags, self.version, self.updates, self.hash)
        return self.key, head + self.data


_unsent = partial(tuple.__new__, Unsent)  # half the cost of Unsent(...)

_tally = partial(tuple.__new__, Tally)

ONE, NONE = Tally(1), Tally()

Merge = Callable[[Any, Any], Any]


def place_of(hashed: int, key: bytes) -> bytes:
    """Return what a key is found by in a front's table."""
    return hashed.to_bytes(8, "big", signed=True) + key


def weight_of_unsent(unsent: Unsent) -> int:
    """Return how many bytes it counts for."""
    return len(unsent.data)


class Writes:
    """Makes what waits, for values of a *codec*, and puts one over the other."""

    def __init__(self, codec: Codec, merge: Merge | None) -> None:
        self._codec, self._merge = codec, merge
        self._adds = merge is operator.add

    def put(self, hashed: int, key: bytes, record: bytes) -> Unsent:
        """Return a put of what *record* is."""
        mode, data, value = PUT, record, None
        if self._merge is not None:
            mode, data, value = self._merged(self._back(record), record)
        return _unsent((mode, 0, 0, 0, hashed, key, data, value, ONE, (), []))

    def put_newer(self, hashed: int, key: bytes, record: bytes, version: int) -> Unsent:
        """Return a put of what *record* is, if its *version* is newer."""
        return _unsent((NEWER, VERSIONED, version, 0, hashed, key, record, None, ONE, (), []))

    def delete(self, hashed: int, key: bytes) -> Unsent:
        """Return a delete."""
        return _unsent((DELETE, 0, 0, 0, hashed, key, b"", None, NONE, (), []))

    def _back(self, record: bytes) -> Any:
        """Return what comes back from *record*."""
        data = self._codec.join([record])
        try:
            (back,) = self._codec.decode(data, 1)
        except Undecodable as error:
            self._codec.decode(data, 1)
            raise error.__cause__ or error from None  # not the value's: a signal handler's, say
        return back

    def _merged(self, value: Any, record: bytes | None = None) -> tuple[bytes, bytes, Any]:
        """Return mode, data and value of what is merged there with others."""
        if self._adds and is_number(value):
            return ADD, text_of(value), value
        record = self._codec.encode(value) if record is None else record
        return PART, LENGTH.pack(len(record)) + record, value

    def over(self, old: Unsent, new: Unsent) -> Unsent:
        """Return what is to be done when *new* is written over *old*. Runs `merge`."""
        mode, flags, _, _, _, _, _, _, tally, tickets, sent = old
        if sent:
            raise Sent
        if mode != PUT or self._merge is not None or new[0] != PUT or new[8] is not ONE or new[9]:
            return self.both(old, new)
        # A plain put over another: most of them, and in half the time.
        accepted, coalesced, deleted = tally
        tally = _tally((accepted + 1, coalesced + 1, deleted))
        return _unsent((PUT, flags & CLEARS, 0, 0, *new[4:8], tally, tickets, sent))

    def both(self, old: Unsent, new: Unsent) -> Unsent:
        """Return what the two come to, one after the other."""
        wins, clears = new, old.flags & CLEARS
        (accepted, coalesced, deleted), (more, others, gone) = old.tally, new.tally
        if new.mode == DELETE:
            deleted += old.mode != DELETE
        elif old.mode == DELETE:
            clears = CLEARS
            if new.mode == NEWER:  # than nothing
                wins = new._replace(mode=PUT)
        else:
            coalesced += 1
            if new.mode != PUT or self._merge is not None:
                wins = self._value(old, new)
        tally = _tally((accepted + more, coalesced + others, deleted + gone))
        flags, tickets = (wins.flags & VERSIONED) | clears, old.tickets + new.tickets
        mode, _, version, updates, hashed, key, data, value, *_ = wins
        return _unsent(
            (mode, flags, version, updates, hashed, key, data, value, tally, tickets, old.sent)
        )

    def _value(self, old: Unsent, new: Unsent) -> Unsent:
        """Return what the value is when there was one."""
        if new.mode == NEWER:
            if new.version <= old.version:  # that of a plain put is 0
                return old
            return new._replace(mode=old.mode, updates=old.updates + 1)
        if self._merge is None:
            return new
        mode, data, value = self._merged(self._merge(old.value, new.value))
        return new._replace(mode=mode, data=data, value=value)


def is_number(value: Any) -> bool:
    """Return whether the server adds it up as exactly as Python does."""
    if type(value) is int:
        return -EXACT <= value <= EXACT
    return type(value) is float


def text_of(number: float) -> bytes:
    """Return a number as it is in a record."""
    return (b"i%d" % number) if type(number) is int else b"f" + repr(number).encode()


def number_of(text: bytes) -> float:
    """Return what a number in a record is; raise `Undecodable`."""
    try:
        return int(text[1:]) if text[:1] == b"i" else float(text[1:])
    except ValueError as error:
        raise Undecodable(f"a sum cannot be read: {error}") from error


def value_of(mode: bytes, data: bytes, codec: Codec, merge: Merge | None) -> Any:
    """Return the value of a record; raise `Undecodable`, and what *merge* raises."""
    if mode == ADD:
        return number_of(data)
    if mode != PART:
        (value,) = codec.decode(codec.join([data]), 1)
        return value
    values = [
        number_of(piece) if is_number else codec.decode(codec.join([piece]), 1)[0]
        for piece, is_number in parts_of(data)
    ]
    whole = values[0]
    for value in values[1:]:
        if merge is None:
            raise Undecodable("it has several parts: expected a Map with merge, as it had")
        whole = merge(whole, value)
    return whole


def parts_of(data: bytes) -> list[tuple[bytes, bool]]:
    """Return the parts of a value, and of each whether it is a number; raise `Undecodable`."""
    at = 0
    parts: list[tuple[bytes, bool]] = []
    while at + LENGTH.size <= len(data):
        (length,) = LENGTH.unpack_from(data, at)
        at += LENGTH.size
        size = length & (NUMBER - 1)
        parts.append((data[at : at + size], length >= NUMBER))
        at += size
    if not parts or at != len(data):
        raise Undecodable("its parts are damaged")
    return parts


def put(table: Any, *args: Any) -> int:
    """Write to *table*: again, if what waited there was sent before this came to be over it."""
    while True:
        with suppress(Sent):
            outcome: int = table.put(*args)
            return outcome
