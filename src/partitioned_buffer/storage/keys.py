"""
A Map's keys become bytes, and come back as themselves.

A value may come back changed, a key may not: it would be another key. So a key that does not come
back equal and of the same type, all the way down, is refused at the write. Text, whole numbers and
bytes always do; any other is decoded at once, to know.

With MessagePack a key's bytes are what it is as the key of a map, where arrays come back as tuples:
the header of a map of one, a key and a value are such a map. Functions say nothing of keys, so
beside them keys have a format of their own: a letter for the type, and what it takes.
"""

import pickle
import struct
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from ..errors import Undecodable
from .msgpack import Msgpack, header
from .records import Codec, Pickled, in_short, pickled

_QUICK = frozenset({str, int, bytes, bool, type(None)})
"""What always comes back as it was, or raises."""

_EXPECTED = "text, bytes, numbers, None, or tuples of these"

_FLOAT = struct.Struct(">d")
_LENGTH = struct.Struct(">I")


class _Another(Exception):
    """The key would come back as another one."""


class Keys:
    """How keys become bytes, and come back; `make_keys()` makes one."""

    def __init__(
        self, encode: Callable[[Any], bytes], decode: Callable[[bytes], Any], expected: str
    ) -> None:
        self._encode, self._decode, self._expected = encode, decode, expected

    def encode(self, key: Any) -> bytes:
        """Return the bytes of *key*; raise `TypeError` if it would not come back as itself."""
        try:
            return self._bytes(key)
        except MemoryError:
            raise
        except Exception:
            self._again(key)
            raise  # it is not the key's: a signal handler has raised it, say

    def _bytes(self, key: Any) -> bytes:
        data = self._encode(key)
        if type(key) not in _QUICK and not is_itself(key, back := self._decode(data)):
            raise _Another(f"it would come back as {in_short(back)} ({type(back).__name__})")
        return data

    def _again(self, key: Any) -> None:
        try:
            self._bytes(key)
        except MemoryError:
            raise
        except _Another as error:
            raise self._refusal(key, str(error)) from None
        except Exception as error:
            raise self._refusal(key, f"{type(error).__name__}: {error}") from error

    def decode(self, data: bytes) -> Any:
        """Return the key; raise `Undecodable`."""
        try:
            return self._decode(data)
        except MemoryError:
            raise
        except Exception as error:
            raise Undecodable(f"a key cannot be read: {type(error).__name__}: {error}") from error

    def decode_all(self, data: Sequence[bytes]) -> list[Any]:
        """Return all keys of *data*; raise `Undecodable`."""
        return list(map(self.decode, data))

    def decode_joined(self, data: bytes, count: int) -> list[Any] | None:  # noqa: ARG002  # others do
        """Return *count* keys that stand in *data* one after the other; None: part them first."""
        return None

    def _refusal(self, key: Any, why: str) -> TypeError:
        return TypeError(
            f"key {in_short(key)} ({type(key).__name__}) cannot be stored: {why}. "
            f"Expected {self._expected}"
        )


class MsgpackKeys(Keys):
    """Keys as MessagePack: many are decoded in one go."""

    def __init__(self, codec: Msgpack) -> None:
        untyped = self._untyped = codec.untyped
        super().__init__(
            codec.encoder.encode,
            lambda data: next(iter(untyped(b"\x81" + data + b"\xc0"))),
            f"{_EXPECTED}: say str(key), or key.value for an Enum",
        )

    def decode_joined(self, data: bytes, count: int) -> list[Any] | None:
        """
        Return *count* keys that stand in *data* one after the other, if they are plain.

        None: they have to be parted first, for not all are what they would be in a list.
        """
        try:
            keys = self._untyped(header(count) + data)
        except MemoryError:
            raise
        except Exception:
            return None
        return keys if _QUICK.issuperset(map(type, keys)) else None

    def decode_all(self, data: Sequence[bytes]) -> list[Any]:
        """Return all keys of *data*; raise `Undecodable`."""
        try:
            maps = self._untyped(
                b"".join((header(len(data)), b"\x81", b"\xc0\x81".join(data), b"\xc0"))
            )
            keys = [key for (key,) in maps]
            if len(keys) == len(data):
                return keys
        except MemoryError:
            raise
        except Exception:  # noqa: S110  # which it is, one by one says
            pass
        return super().decode_all(data)


def make_keys(codec: Codec) -> Keys:
    """Return how keys are stored beside values of *codec*."""
    if isinstance(codec, Pickled):
        return Keys(pickled, pickle.loads, "what can be pickled, and equals what is unpickled")
    if isinstance(codec, Msgpack):
        return MsgpackKeys(codec)
    return Keys(_encoded, _decoded, f"{_EXPECTED}, or UUIDs")


def is_itself(key: Any, back: Any) -> bool:
    """Return whether *back* is what *key* was: equal, and of the same types."""
    if type(back) is not type(key):
        return False
    if isinstance(key, tuple) and not all(map(is_itself, key, back)):
        return False
    if isinstance(key, datetime) and key.utcoffset() != back.utcoffset():
        return False  # the same moment, on another day perhaps
    return bool(back == key)


def _encoded(key: Any) -> bytes:  # noqa: PLR0911  # a table
    """Return *key* in the format of its own; raise `TypeError` for other types."""
    kind = type(key)
    if kind is str:
        return b"s" + key.encode()  # type: ignore[no-any-return]
    if kind is int:
        return b"i" + key.to_bytes(key.bit_length() // 8 + 1, "big", signed=True)  # type: ignore[no-any-return]
    if kind is bytes:
        return b"b" + key  # type: ignore[no-any-return]
    if key is None or kind is bool:
        return b"0" if key is None else b"t" if key else b"f"
    if kind is float:
        return b"d" + _FLOAT.pack(key)
    if kind is tuple:
        inner = map(_encoded, key)
        return b"(" + b"".join(_LENGTH.pack(len(each)) + each for each in inner)
    if kind is UUID:
        return b"u" + key.bytes  # type: ignore[no-any-return]
    raise TypeError(f"{kind.__name__} has no format of its own")


def _decoded(data: bytes) -> Any:  # noqa: PLR0911  # a table
    match data[:1], data[1:]:
        case b"s", rest:
            return rest.decode()
        case b"i", rest:
            return int.from_bytes(rest, "big", signed=True)
        case b"b", rest:
            return rest
        case b"d", rest:
            return _FLOAT.unpack(rest)[0]
        case b"u", rest:
            return UUID(bytes=rest)
        case b"(", rest:
            return tuple(map(_decoded, _parts(rest)))
        case _:
            return {b"0": None, b"t": True, b"f": False}[data]


def _parts(data: bytes) -> list[bytes]:
    parts, at = [], 0
    while at < len(data):
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        if at + length > len(data):
            raise ValueError("the key ends in the middle")
        parts.append(data[at : at + length])
        at += length
    return parts
