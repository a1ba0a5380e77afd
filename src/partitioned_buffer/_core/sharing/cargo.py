"""
What differs between a shared Queue and a shared Map, on the way to the server and from there.

    front ─► records ─► cutter ─► parcels ─► server ─► window ─► processor
"""

from collections.abc import Sequence
from typing import Any, Protocol

from ...abc.sharing import Claim, SharedStorage, Tally
from ..options.settings import Settings
from .front.parcels import Cutter
from .front.records import items_of
from .work.queue_window import QueueWindow
from .work.window import Window


class Cargo(Protocol):
    """Of one kind of buffer."""

    kind: str
    """What its storage calls it."""

    def records(self, batch: Sequence[Any], /) -> Sequence[Any]:
        """Return what is to be shipped of a *batch* of the front's table."""
        ...

    def items(self, batch: Sequence[Any], /) -> list[Any]:
        """Return what a *batch* of the front's table was made of."""
        ...

    def folded(self, tables: Sequence[Any], held: int, /) -> Tally:
        """Return how many writes it comes of what the front's *tables* hold, which is so much."""
        ...

    def cutter(self, turn: int, unknown: int, /) -> Cutter:
        """Return what cuts records into parcels."""
        ...

    def window(self, claim: Claim, settings: Settings, /) -> Window:
        """Return a window for what *claim* is of."""
        ...


class QueueCargo:
    """Of a Queue."""

    kind = "Queue"

    def __init__(self, storage: SharedStorage) -> None:
        self._storage = storage

    def records(self, batch: Sequence[Any], /) -> Sequence[Any]:
        """Return *batch*: records are what its table holds."""
        return batch

    def items(self, batch: Sequence[Any], /) -> list[Any]:
        """Return what records were made of."""
        return items_of(self._storage.codec, batch)

    def folded(self, _tables: Sequence[Any], held: int, /) -> Tally:
        """Return that each is a write of its own."""
        return Tally(held)

    def cutter(self, turn: int, unknown: int, /) -> Cutter:
        """Return what cuts records into parcels."""
        return Cutter(self._storage.codec, turn, unknown)

    def window(self, claim: Claim, settings: Settings, /) -> Window:
        """Return a window for a Queue's partition."""
        return QueueWindow(claim, settings, self._storage.window)
