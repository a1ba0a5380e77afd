"""
One line of a dead letter file: from what was given up to JSON, and back.

    {"item": {"user": "ada"}, "error": "OSError: down", "attempts": 10, "time": 1700000000.0}
    {"entry": {"key": "tea", "value": 4.2, "version": 7, "updates": 0}, "error": ...}
    {"repr": "<Order 7>", "error": ...}     what JSON cannot hold: for people, not for replay
    #"item": {"user": "ada"}, ...           what a replay has settled: forgotten
"""

import json
import time
from collections.abc import Callable
from datetime import date
from datetime import time as time_of_day
from decimal import Decimal
from operator import index
from typing import Any
from uuid import UUID

from .._core.tables.entry import Entry
from ..errors import Undelivered

Way = tuple[str, tuple[Any, ...]]
"""A buffer's method, and what it is to be called with."""

SETTLED = b"#"
"""What a line begins with that a replay has settled."""


def about(error: BaseException, attempts: int) -> dict[str, Any]:
    """Return what each line says besides the item, which raised *error* at last."""
    text = _named(error)
    if isinstance(error, Undelivered) and error.__cause__ is not None:
        text += f" ({_named(error.__cause__)})"  # why nothing went through
    return {"error": text[:500], "attempts": attempts, "time": time.time()}


def written(item: Any, said: dict[str, Any], encode: Callable[[Any], Any]) -> bytes:
    """Return the line that holds *item*, and what is *said* about it."""
    plain = _as_text if encode is itself else None
    try:
        if isinstance(item, Entry):
            json.dumps(item.key)  # as text it would be another key
            held = {"entry": item._replace(value=encode(item.value))._asdict()}
        else:
            held = {"item": encode(item)}
        text = json.dumps(held | said, default=plain)
    except BaseException:  # whatever user code raises, the item and its neighbours are kept
        text = json.dumps({"repr": _said(repr, item)} | said)
    return f"{text}\n".encode()


def is_for_people(line: bytes) -> bool:
    """Return whether *line* has an item's `repr`, which no replay gives back."""
    return line.startswith(b'{"repr"')


def read(line: bytes, decode: Callable[[Any], Any]) -> list[Way]:
    """Return the ways to give back what *line* holds, the best first; raise if it is torn."""
    record = json.loads(line)
    if "item" in record:
        return [("push", (decode(record["item"]),))]
    held = record["entry"]
    key, version, value = _as_key(held["key"]), index(held["version"]), decode(held["value"])
    hash(key)  # a line that no Map has written must not hold up the others
    entry = Entry(key, value, version, index(held.get("updates", 0)))
    into_map: Way = ("put_newer", entry[:3]) if version else ("put", entry[:2])
    return [into_map, ("push", (entry,))]  # an item of a Queue may be an entry


def itself(value: Any) -> Any:
    """Encode, or decode, what JSON can hold."""
    return value


def _as_text(value: object) -> str:
    """Return the text of what JSON has no way to say, and destinations read."""
    if isinstance(value, date | time_of_day):
        return value.isoformat()
    if isinstance(value, UUID | Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} is nothing that JSON can hold")


def _as_key(value: Any) -> Any:
    return tuple(map(_as_key, value)) if isinstance(value, list) else value


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {_said(str, error)}".removesuffix(": ")


def _said(how: Callable[[object], str], thing: object) -> str:
    try:
        return how(thing)
    except BaseException:
        return object.__repr__(thing)
