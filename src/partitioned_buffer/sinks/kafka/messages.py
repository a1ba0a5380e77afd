"""
What a topic's messages are made of.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from ... import Entry
from ..base import expect
from ..rows import Refused, is_plain, items_of

Headers = Mapping[str, Any] | Iterable[tuple[str, Any]] | None
Of = Callable[[Any], Any]


class Message(NamedTuple):
    """What is produced."""

    value: bytes | None
    key: bytes | None
    headers: list[tuple[str, Any]] | None

    @property
    def size(self) -> int:
        """How many bytes it has, but for what the protocol adds."""
        return len(self.value or b"") + len(self.key or b"")


class Made(NamedTuple):
    """What of a batch is messages."""

    messages: list[Message]
    places: list[int]
    """Where in the batch each is."""
    refused: Refused
    """The others."""


class Messages:
    """Makes messages of items, or of a Map's entries."""

    def __init__(self, value: Of | None, key: Of | None, headers: Of | None) -> None:
        for name, function in (("value", value), ("key", key), ("headers", headers)):
            words = "a plain function of an item, or None"
            expect(function is None or is_plain(function), name, function, words)
        self._value, self._key = value or _value_of, key or _key_of
        self._headers = headers

    def __call__(self, batch: Any) -> Made:
        """Return the messages of *batch*."""
        made = Made([], [], {})
        for place, item in enumerate(items_of(batch)):
            try:
                made.messages.append(self._of(item))
            except Exception as error:
                made.refused[place] = error.with_traceback(None)
            else:
                made.places.append(place)
        return made

    def _of(self, item: Any) -> Message:
        headers = None if self._headers is None else _headers(self._headers(item))
        return Message(encoded(self._value(item)), encoded(self._key(item)), headers)


def encoded(value: Any) -> bytes | None:
    """Return bytes as they are, text in UTF-8, and all else as JSON."""
    if value is None or isinstance(value, bytes):
        return value
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    if isinstance(value, str):
        return value.encode()
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def _value_of(item: Any) -> Any:
    return item.value if isinstance(item, Entry) else item


def _key_of(item: Any) -> Any:
    return item.key if isinstance(item, Entry) else None


def _headers(given: Headers) -> list[tuple[str, Any]] | None:
    """Return them as pairs; confluent-kafka takes names that are none, and sends something."""
    if given is None:
        return None
    pairs: list[tuple[Any, Any]] = list(given.items() if isinstance(given, Mapping) else given)
    for name, value in pairs:
        if not isinstance(name, str) or not isinstance(value, str | bytes | None):
            raise TypeError(f"a header {name!r}: {value!r}: expected a str, with bytes or a str")
    return pairs
