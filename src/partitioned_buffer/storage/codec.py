"""
Which codec a storage uses: what `codec=` takes, and the name that a file remembers.

    None                msgspec.msgpack: what JSON can say, and bytes; the rest changes, or raises
    SomeType            the same, and items come back as that type, with its tuples, dates, UUIDs
    (encode, decode)    functions from an item to bytes, and back
    "pickle"            anything that can be pickled; whoever can write to the file can run code
    a Codec             as it is

The name says by what a file was written; opened with another codec it is refused. A type's or a
function's is where it was defined: who moves it gives the old name.
"""

import types
import typing
from collections.abc import Callable
from typing import Annotated, Any, Literal, NewType, Union, get_args, get_origin

from ..errors import InvalidOption
from .msgpack import UNTYPED, Msgpack
from .records import Codec, Each, Failed, Framed, Pickled

__all__ = ["Codec", "Each", "Failed", "make_codec", "name_of"]

_EXPECTED = (
    "expected None (msgspec.msgpack), a type (a dataclass, a msgspec.Struct, a TypedDict), a pair "
    'of functions (encode, decode) to bytes and back, or "pickle"'
)


def make_codec(codec: Any = None, *, name: str | None = None, checks: bool | None = None) -> Codec:
    """
    Return the codec that *codec* means; raise `InvalidOption` if it means none.

    *checks*: whether what was encoded is decoded at the push, to know that it can be. A type's is.
    """
    if name == "" or not isinstance(name, str | None):
        raise InvalidOption(f"name={name!r}: expected a text, or None")
    match codec:
        case Codec():
            if name is not None or checks is not None:
                raise InvalidOption(f"codec={codec!r} is made: it takes neither name nor checks")
            return codec
        case None:
            return Msgpack(name or UNTYPED, checks=checks)
        case "pickle":
            return Pickled(name or "pickle", checks=bool(checks))
        case (encode, decode) if isinstance(codec, tuple) and callable(encode) and callable(decode):
            _check_pair(codec)
            name = name or f"pair:{_name_of_function(encode)},{_name_of_function(decode)}"
            return Framed(name, encode, decode, checks=bool(checks))
        case _ if _is_type(codec):
            return Msgpack(name or f"{UNTYPED}:{name_of(codec)}", codec, checks=checks)
        case _:
            raise InvalidOption(f"codec={codec!r}: {_EXPECTED}")


def _check_pair(pair: tuple[Any, Any]) -> None:
    """Raise `InvalidOption` if the first makes no bytes: two types were given, perhaps."""
    if isinstance(pair[0], type) and not issubclass(pair[0], bytes):
        raise InvalidOption(
            f"codec={pair!r}: {pair[0].__name__} is no function to bytes: {_EXPECTED}. For items "
            "of several types give A | B, where both are Structs with a tag"
        )


_TYPES: tuple[type, ...] = (type, NewType, getattr(typing, "TypeAliasType", NewType))


def _is_type(codec: Any) -> bool:
    return isinstance(codec, _TYPES) or get_origin(codec) is not None


def name_of(kind: Any) -> str:  # noqa: PLR0911  # a table
    """Return the name of a type: the same in every process and Python, wherever it is used."""
    origin, inner = get_origin(kind), get_args(kind)
    if kind is None or kind is type(None):
        return "None"
    if origin is Literal:
        return f"Literal[{', '.join(sorted(map(repr, inner)))}]"
    if origin is Annotated:
        return name_of(inner[0])
    if origin is Union or origin is types.UnionType:
        return " | ".join(sorted(map(name_of, inner)))
    if origin is not None:
        return f"{name_of(origin)}[{', '.join(map(name_of, inner))}]"
    if kind is ...:
        return "..."
    module, name = getattr(kind, "__module__", ""), getattr(kind, "__qualname__", None)
    if name is None:
        name = getattr(kind, "__name__", None) or repr(kind)
    return name if module in {"", "builtins"} else f"{module}.{name}"


def _name_of_function(function: Callable[..., Any]) -> str:
    name = getattr(function, "__qualname__", None)
    if not isinstance(name, str):
        raise InvalidOption(
            f"codec: {function!r} has no name that is the same in every process: expected a "
            'function, or a name for this codec: name="my codec 1"'
        )
    owner = getattr(function, "__self__", None)
    module = getattr(function, "__module__", None) or getattr(type(owner), "__module__", None)
    return f"{module or 'builtins'}.{name}"
