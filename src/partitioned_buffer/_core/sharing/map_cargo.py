"""What a shared Map brings to the server, and from there: see `cargo`."""

from collections.abc import Sequence
from typing import Any

from ...abc.shared_map import DELETE, VERSIONED
from ...abc.sharing import Claim, SharedStorage, Tally
from ..options.settings import Settings
from ..tables.entry import Entry
from .front.map_parcels import MapCutter
from .front.parcels import Cutter
from .front.unsent import Merge, Unsent, value_of
from .work.map_window import MapWindow
from .work.window import Window


class MapCargo:
    """Of a Map."""

    kind = "Map"

    def __init__(self, storage: SharedStorage, merge: Merge | None) -> None:
        self._storage, self._merge = storage, merge

    def records(self, batch: Sequence[Entry[bytes, Unsent]], /) -> Sequence[Any]:
        """Return what is to be done: its table has it by key."""
        return [entry.value for entry in batch]

    def items(self, batch: Sequence[Entry[bytes, Unsent]], /) -> list[Any]:
        """Return the entries that were put; what was deleted is none."""
        return [self._entry(entry.value) for entry in batch if entry.value.mode != DELETE]

    def _entry(self, unsent: Unsent) -> Entry[Any, Any]:
        key = self._storage.keys.decode(unsent.key)
        value = value_of(unsent.mode, unsent.data, self._storage.codec, self._merge)
        version = unsent.version if unsent.flags & VERSIONED else 0
        return Entry(key, value, version, unsent.updates)

    def folded(self, tables: Sequence[Any], _held: int, /) -> Tally:
        """Return how many writes it comes of what *tables* hold."""
        tallies = [entry.value.tally for table in tables for entry in table.held()]
        return Tally(*map(sum, zip(*tallies, strict=True)))

    def cutter(self, turn: int, unknown: int, /) -> Cutter:
        """Return what cuts it into parcels."""
        return MapCutter(self._storage.codec, turn, unknown)

    def window(self, claim: Claim, settings: Settings, /) -> Window:
        """Return a window for a Map's partition."""
        return MapWindow(claim, settings, self._storage.window)
