"""
Entries, and the operations of a Map's log that become entries.

    put        (key, value)
    put_newer  (key, value, version, NEWER)    waits as it is, until an update counts itself there
    delete     (key, None, 0, DELETED)

A table that has only ever seen plain puts is *plain*: it holds bare values. Any
other holds tuples like those of put_newer, with `updates` in the last place and
(key, value, 0, 0) for a put. Only what is delivered becomes an `Entry`.
"""

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import repeat
from operator import itemgetter
from typing import Any, Final, Generic, NamedTuple, TypeVar, cast

K = TypeVar("K")
V = TypeVar("V")

Op = tuple[Any, ...]

PUT: Final = 2
"""The length of a put; other operations are longer."""

NEWER: Final = None
DELETED: Final = object()
MISSING: Final = object()


class Entry(NamedTuple, Generic[K, V]):
    """What a Map's processor receives for each key."""

    key: K
    value: V
    version: int
    """The version given to `put_newer`; 0 for a plain `put`."""
    updates: int
    """How many versioned writes replaced an older one of this key while it was held."""


key_of = itemgetter(0)
_as_entry = partial(tuple.__new__, Entry)  # half the cost of Entry(...)


def as_entries(keys: Iterable[Any], held: Iterable[Any], plain: bool) -> Iterator[Entry[Any, Any]]:
    """Turn what a table holds for *keys* into entries."""
    ops: Iterable[Op]
    if plain:
        ops = zip(keys, held, repeat(0), repeat(0), strict=False)
    else:
        ops = (op if op[3] is not NEWER else (*op[:3], 0) for op in held)
    return cast("Iterator[Entry[Any, Any]]", map(_as_entry, ops))
