"""
Keys that hash and compare without any code of the user's: themselves, or in a box.

Exact str, int, float, bytes, bool, None and tuples of them are *safe*: they hash and compare
in C. Any other key is stored in a `Box`, which hashes as the key did and equals only itself.
Which box is a key's is found out without a lock, by comparing with all stored keys of the same
hash. So a key's `__hash__` and `__eq__` run in the write, before it is made, and nowhere else.
"""

import weakref
from collections.abc import Iterable
from typing import Any

SAFE = frozenset({str, int, float, bytes, bool, type(None)})


def safe(key: Any) -> bool:
    """Return whether *key* can be stored as it is."""
    kind = type(key)
    return kind in SAFE or (kind is tuple and all(map(safe, key)))


class Box(weakref.ref[Any]):
    """A dead weak reference: the one kind of object with any hash we like, and no Python in it."""

    __slots__ = ("key",)
    key: Any


def boxed(key: Any, hashed: int) -> Box:
    """Return a new box for *key*."""
    probe = Probe(hashed)
    box = Box(probe)
    box.key = key
    hash(box)  # which it remembers when the probe is gone
    return box


def unboxed(stored: Any) -> Any:
    """Return the key that is *stored*."""
    return stored.key if type(stored) is Box else stored


class Probe:
    """Equals nothing, and collects what it is compared with: the stored keys of one hash."""

    __slots__ = ("__weakref__", "found", "hash")

    def __init__(self, hashed: int) -> None:
        self.hash = hashed
        self.found: list[Any] = []

    def __hash__(self) -> int:
        return self.hash

    def __eq__(self, other: object) -> bool:
        self.found.append(other)
        return False


def same(key: Any, candidates: Iterable[Any], otherwise: Any) -> Any:
    """Return which of the stored *candidates* is *key*. Runs the user's `==`: hold no lock."""
    for stored in candidates:
        other = unboxed(stored)
        if other is key or other == key:
            return stored
    return otherwise
