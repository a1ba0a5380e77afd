"""
Entries, and the operations of a Map's log that become entries.

    put        (key, value, 0, 0)              the same tuple becomes the entry
    put_newer  (key, value, version, NEWER)    likewise, until an update counts itself there
    delete     (key, None, 0, DELETED)

They stay plain tuples while they wait; only what survives becomes an `Entry`.
"""

from collections.abc import Iterable, Iterator
from functools import partial
from operator import itemgetter
from typing import Any, Final, Generic, NamedTuple, TypeVar, cast

K = TypeVar("K")
V = TypeVar("V")

Op = tuple[Any, Any, int, Any]
"""Key, value, version, and what `Entry` calls updates, or one of the marks."""

NEWER: Final = None
DELETED: Final = object()


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


def as_entries(ops: Iterable[Op], mixed: bool) -> Iterator[Entry[Any, Any]]:
    """Turn writes into entries; *mixed* says that they are not all plain puts."""
    if mixed:
        ops = (op if op[3] is not NEWER else (*op[:3], 0) for op in ops)
    return cast("Iterator[Entry[Any, Any]]", map(_as_entry, ops))
