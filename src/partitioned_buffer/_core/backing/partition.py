"""
A partition whose table is a store's: what its worker has to do beside.
"""

from typing import Any
from zlib import crc32

from ...abc import BatchId, DeadLetterHandler
from ...events import ItemsDropped
from ..delivery.partition import Partition

REASONS = {
    "full": "full; writers are faster than the processor; see when_full, max_size and flush_at",
    "damaged": "they are not in the store any more, or not as they were written; what is there "
    "of them is set aside",
    "undecodable": "they do not decode any more, and are kept as given up: see what has changed "
    "in their type or codec",
}


class StoredPartition(Partition[Any]):
    """See `Partition`."""

    __slots__ = ("token", "worker_ended")
    is_stored = must_wait = True

    def swap(self) -> tuple[int, bool]:
        """Return how much is loaded, and whether there is more of this cycle."""
        table, now = self.table, self.settings.clock.monotonic()
        self.recorder.sample(now)
        if not table.left_over:
            self._in_flight_since, self._since = self._since, now
        return table.swap(), table.left_over or table.more

    @property
    def dead_letter(self) -> DeadLetterHandler | None:
        """Who gets what is given up: the store, unless another is given."""
        kept: DeadLetterHandler | None = getattr(self.table, "keep_dead", None)
        return self.settings.dead_letter or kept

    @property
    def taker(self) -> str:  # type: ignore[override]  # depends
        return "They are kept in the store" if self.settings.dead_letter is None else super().taker

    @property
    def waits(self) -> bool:  # type: ignore[override]  # its table's
        return self.table.note_waits  # type: ignore[no-any-return]

    def announce(self) -> None:
        """Tell what was dropped since the last time, and for which reason."""
        told, reasons = self.table.told, self.table.reasons()
        self.table.told = reasons
        for reason, total in reasons.items():
            if count := total - told.get(reason, 0):
                self.emit(ItemsDropped, count=count, reason=reason, error=None)
                self.report(f"dropped %d: {REASONS.get(reason, reason)}", count)
        if faults := self.table.faults():
            message = "merge() failed for %d values that are tried again: they stay apart, in order"
            self.report(message, len(faults), error=faults[0])

    def counts(self, now: float) -> dict[str, Any]:
        return super().counts(now) | {"drop_reasons": self.table.reasons()}

    def identify(self, batch: Any) -> BatchId:
        """Return what tells *batch* from all others, also after a crash."""
        positions = self.table.out()
        first, size = positions[0], len(batch)
        gaps = 0 if positions[-1] - first == size - 1 else crc32(repr(positions).encode()) or 1
        return BatchId(self.name, self.table.identity, self.index, first, size, gaps)

    def fill(self) -> None:
        """Load what comes next. May take as long as the disk."""
        self.table.fill()

    def note(self) -> None:
        """Have the store know what is settled."""
        self.table.note()

    def unnoted(self, error: Exception) -> None:
        """Say that the store does not know it; once, until it does."""
        if self.table.unnoted is None:
            self.report("its store does not take note of what is settled now", error=error)
        self.table.unnoted = error
