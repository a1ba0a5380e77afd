"""What is told of a buffer: its numbers, and a few of its options. No item, and no error's text."""

from dataclasses import replace
from typing import Any

from .. import Stats
from .letters import store_of
from .states import states


def describe(buffer: Any, *, messages: bool, partitions: bool = False) -> dict[str, Any]:
    """
    Return what is told of *buffer*.

    *messages*: with what exceptions say, which may be what an item holds. *partitions*: with the
    numbers of each.
    """
    stats: Stats = buffer.stats()
    count = len(stats.partitions)
    said = (stats if partitions else replace(stats, partitions=())).as_dict()
    if not partitions:
        del said["partitions"]
    if not messages:
        for numbers in (said, *said.get("partitions", ())):
            if numbers["last_failure"] is not None:
                numbers["last_failure"]["message"] = ""
    found = states(buffer, stats)
    return options(buffer) | {
        "running": bool(buffer.running),
        "partitions": count,
        "state": found[0],
        "states": found,
        "stats": said,
    }


def silent(buffer: Any, why: str) -> dict[str, Any]:
    """Return what is told of one whose numbers cannot be had."""
    return options(buffer) | {
        "running": None,
        "partitions": None,
        "state": "silent",
        "states": ["silent"],
        "stats": None,
        "error": f"stats() {why}",
    }


def options(buffer: Any) -> dict[str, Any]:
    """Return what does not change, or seldom."""
    settings = buffer._settings
    kind = type(buffer)._kind
    said = {
        "name": settings.name,
        "kind": kind.removeprefix("Async"),
        "tasks": kind.startswith("Async"),
        "storage": None if settings.storage is None else type(settings.storage).__name__,
        "where": _where(buffer),
        "delivers": settings.processor is not None,
        "max_size": settings.max_size,
        "max_bytes": settings.max_bytes,
        "when_full": settings.when_full,
        "batch_size": settings.processing_batch_size,
        "interval": settings.processing_interval,
        "timeout": settings.processing_timeout,
        "dead_letter": settings.dead_letter is not None,
    }
    if settings.is_shared:
        said["limit"] = getattr(settings.storage, "limit", None)
        said["delivers"] = said["delivers"] and buffer._admission.sharing.delivers
    return said


def _where(buffer: Any) -> str | None:
    """Return the file, or the server, while it is open."""
    store = store_of(buffer)
    return None if store is None else store.where
