"""
The codec that a file names: its types and functions are imported by where they were defined.

    msgspec.msgpack                     anything
    msgspec.msgpack:shop.Event          a type; also shop.A | shop.B, list[shop.Event]
    pair:shop.encode,shop.decode        two functions
    pickle                              only who allows it: reading one runs what is in it

A file may have been written by somebody who wants a function called that runs what it is given:
functions of Python itself are taken for pickle's, and all have to be at home where the name says.
"""

import ast
import operator
import sys
from typing import Any, Literal

from ..errors import InvalidOption
from ..storage.codec import make_codec
from ..storage.msgpack import UNTYPED
from ..storage.records import Codec
from .names import dotted, typed

_HARMLESS = ("builtins.str.", "builtins.bytes.")
_LITERAL: Any = Literal


def codec_named(name: str, *, given: str | None, allow_pickle: bool) -> Codec:
    """
    Return the codec called *name*; *given* says where its type or functions are, if not there.

    Raises `InvalidOption`.
    """
    if given is not None:
        return make_codec(typed("--codec", given), name=name)
    if not allow_pickle and _may_run_anything(name):
        raise InvalidOption(
            f"the file was written with codec {name}, and reading that can run whatever the file "
            "says: give --allow-pickle if nobody could write to it whom you do not trust"
        )
    try:
        return _at_home(name)
    except InvalidOption as error:
        raise InvalidOption(
            f"the file was written with codec {name}: {error}. Give --codec module:name, which "
            "says where that type, or pair of functions, is now"
        ) from error


def _at_home(name: str) -> Codec:
    made = make_codec(_meant(name))
    if made.name != name:
        raise InvalidOption(f"what has that name now is {made.name}")
    return made


def _may_run_anything(name: str) -> bool:
    kind, _, rest = name.partition(":")
    return name == "pickle" or (
        kind == "pair"
        and any(
            each.split(".")[0] in sys.stdlib_module_names and not each.startswith(_HARMLESS)
            for each in rest.split(",")
        )
    )


def _meant(name: str) -> Any:
    """Return what `codec=` was."""
    kind, _, rest = name.partition(":")
    if name == UNTYPED:
        return None
    if name == "pickle":
        return name
    if kind == UNTYPED:
        return _type(rest)
    if kind == "pair" and rest.count(",") == 1:
        return tuple(map(dotted, rest.split(",")))
    raise InvalidOption("only its program knows what that is")


def _type(text: str) -> Any:
    """Return the type that was written as *text*, by `codec.name_of()`."""
    try:
        return _built(ast.parse(text, mode="eval").body)
    except InvalidOption:
        raise
    except (SyntaxError, ValueError, TypeError) as error:  # <locals>, or what is no type
        raise InvalidOption(f"{text} is no name that can be imported") from error


def _built(node: ast.expr) -> Any:
    match node:
        case ast.BinOp(left, ast.BitOr(), right):
            return operator.or_(_built(left), _built(right))
        case ast.Subscript(ast.Name("Literal"), values):
            return _LITERAL[ast.literal_eval(values)]
        case ast.Subscript(base, inner):
            parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            each = list(map(_built, parts))
            return _built(base)[tuple(each) if len(each) > 1 else each[0]]
        case ast.Constant(value):
            return value
        case ast.Name(name):
            return dotted(f"builtins.{name}")
        case ast.Attribute():
            return dotted(ast.unparse(node))
        case _:
            raise ValueError(f"{ast.unparse(node)} is no type")
