"""
What items become: actions of a bulk request, in lines of JSON.
"""

from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from ... import BatchId, Entry, batch_id
from ..base import expect
from ..rows import Refused, is_plain, items_of

ACTIONS: Final = ("index", "create", "update", "delete")

_VERSIONED = ("index", "delete")  # the others take no version of who writes

Dumps = Callable[[Any], bytes]


class Lines(NamedTuple):
    """What of a batch is actions."""

    lines: list[bytes]
    """One of each, or two with its document."""
    actions: list[str]
    is_named: list[bool]
    """Whether each has an id that it was given."""
    places: list[int]
    """Where in the batch each is."""
    refused: Refused
    """The others."""


class Maker:
    """Makes actions of items, or of a Map's entries; each option is a function of one, or fixed."""

    def __init__(self, dumps: Dumps, options: Mapping[str, Any], *, upsert: bool) -> None:
        _expect_options(options)
        self._dumps, self._upsert = dumps, upsert
        self._row, self._id = options["row"], options["id"]
        self._index, self._action = options["index"], options["action"]
        self._version, self._routing = options["version"], options["routing"]

    def __call__(self, batch: Any) -> Lines:
        """Return the actions of *batch*."""
        made, identify = Lines([], [], [], [], {}), _Ids()
        for place, item in enumerate(items_of(batch)):
            try:
                action, lines, named = self._made(item, place, identify)
            except Exception as error:
                made.refused[place] = error.with_traceback(None)
            else:
                made.lines.append(lines)
                made.actions.append(action)
                made.is_named.append(named)
                made.places.append(place)
        return made

    def _made(self, item: Any, place: int, ids: "_Ids") -> tuple[str, bytes, bool]:
        action = _of(self._action, item)
        if action not in ACTIONS:
            raise ValueError(f"an action {action!r}: expected one of {', '.join(ACTIONS)}")
        given = self._id_of(item)
        about = {
            "_index": _of(self._index, item),
            "_id": ids.of(place) if given is None else str(given),
        }
        if (routing := _of(self._routing, item)) is not None:
            about["routing"] = routing
        if action in _VERSIONED and (version := self._version_of(item)) is not None:
            about |= {"version": version, "version_type": "external"}
        lines = self._dumps({action: about}) + b"\n"
        if action != "delete":
            lines += self._dumps(self._document(item, action)) + b"\n"
        return action, lines, given is not None

    def _document(self, item: Any, action: str) -> Any:
        made = self._row(item) if self._row else _value(item)
        if not isinstance(made, Mapping):
            raise TypeError(f"a document of type {type(made).__name__}: expected a dict")
        return {"doc": made, "doc_as_upsert": self._upsert} if action == "update" else made

    def _id_of(self, item: Any) -> Any:
        if self._id is None:
            return item.key if isinstance(item, Entry) else None
        return self._id(item) if callable(self._id) else _value(item)[self._id]

    def _version_of(self, item: Any) -> int | None:
        if self._version is not None:
            found: int | None = self._version(item)
            return found
        return (item.version or None) if isinstance(item, Entry) else None


class _Ids:
    """What documents are told by that have no id: a batch that comes again has the same."""

    def __init__(self) -> None:
        self._batch: BatchId | None = None
        self._store = ""

    def of(self, place: int) -> str:
        batch = self._batch
        if batch is None:
            batch = self._batch = batch_id()
            whose = repr((batch.buffer, batch.store, batch.partition)).encode()
            self._store = blake2b(whose, digest_size=12).hexdigest()
        if not batch.gaps:
            return f"{self._store}-{batch.position + place}"
        return f"{self._store}-{batch.position}.{batch.size}.{batch.gaps}.{place}"


def _of(option: Any, item: Any) -> Any:
    return option(item) if callable(option) else option


def _value(item: Any) -> Any:
    return item.value if isinstance(item, Entry) else item


def _expect_options(options: Mapping[str, Any]) -> None:
    for name in ("row", "version"):
        _expect(options, name, None, "a plain function of an item, or None")
    _expect(options, "id", str, "the name of a field, a plain function of an item, or None")
    _expect(options, "routing", str, "text, a plain function of an item, or None")
    index, action = options["index"], options["action"]
    is_name = (isinstance(index, str) and index != "") or is_plain(index)
    expect(is_name, "index", index, "the name of an index, or a plain function of an item")
    words = f"one of {', '.join(ACTIONS)}, or a plain function of an item"
    expect(_is_any(action, ACTIONS) or is_plain(action), "action", action, words)


def _expect(options: Mapping[str, Any], name: str, fixed: type | None, words: str) -> None:
    value = options[name]
    is_fixed = fixed is not None and isinstance(value, fixed) and value
    expect(value is None or is_fixed or is_plain(value), name, value, words)


def _is_any(value: Any, words: Sequence[str]) -> bool:
    return isinstance(value, str) and value in words
