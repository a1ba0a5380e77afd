"""
A partition whose table is a store's: what its worker has to do beside.
"""

from typing import Any

from ..delivery.partition import Partition


class StoredPartition(Partition[Any]):
    """See `Partition`."""

    __slots__ = ()
    is_stored = True

    def swap(self) -> tuple[int, bool]:
        """Return how much is loaded, and whether there is more of this cycle."""
        table, now = self.table, self.settings.clock.monotonic()
        if not table.left_over:
            self._in_flight_since, self._since = self._since, now
        return table.swap(), table.left_over or table.more

    def counts(self, now: float) -> dict[str, Any]:
        return super().counts(now) | {"drop_reasons": self.table.reasons()}

    def fill(self) -> None:
        """Load what comes next. May take as long as the disk."""
        self.table.fill()

    def note(self) -> None:
        """Have the store know what is settled."""
        self.table.note()
