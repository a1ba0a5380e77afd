"""Looking without writing: where something would go, and what a Map holds."""

from collections.abc import Iterable
from typing import Any, Protocol

from ..tables.entry import MISSING


class _Placed(Protocol):
    index: int
    table: Any


def index_of(partitions: Iterable[_Placed], table: object) -> int:
    """Return the number of the partition that has *table*."""
    return next(partition.index for partition in partitions if partition.table is table)


def held_items(partitions: Iterable[_Placed]) -> list[tuple[Any, Any]]:
    """Return the keys that Maps' *partitions* hold, oldest first, each with what `get` returns."""
    pairs: list[tuple[Any, Any]] = []
    for table in (partition.table for partition in partitions):
        # A key may wait, be in flight, or both; and what is in flight may be deleted.
        keys = dict.fromkeys(entry.key for entry in table.held())
        values = ((key, table.get(key, MISSING)) for key in keys)
        pairs += [(key, value) for key, value in values if value is not MISSING]
    return pairs
