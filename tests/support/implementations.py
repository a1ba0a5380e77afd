"""The tables, twice: in C and in plain Python, under the same names."""

import importlib
import os
import time
from types import SimpleNamespace
from typing import Any

import pytest

PACKAGE = "partitioned_buffer._core.tables"
SECONDS = float(os.environ.get("STRESS_SECONDS", "0.5"))
NAMES = ["QueueTable", "MapTable", "Room", "Stopwatch"]
ARGUMENTS: dict[str, tuple[Any, ...]] = {"Stopwatch": (time.monotonic, (1.0,))}
"""Of those that are not made without any."""
WRITERS = ["QueueWriter", "AsyncQueueWriter", "MapWriter", "AsyncMapWriter"]
COUNTED = ["delivered", "dead_lettered", "dropped", "coalesced", "deleted", "waiting", "in_flight"]


def load(name: str) -> Any:
    """Return what has the classes of one implementation."""
    if name == "c":
        return pytest.importorskip(f"{PACKAGE}._speed", exc_type=ImportError)
    found: dict[str, Any] = {}
    for module in ("queue", "map", "room", "stopwatch", "writers"):
        found |= vars(importlib.import_module(f"{PACKAGE}.{module}"))
    return SimpleNamespace(**{each: found[each] for each in [*NAMES, *WRITERS]})


def opened(table: Any, flush_at: int | None = None) -> Any:
    table.open(lambda: None, flush_at)
    return table


def balanced(table: Any) -> bool:
    counts = table.counts()
    return bool(counts["accepted"] == sum(counts[name] for name in COUNTED))


class Key:
    """A key whose hash and `==` are Python; every seventh has the same hash."""

    def __init__(self, name: int) -> None:
        self.name = name

    def __hash__(self) -> int:
        return self.name % 7

    def __eq__(self, other: object) -> bool:
        for _ in range(3):  # where other threads, and signals, come in
            pass
        return isinstance(other, Key) and self.name == other.name
