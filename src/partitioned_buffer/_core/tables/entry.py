"""
What a Map's processor receives, and what writes of both kinds take.
"""

from collections.abc import Callable
from operator import index
from typing import Any, Final, Generic, NamedTuple, TypeVar

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")

MISSING: Final[Any] = object()

Key = Callable[[T], object] | object
"""A partition key: spelt out so that the parameter of a lambda has a type."""

Op = tuple[Any, Any, int | None, int]
"""A write to a Map: key, value, version or None, weight."""


class Entry(NamedTuple, Generic[K, V]):
    """What a Map's processor receives for each key."""

    key: K
    value: V
    version: int
    """The version given to `put_newer`; 0 for a plain `put`."""
    updates: int
    """How many versioned writes replaced an older one of this key while it was held."""


def check_version(version: Any) -> int:
    """Return *version* as an int; raise `TypeError` if it is none."""
    if not isinstance(version, bool):
        try:
            return index(version)
        except TypeError:
            pass
    raise TypeError(f"version={version!r}: expected an int, such as a sequence number")
