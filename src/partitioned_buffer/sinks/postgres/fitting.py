"""
What a binary COPY can be given, so that the table has what was meant.

The server takes the bytes as they are, and psycopg makes them of whatever it can: of 2**40, for an
integer of four bytes, 0; of the text "false", for a truth value, true. So only values whose type,
and size, says the same to both go by COPY. Others go by INSERT, where the server reads them.
"""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import chain
from types import NoneType
from typing import Any
from uuid import UUID

import psycopg
from psycopg.adapt import PyFormat, Transformer
from psycopg.types.json import Json, Jsonb

Row = Sequence[Any]

_KINDS: dict[str, tuple[type, ...]] = {
    "bool": (bool,),
    "int2": (int,),
    "int4": (int,),
    "int8": (int,),
    "float4": (float,),
    "float8": (float, int),
    "numeric": (Decimal, int),
    "text": (str,),
    "varchar": (str,),
    "bpchar": (str,),
    "bytea": (bytes, bytearray),
    "uuid": (UUID,),
    "date": (date,),
    "time": (time,),
    "timestamp": (datetime,),
    "timestamptz": (datetime,),
    "interval": (timedelta,),
    "json": (dict, list, Json),  # a text may be meant as JSON, or as a text in it
    "jsonb": (dict, list, Jsonb),
}
_LEAST = {"int2": -(2**15), "int4": -(2**31), "float4": -3.4028234e38}
_MOST = {"int2": 2**15 - 1, "int4": 2**31 - 1, "float4": 3.4028234e38}

_types = psycopg.adapters.types
_ALLOWED = {_types[name].oid: {*kinds, NoneType} for name, kinds in _KINDS.items()}
_BOUNDS = {_types[name].oid: (least, _MOST[name]) for name, least in _LEAST.items()}
_ELEMENTS = {_types[name].array_oid: _types[name].oid for name in _KINDS if "json" not in name}
_FLOAT4 = _types["float4"].oid
_JSON: dict[int, Any] = {_types["json"].oid: Json, _types["jsonb"].oid: Jsonb}


def is_known(oid: int) -> bool:
    """Return whether it is known of a type what it can be given."""
    return oid in _ALLOWED or oid in _ELEMENTS


def fits(types: Sequence[int], rows: Sequence[Row]) -> bool:
    """Return whether all values of the *rows* are of the kinds for these *types*."""
    return all(map(_fits, types, zip(*rows, strict=True)))


def _fits(oid: int, column: Sequence[Any]) -> bool:
    kinds = set(map(type, column))
    if element := _ELEMENTS.get(oid):
        if not kinds <= {list, NoneType}:
            return False
        return _fits(element, tuple(chain.from_iterable(each for each in column if each)))
    if not kinds <= _ALLOWED[oid]:
        return False
    bounds = _BOUNDS.get(oid)
    if bounds is None or kinds <= {NoneType}:
        return True
    there = [value for value in column if value is not None] if NoneType in kinds else column
    if oid == _FLOAT4:  # which may be none at all, and is no least then
        return all(bounds[0] <= value <= bounds[1] for value in there)
    return bool(bounds[0] <= min(there) and max(there) <= bounds[1])


def said(types: Sequence[int], rows: Sequence[Row]) -> list[Row]:
    """Return *rows* for an INSERT of each, which has to be told what is JSON."""
    wraps = [_JSON.get(oid) for oid in types]
    return [
        [
            value if wrap is None or not isinstance(value, dict | list) else wrap(value)
            for wrap, value in zip(wraps, row, strict=True)
        ]
        for row in rows
    ]


def unfit(context: Any, types: Sequence[int], rows: Sequence[Row]) -> set[int]:
    """Return the numbers of the rows that a COPY cannot be given."""
    formats = [PyFormat.BINARY] * len(types)
    found: set[int] = set()
    for number, row in enumerate(rows):
        try:
            form = Transformer(context)  # anew: one keeps what it has chosen for a row
            form.set_dumper_types(types, psycopg.pq.Format.BINARY)
            form.dump_sequence(row, formats)
            is_fit = fits(types, [row])
        except Exception:
            is_fit = False
        if not is_fit:
            found.add(number)
    return found
