"""
What a write brings to a stored Queue's table, and how its chunks become items again.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from ....abc import Chunk, Store
from ....errors import Undecodable
from .hashes import without_hashes
from .part import Part, from_position


class QueuePiece(NamedTuple):
    """What a write brings to one table: records, or many of them packed."""

    table: Any
    records: Sequence[bytes]
    hashes: Sequence[int]
    packed: bytes | None = None

    @property
    def error(self) -> None:
        """What went wrong where it landed: nothing can."""

    def load(self) -> tuple[int, int]:
        """Return how many items and bytes it is."""
        return len(self.hashes), sum(map(len, self.records))

    def replaces(self) -> bool:
        """Return whether it only writes over what waits: never."""
        return False

    def go_without_room(self, without: bool, /) -> None:
        """Have been let in for that, or not."""

    def singles(self) -> "list[QueuePiece]":
        """Return it item by item."""
        each = zip(self.records, self.hashes, strict=True)
        return [QueuePiece(self.table, [record], [hashed]) for record, hashed in each]


def weight_from(chunk: Chunk, position: int) -> int:
    """Return what the records of *chunk* weigh from *position* on: its bytes, dealt out evenly."""
    start, count, data = chunk
    place, size = min(max(0, position - start), count), len(data or b"")
    return size - size * place // count


class Records:
    """Those of number *partition* in *store*; *weighed* where bytes are bounded."""

    def __init__(self, store: Store, partition: int, *, weighed: bool) -> None:
        self._store, self._partition, self._weighed = store, partition, weighed

    def of(self, chunk: Chunk, position: int, *, keep: bool = True) -> Part:
        """
        Return the records of *chunk* from *position* on, as far as they decode.

        What does not is kept, as given up, so that somebody can look at it.
        """
        start, count, data = chunk
        if data is None:
            return Part([], range(0), ())
        records = without_hashes(data)
        try:
            items = self._store.codec.decode(records, count)
        except Undecodable as error:
            return self._each(chunk, records, position, error if keep else None)
        weights: list[int] = []
        if self._weighed:
            size = len(data)
            ends = [size * place // count for place in range(count + 1)]
            weights = [end - begin for begin, end in pairwise(ends)]
        return from_position(Part(items, range(start, start + count), weights), position)

    def _each(self, chunk: Chunk, records: bytes, position: int, error: Undecodable | None) -> Part:
        store = self._store
        try:
            each = store.codec.decode_each(records, chunk.count)
        except Undecodable:
            if error is not None:
                store.bury(self._partition, records, chunk.count, str(error), 0)
            return Part([], range(0), ())
        for place, record, why in each.failed if error is not None else ():
            if chunk.start + place >= position:
                store.bury(self._partition, store.codec.join([record]), 1, str(why), 0)
        places = [chunk.start + place for place, _ in each.items]
        weights = [0] * len(places) if self._weighed else ()
        return from_position(Part([item for _, item in each.items], places, weights), position)
