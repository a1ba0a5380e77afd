"""
A whole table of a Map, given as one dict. Where that takes a hash or an `==` of the user's, it is
part of the call of the processor, in its own thread: what goes wrong there has gone wrong in the
call. Keys that have become equal since they were put do not go into one dict: the table is halved.
"""

from collections.abc import Callable
from typing import Any

from ...errors import Split
from ..tables.entry import Entry


class InOne:
    """Calls the processor with all entries as one dict."""

    def __init__(self, processor: Callable[[Any], object]) -> None:
        self.part_of = processor

    def __call__(self, entries: list[Entry[Any, Any]]) -> object:
        table = {entry.key: entry for entry in entries}
        if len(table) != len(entries):
            raise Split("keys have become equal since they were put, and one dict cannot hold both")
        return self.part_of(table)
