"""
What can be shown of items without running anything of the program's.

MessagePack can be read without the types that it was made of; of what functions or pickle have
made, it is only known how long it is.
"""

import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from .._core.backing.queue.hashes import without_hashes
from ..errors import InvalidOption, Undecodable
from ..storage.codec import make_codec
from ..storage.msgpack import UNTYPED
from ..storage.records import Codec, Framed


class Shown(NamedTuple):
    """An item, or what can be said of it, or of so many from there on: *is_item* tells."""

    position: int
    is_item: bool
    what: Any
    many: int = 1


class Reader:
    """Shows items of the codec with that name."""

    def __init__(self, codec: str) -> None:
        self._name = codec
        self._is_msgpack = codec == UNTYPED or codec.startswith(f"{UNTYPED}:")
        self._codec = _codec_of(codec, is_msgpack=self._is_msgpack)

    def show(self, data: bytes, start: int, count: int) -> Iterator[Shown]:
        """Yield each item of a chunk, which begins at the position *start*."""
        try:
            inner = records_of(data)
            if self._codec is None:
                yield Shown(
                    start, False, f"{count} items, {len(inner)} bytes of {self._name}", count
                )
                return
            each = self._codec.decode_each(inner, count)
        except Undecodable as error:
            yield Shown(start, False, f"cannot be decoded: {error}", count)
            return
        shown = [Shown(start + place, *self._said(item)) for place, item in each.items]
        for place, record, cause in each.failed:
            why = f"cannot be decoded ({len(record)} bytes): {type(cause).__name__}: {cause}"
            shown.append(Shown(start + place, False, why))
        yield from sorted(shown, key=lambda one: one.position)

    def _said(self, item: Any) -> tuple[bool, Any]:
        return (True, item) if self._is_msgpack else (False, f"{item} bytes of {self._name}")


def records_of(data: bytes) -> bytes:
    """Return the codec's part of a Queue's chunk; raise `Undecodable`."""
    if data[:1] not in {b"\0", b"\1"}:
        raise Undecodable(f"a chunk begins with {data[:1].hex() or 'nothing'}: expected 00 or 01")
    try:
        return without_hashes(data)
    except struct.error as error:
        raise Undecodable(f"a chunk ends in the hashes of its items: {error}") from error


def _codec_of(name: str, *, is_msgpack: bool) -> Codec | None:
    """Return what tells the items of a chunk apart; None if nothing here does."""
    if is_msgpack:
        with suppress(InvalidOption):  # msgspec is not installed
            return make_codec()
    elif name == "pickle" or name.startswith("pair:"):
        return Framed(name, bytes, len)
    return None
