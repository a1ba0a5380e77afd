"""Looking without writing: where something would go, and what a Map holds."""

from collections.abc import Sequence
from typing import Any

from ..tables.entry import MISSING


def index_of(tables: Sequence[Any], table: object) -> int:
    """Return the number of the partition that has *table*."""
    return next(index for index, each in enumerate(tables) if each is table)


def held_items(tables: Sequence[Any]) -> list[tuple[Any, Any]]:
    """Return the keys that a Map's *tables* hold, oldest first, each with what `get` returns."""
    pairs: list[tuple[Any, Any]] = []
    for table in tables:
        # A key may wait, be in flight, or both; and what is in flight may be deleted.
        keys = dict.fromkeys(entry.key for entry in table.held())
        values = ((key, table.get(key, MISSING)) for key in keys)
        pairs += [(key, value) for key, value in values if value is not MISSING]
    return pairs
