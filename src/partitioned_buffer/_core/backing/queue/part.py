"""
Records that are loaded: three columns, so that a batch is cut from them, and nothing made for each.
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple


class Part(NamedTuple):
    """Some records, in order: their items, positions, and what they weigh, if anybody asks."""

    items: list[Any]
    places: Sequence[int]
    """A range, where they follow each other."""
    weights: Sequence[int]
    """None of them where bytes are not bounded."""


def cut(part: Part, which: Sequence[int]) -> Part:
    """Return the records at *which* places of *part*."""
    items, places, weights = part
    if not which or which[-1] - which[0] == len(which) - 1:  # no gaps
        some = slice(which[0], which[-1] + 1) if which else slice(0)
        return Part(items[some], places[some], weights[some])
    chosen = [weights[each] for each in which] if weights else ()
    return Part([items[each] for each in which], [places[each] for each in which], chosen)


def from_place(part: Part, at: int) -> Part:
    """Return what is in *part* from there on."""
    items, places, weights = part
    return Part(items[at:], places[at:], weights[at:]) if at else part


def from_position(part: Part, position: int) -> Part:
    """Return the records of *part* from that *position* on."""
    return from_place(part, bisect_left(part.places, position))


def joined(parts: Sequence[Part]) -> Part:
    """Return all of *parts*, which follow each other, as one."""
    some = [part for part in parts if part.items]
    if len(some) == 1:
        return some[0]
    items = list(chain.from_iterable([part.items for part in some]))
    weights = list(chain.from_iterable([part.weights for part in some]))
    return Part(items, _places(some), weights)


def _places(parts: Sequence[Part]) -> Sequence[int]:
    """Return the positions of all *parts*: a range, if they have no gaps."""
    if not parts:
        return range(0)
    first, at = parts[0].places[0], parts[0].places[0]
    for part in parts:
        places = part.places
        if type(places) is not range or places[0] != at:
            return list(chain.from_iterable([part.places for part in parts]))
        at = places[-1] + 1
    return range(first, at)


def weight_of(part: Part, at: int) -> int:
    """Return what the record at that place weighs."""
    return part.weights[at] if part.weights else 0
