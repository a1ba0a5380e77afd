"""
What waits in the front of a shared buffer: records, which its writers have encoded.

    record                        of an item without a partition key
    (hash, record, ticket)        of one with a key; or of which somebody waits to hear

Nobody but the shipper looks into them.
"""

from collections.abc import Sequence
from typing import Any

from ....abc import Codec

Record = bytes | tuple[int, bytes, "Ticket | None"]


class Ticket:
    """A write that waits until all its *count* records are on the server."""

    __slots__ = ("_left", "signal")

    def __init__(self, signal: Any, count: int) -> None:
        self.signal = signal
        self._left = [None] * count  # taken from in single steps, by several shippers

    @property
    def done(self) -> bool:
        """Whether they are."""
        return not self._left

    def arrived(self) -> bool:
        """Take note of one more; return whether it was the last."""
        self._left.pop()
        return not self._left


def weight_of(record: Record) -> int:
    """Return how many bytes *record* counts for."""
    return len(plain(record))


def plain(record: Record) -> bytes:
    """Return it without its hash."""
    return record if isinstance(record, bytes) else record[1]


def tickets_of(record: Any) -> tuple[Ticket, ...]:
    """Return the tickets of those who wait for *record*, a Queue's or a Map's."""
    if type(record) is tuple:
        return () if record[2] is None else (record[2],)
    return getattr(record, "tickets", ())


def items_of(codec: Codec, records: Sequence[Record]) -> list[Any]:
    """Return what *records* were made of."""
    each = [plain(record) for record in records]
    return codec.decode(codec.join(each), len(each)) if each else []
