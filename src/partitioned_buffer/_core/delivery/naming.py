"""
What a call of the processor has to do with keys and items of the user's: in its own thread.

A worker never hashes or compares what it delivers. Where that has to be, it is part of the call:
the dict that a whole table is given as, and the items that a `PartialFailure` names. What goes
wrong there has gone wrong in the call.
"""

from collections.abc import Callable, Sequence
from typing import Any

from ..tables.entry import Entry


class InOne:
    """Calls the processor with all entries as one dict."""

    def __init__(self, processor: Callable[[Any], object]) -> None:
        self.part_of = processor

    def __call__(self, entries: list[Entry[Any, Any]]) -> object:
        return self.part_of({entry.key: entry for entry in entries})


class Matching:
    """Finds at which places the items are that the processor has named; None for a stranger."""

    def __init__(
        self, processor: Callable[[Any], object], items: Sequence[Any], named: Sequence[Any]
    ) -> None:
        self.part_of, self._items, self._named = processor, items, named
        self.places: list[int] | None = None

    def __call__(self) -> None:
        self.places = places_of(self._items, self._named)


def places_of(items: Sequence[Any], named: Sequence[Any]) -> list[int] | None:
    """
    Return at which places in *items* those are that are *named*, or their keys are.

    The same object is meant, or else an equal one; each naming means one item.
    """
    keys = [item.key if isinstance(item, Entry) else item for item in items]
    by_identity: dict[int, list[int]] = {}
    for place in range(len(items) - 1, -1, -1):
        by_identity.setdefault(id(keys[place]), []).append(place)
    found, equal = set[int](), list[Any]()
    for name in named:
        key = name.key if isinstance(name, Entry) else name
        if same := by_identity.get(id(key)):
            found.add(same.pop())
        else:
            equal.append(key)
    left = [place for place in range(len(items)) if place not in found]
    start = 0
    for key in equal:
        # From where the last one was: names are mostly in the order of their items.
        after = next((at for at in range(start, len(left)) if keys[left[at]] == key), None)
        if after is None:
            after = next((at for at in range(start) if keys[left[at]] == key), None)
        if after is None:
            return None
        found.add(left.pop(after))
        start = after
    return sorted(found)
