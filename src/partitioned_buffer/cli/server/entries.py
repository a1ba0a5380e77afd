"""
Entries of a Map on a server, shown without running anything of the program's.

As for the items of a Queue, MessagePack is read without the types that it was made of. Keys beside
functions have a format of their own, which is read, too; pickles are not.
"""

import struct
from contextlib import suppress
from typing import Any, NamedTuple

from ..._core.sharing.front.unsent import number_of, parts_of
from ...abc.shared_map import ADD, HEAD, PART, VERSIONED
from ...errors import InvalidOption, Undecodable
from ...storage.codec import make_codec
from ...storage.keys import Keys, make_keys
from ...storage.msgpack import UNTYPED
from ...storage.records import Codec, Framed
from ..text import as_json, item_text, printable


class Read(NamedTuple):
    """A key or a value; or, if it is none, what can be said of it."""

    is_one: bool
    what: Any

    def text(self) -> str:
        """Return it for people."""
        return item_text(self.what) if self.is_one else printable(self.what)


class Entry(NamedTuple):
    """An entry, and what is known of it; *parts*: what waits to be merged into one value."""

    partition: int
    is_flying: bool
    key: Read
    value: Read
    parts: list[Read]
    version: int | None
    updates: int

    def text(self) -> str:
        """Return it in a line."""
        what = self.value.text()
        if self.parts:
            what = f"{len(self.parts)} parts: {', '.join(each.text() for each in self.parts)}"
        version = "" if self.version is None else f", version {self.version}"
        place = "in flight" if self.is_flying else "waiting"
        return f"partition {self.partition}, {place}: {self.key.text()} = {what}{version}"

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON takes it."""
        said: dict[str, Any] = {
            "partition": self.partition,
            "place": "in flight" if self.is_flying else "waiting",
            "key" if self.key.is_one else "key_said": as_json(self.key.what),
            "version": self.version,
            "updates": self.updates,
        }
        if self.parts:
            return said | {"parts": [as_json(each.what) for each in self.parts]}
        return said | {"value" if self.value.is_one else "said": as_json(self.value.what)}


class Reader:
    """Reads entries of the codec with that name."""

    def __init__(self, codec: str) -> None:
        self._name = codec
        self._codec: Codec | None = None
        self._keys: Keys | None = None
        if codec == UNTYPED or codec.startswith(f"{UNTYPED}:"):
            with suppress(InvalidOption):  # msgspec is not installed
                self._codec = make_codec()
                self._keys = make_keys(self._codec)
        elif codec != "pickle":
            self._keys = make_keys(Framed(codec, bytes, len))

    def entry(self, partition: int, is_flying: bool, key: bytes, record: bytes) -> Entry:
        """Return what is to be shown of a key and its record."""
        try:
            mode, flags, version, updates, _ = HEAD.unpack_from(record)
        except struct.error:
            damaged = Read(False, f"{len(record)} bytes that are no record")
            return Entry(partition, is_flying, self._key(key), damaged, [], None, 0)
        value, parts = self._value(mode, record[HEAD.size :])
        known = version if flags & VERSIONED else None
        return Entry(partition, is_flying, self._key(key), value, parts, known, updates)

    def _key(self, data: bytes) -> Read:
        if self._keys is None:
            return Read(False, f"a key of {len(data)} bytes of {self._name}")
        try:
            return Read(True, self._keys.decode(data))
        except Undecodable as error:
            return Read(False, str(error))

    def _value(self, mode: bytes, data: bytes) -> tuple[Read, list[Read]]:
        if mode != PART:
            return self._one(data, is_number=mode == ADD), []
        try:
            parts = [self._one(piece, is_number=is_number) for piece, is_number in parts_of(data)]
        except Undecodable as error:
            return Read(False, str(error)), []
        return (parts[0], []) if len(parts) == 1 else (Read(False, ""), parts)

    def _one(self, data: bytes, *, is_number: bool) -> Read:
        try:
            if is_number:
                return Read(True, number_of(data))
            if self._codec is not None:
                return Read(True, self._codec.decode(self._codec.join([data]), 1)[0])
        except Undecodable as error:
            return Read(False, f"cannot be decoded: {error}")
        return Read(False, f"{len(data)} bytes of {self._name}")
