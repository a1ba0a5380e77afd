"""
A whole table of a Map, given as one dict. Where that takes a hash or an `==` of the user's, it is
part of the call of the processor, in its own thread: what goes wrong there has gone wrong in the
call.
"""

from collections.abc import Callable
from typing import Any

from ..tables.entry import Entry


class InOne:
    """Calls the processor with all entries as one dict."""

    def __init__(self, processor: Callable[[Any], object]) -> None:
        self.part_of = processor

    def __call__(self, entries: list[Entry[Any, Any]]) -> object:
        return self.part_of({entry.key: entry for entry in entries})
