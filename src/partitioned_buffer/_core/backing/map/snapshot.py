"""
What a stored Map's log comes to, written anew: as short as it gets.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from .log import KEPT, KNOWN, OWN, Values, chunked
from .marks import VERSION, Marks
from .replay import Keys, Replayed

Kept = tuple[int, Any, Any, int | None, int]
"""Of a snapshot, as it is in memory: kind, key, value, version, position."""


def known(marks: Marks) -> list[Kept]:
    """Return the versions that are remembered."""
    generations = enumerate((marks.older, marks.recent))
    return [(KNOWN, key, None, v, n) for n, part in generations for key, v in part.items()]


def compacted(replayed: Replayed) -> list[Kept]:
    """Return a snapshot of what was replayed: nothing settles any of it by its position before."""
    entries = [(KEPT, key, value, made[VERSION], OWN) for key, value, made in replayed.entries()]
    return entries + known(replayed.marks)


def written(
    kept: Sequence[Kept],
    values: Values,
    keys: Keys,
    hash_of: Callable[[Any], int],
    size: int = 1000,
) -> Iterator[tuple[int, bytes]]:
    """Yield the chunks of a snapshot: how many ops, and their data. Raises as the codec does."""
    for begin in range(0, len(kept), size):
        piece = kept[begin : begin + size]
        records = iter(values.encode_all([op[2] for op in piece if op[0] == KEPT]))
        ops = [
            (
                kind,
                hash_of(key),
                keys.encode(key),
                next(records) if kind == KEPT else None,
                version,
                position,
            )
            for kind, key, _, version, position in piece
        ]
        yield from chunked(ops, values, size)
