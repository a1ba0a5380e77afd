"""
MessagePack by msgspec: the codec unless another is given, and that of a type.

A chunk is the header of an array and the records: byte for byte what encoding the list gives. So
many items are encoded in one go, their records can be put together in any way, and a chunk is
decoded in one go.

Without a type, what MessagePack has no word for comes back as what is nearest: a tuple as a list, a
date as text. With a type it comes back as itself; and as an item that is not of the type would be
accepted and never decode, each is decoded at the push.
"""

from collections.abc import Sequence
from typing import Any

from ..errors import InvalidOption
from .records import Codec, in_short

UNTYPED = "msgspec.msgpack"

_OF_CODECS = TypeError, ValueError, OverflowError, RecursionError
"""What a list may raise though each of its items is fine."""


def header(count: int) -> bytes:
    """Return what an array of *count* begins with."""
    if count < 16:
        return bytes((0x90 | count,))
    if count < 1 << 16:
        return b"\xdc" + count.to_bytes(2, "big")
    return b"\xdd" + count.to_bytes(4, "big")


class Msgpack(Codec):
    """Items as MessagePack; those of *kind*, or anything."""

    def __init__(self, name: str, kind: Any = Any, *, checks: bool | None = None) -> None:
        msgspec = _msgspec()
        self._typed = kind is not Any
        if self._typed:
            _check_type(msgspec, kind)
        self.encoder = msgspec.msgpack.Encoder()
        decoder = msgspec.msgpack.Decoder(kind)
        super().__init__(
            name,
            self.encoder.encode,
            decoder.decode,
            checks=self._typed if checks is None else checks,
        )
        self._items_of = msgspec.msgpack.Decoder(list[kind]).decode
        self.untyped = msgspec.msgpack.Decoder().decode
        self._raw_of = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode  # type: ignore[name-defined]
        if not self._typed:
            self._advice = (
                "codec=SomeType is for a dataclass, a msgspec.Struct, a TypedDict; "
                f"{super()._advice}"
            )

    def pack(self, items: Sequence[Any]) -> bytes:
        """Return the data of a chunk of *items*, encoded in one go."""
        if type(items) is not list and type(items) is not tuple:
            items = list(items)
        try:
            data = self.encoder.encode(items)
            if self.checks:
                self._all_came_back(items, self._items_of(data))
        except MemoryError:
            raise
        except Exception as error:  # whose it is, one by one says
            data = super().pack(items)
            if not isinstance(error, _OF_CODECS):
                raise  # it is not an item's: a signal handler has raised it, say
        return bytes(data)

    def join(self, records: Sequence[bytes]) -> bytes:
        """Return the data of a chunk of *records*."""
        return header(len(records)) + b"".join(records)

    def _came_back(self, item: Any, back: Any) -> None:
        # A subclass would lose what it has more; 1 may come back as 1.0, which is equal.
        if self._typed and type(back) is not type(item) and back != item:
            raise TypeError(
                f"it is a {type(item).__name__} and would come back as {in_short(back)}"
            )

    def _all_came_back(self, items: Sequence[Any], back: Sequence[Any]) -> None:
        if self._typed and list(map(type, items)) != list(map(type, back)):
            raise TypeError("of another type")  # which may equal it still

    def _items(self, data: bytes) -> list[Any]:
        return self._items_of(data)  # type: ignore[no-any-return]

    def _records(self, data: bytes) -> list[bytes]:
        return list(map(bytes, self._raw_of(data)))


def _msgspec() -> Any:
    try:
        import msgspec  # noqa: PLC0415  # an extra: only who uses it needs it
    except ImportError as error:
        raise InvalidOption(
            "this codec takes msgspec, which is not installed: "
            "pip install 'partitioned-buffer[sqlite]', or give codec=(encode, decode), functions "
            'to bytes and back, or codec="pickle"'
        ) from error
    return msgspec


def _check_type(msgspec: Any, kind: Any) -> None:
    """Raise `InvalidOption` if there are items of *kind* that could not be decoded."""
    try:
        msgspec.msgpack.Decoder(list[kind])
        found = _unknown(msgspec.inspect, msgspec.inspect.type_info(kind), set())
    except Exception as error:  # msgspec's, or of what annotations name
        raise InvalidOption(
            f"codec={kind!r}: {error}: expected a type that msgspec decodes"
        ) from error
    if found is not None:
        raise InvalidOption(
            f"codec={kind!r}: msgspec cannot decode {found!r}: expected a dataclass, a "
            "msgspec.Struct, a TypedDict, or another type that it knows. For others give two "
            "functions, for a pydantic model say codec=(lambda item: "
            "item.model_dump_json().encode(), Model.model_validate_json)"
        )


def _unknown(inspect: Any, node: Any, seen: set[int]) -> Any:
    """Return the first type below *node* that msgspec leaves to others; None if it knows all."""
    if isinstance(node, inspect.CustomType):
        return None if node.cls is object else node.cls
    if id(node) in seen:
        return None
    seen.add(id(node))
    if isinstance(node, inspect.Type | inspect.Field):
        inner = [getattr(node, each) for each in node.__struct_fields__]
    else:
        inner = list(node) if isinstance(node, tuple) else []
    return next((one for each in inner if (one := _unknown(inspect, each, seen)) is not None), None)
