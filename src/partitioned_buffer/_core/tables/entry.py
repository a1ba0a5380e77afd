"""
What a Map's processor receives, and what a version is.
"""

from operator import index
from typing import Any, Final, Generic, NamedTuple, TypeVar

K = TypeVar("K")
V = TypeVar("V")

MISSING: Final[Any] = object()


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
