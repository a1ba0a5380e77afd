"""What was given up last, as far as this process can read it: files, and servers that answer."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from .. import Entry
from ..cli.giving import Buried, Given, items_of
from ..dead_letters import DeadLetterFile
from ..storage.sqlite import SQLiteStore

MOST = 20
"""How many are shown."""
TAIL = 64_000
"""Bytes of a file in which they are looked for; of a server's partition, that are asked for."""
LONGEST = 500
"""Characters of an item, or of an error."""

Letter = dict[str, Any]


def last_letters(
    buffer: Any, show_item: Callable[[Any], str] | None, *, messages: bool
) -> list[Letter] | None:
    """Return what was given up last, the newest first; None where that is not known."""
    handler = buffer._settings.dead_letter
    if isinstance(handler, DeadLetterFile):
        found = _in_file(handler, show_item)
    elif isinstance(store := store_of(buffer), SQLiteStore):
        found = _in_store(buffer, store, show_item)
    elif handler is None and store is not None and buffer._settings.is_shared:
        found = _on_server(buffer, store, show_item)
    else:
        return None
    letters = list(found)
    for letter in letters:
        error = str(letter["error"])
        letter["error"] = error[:LONGEST] if messages else error.partition(":")[0][:LONGEST]
    return letters


def store_of(buffer: Any) -> Any:
    """Return where a buffer keeps what it holds, while that is open."""
    settings, admission = buffer._settings, buffer._admission
    if settings.storage is None:
        return None
    return admission.sharing.store if settings.is_shared else admission.backing.store


def _in_file(letters: DeadLetterFile, show: Callable[[Any], str] | None) -> Iterator[Letter]:
    with suppress(OSError), letters._path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - TAIL))
        lines = file.read(TAIL).splitlines()[1 if size > TAIL else 0 :]
        for line in lines[: -MOST - 1 : -1]:
            with suppress(Exception):  # a torn line, or one that others wrote
                yield _of_line(json.loads(line), letters._aside._decode, show)


def _of_line(
    record: Any, decode: Callable[[Any], Any], show: Callable[[Any], str] | None
) -> Letter:
    said = {"count": 1, **{name: record[name] for name in ("time", "error", "attempts")}}
    if show is None:
        return said
    if "entry" in record:
        held = record["entry"]
        item: Any = Entry(**(held | {"value": decode(held["value"])}))
    else:
        item = decode(record["item"]) if "item" in record else record["repr"]
    return said | {"items": [shown(item, show)]}


def _in_store(
    buffer: Any, store: SQLiteStore, show: Callable[[Any], str] | None
) -> Iterator[Letter]:
    for each in store.journal.buried(last=MOST):
        said: Letter = {"time": each.time, "error": each.error, "attempts": each.attempts}
        said |= {"count": each.count, "partition": each.partition}
        if show is not None:
            said["items"] = [shown(item, show) for item in _read(buffer, each)]
        yield said


def _on_server(buffer: Any, store: Any, show: Callable[[Any], str] | None) -> Iterator[Letter]:
    room = 0 if show is None else TAIL
    for number, data, count, error, attempts, when in store.last_dead(MOST, room):
        said: Letter = {"time": when, "error": error, "attempts": attempts, "count": count}
        if show is not None:
            said["items"] = ["(too long to be shown)"]
            if data is not None:
                items = _read(buffer, Given(number, count, data))
                said["items"] = [shown(item, show) for item in items]
        yield said


def _read(buffer: Any, letter: Buried) -> list[Any]:
    """Return the first items of a letter; none of one that is damaged, or of another codec."""
    with suppress(Exception):
        return items_of(buffer, buffer._settings.storage.codec, letter)[:MOST]
    return []


def shown(item: Any, show: Callable[[Any], str]) -> str:
    """Return what *show* makes of an item."""
    try:
        return str(show(item))[:LONGEST]
    except Exception as error:
        return f"(show_item raised {type(error).__name__})"
