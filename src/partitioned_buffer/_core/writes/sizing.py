"""How many bytes an item has, where there is a bound of them."""

import sys
from collections.abc import Callable
from typing import Any

from ..options.settings import Settings


def default_size_of(item: Any) -> int:
    """Return the bytes of *item*: the default of `size_of`."""
    if isinstance(item, bytes | bytearray):
        return len(item)
    if isinstance(item, memoryview):
        return item.nbytes
    if isinstance(item, str):
        return len(item) if item.isascii() else len(item.encode(errors="surrogatepass"))
    return sys.getsizeof(item)


def weigher(settings: Settings) -> Callable[[Any], int] | None:
    """Return what weighs an item, checked; None where there is no bound of bytes."""
    if settings.max_bytes is None:
        return None
    size_of = settings.size_of or default_size_of

    def weigh(item: Any) -> int:
        weight = size_of(item)
        if type(weight) is not int or weight < 0:
            raise TypeError(f"size_of() returned {weight!r}: expected a number of bytes from 0")
        return weight

    return weigh
