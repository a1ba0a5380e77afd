"""
One partition: its number, its table, and what becomes of it.

It is all that a worker, its cycles and the watchdog know of the buffer.
"""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from ...abc import BatchId, DeadLetterHandler
from ...events import ItemsDropped
from ..options.settings import Settings
from ..policy.destination import Destination
from ..policy.front import Front
from ..telemetry import Telemetry, report
from .identity import Identities
from .recorder import Recorder

B = TypeVar("B")


class Partition(Generic[B]):
    """Number *index* of the buffer called *name*."""

    # fmt: off
    __slots__ = (
        "_announced", "_in_flight_since", "_since", "destination", "front", "identities", "index",
        "name", "recorder",
        "restarts", "settings", "table", "telemetry", "trace",
    )
    # fmt: on

    taker = "The dead_letter handler has taken them"
    is_stored = waits = False  # whether it has a store, which is waited for at each batch
    is_prompt = False  # whether a call of its processor ends when nobody waits any more
    must_wait: bool = False
    """Whether a write has to wait for more than room."""
    no_failures: tuple[type[BaseException], ...] = ()
    """What its processor may raise without having failed."""
    token = 0
    """Of its claim, if others may claim it, too."""

    def __init__(
        self,
        index: int,
        table: Any,
        settings: Settings,
        telemetry: Telemetry,
        destination: Destination,
    ) -> None:
        self.index, self.table, self.destination = index, table, destination
        self.front = Front(destination, index, keyed=hasattr(table, "take_table"))
        self.name, self.settings, self.telemetry = settings.name, settings, telemetry
        self._begin_anew()

    def _begin_anew(self) -> None:
        self.restarts = self._announced = 0
        self.trace: Any = None  # what is kept for who traces it
        self._since = self._in_flight_since = 0.0
        self.identities = Identities(self.name, self.index)
        self.recorder = Recorder(self.settings.clock, self.table)

    def retune(self, settings: Settings) -> None:
        """Go by other *settings* of the buffer from the next cycle on."""
        self.settings = settings

    def open(self, wake: Callable[[], object]) -> None:
        """Let writers in; *wake* at once if what was left is as much as `flush_at`."""
        self._since = self.settings.clock.monotonic()
        flush_at, left = self.settings.flush_at, len(self.table)
        self.recorder.look(self._since, self.table.counts())
        self.observe()
        self.table.open(wake, flush_at)
        if flush_at is not None and left >= flush_at:
            wake()

    def observe(self) -> None:
        """Have writes told to who traces them; or to nobody any more."""
        tracing, table = self.telemetry.tracing, self.table
        if tracing is None:
            self.trace = None
        if hasattr(table, "observer"):  # those of a store have none
            table.partition = None if tracing is None else self
            table.observer = None if tracing is None else tracing.wrote

    def swap(self) -> tuple[int, bool]:
        """Put in flight what waits; return how much is, and whether something was left over."""
        counts, now = self.table.counts(), self.settings.clock.monotonic()
        left_over = counts["in_flight"] > 0
        self.recorder.look(now, counts)
        if not left_over:
            self._in_flight_since, self._since = self._since, now
        return self.table.swap(), left_over

    def counts(self, now: float) -> dict[str, Any]:
        """Return the table's part of `PartitionStats`."""
        counts: dict[str, Any] = self.table.counts()
        measured = self.recorder.numbers(now, counts)
        since = self._in_flight_since if counts["in_flight"] else self._since
        age = now - since if counts["waiting"] or counts["in_flight"] else None
        reasons = {"full": counts["dropped"]} if counts["dropped"] else {}
        return {"recovered": 0} | counts | measured | {"oldest_age": age, "drop_reasons": reasons}

    def measured(self, now: float) -> dict[str, Any]:
        """Return what its worker has measured: a part of `PartitionStats`."""
        return self.recorder.numbers(now, self.table.counts())

    def identify(self, batch: Any) -> BatchId:
        """Return what tells *batch*, with the processor now, from all others."""
        counts = self.table.counts()
        return self.identities.of(batch, counts["delivered"] + counts["dead_lettered"])

    @property
    def dead_letter(self) -> DeadLetterHandler | None:
        """Who gets what is given up."""
        return self.settings.dead_letter

    def worker_ended(self) -> None:
        """Take note that its worker is with the processor no more."""

    def fill(self) -> None:
        """Load what the next cycle delivers: of a store. May take as long as the disk."""

    def note(self) -> None:
        """Have the store, if there is one, know what is settled."""

    def unnoted(self, error: Exception) -> None:
        """Say that the store does not know it."""

    def announce(self) -> None:
        """Tell what was dropped since the last time, and which values `merge` did not unite."""
        dropped: int = self.table.counts()["dropped"]
        count, self._announced = dropped - self._announced, dropped
        if count:
            self.emit(ItemsDropped, count=count, reason="full", error=None)
            self.report(
                "dropped %d: full; writers are faster than the processor; see when_full, max_size "
                "and flush_at",
                count,
            )
        faults = self.table.faults()
        if faults:
            self.report(
                "merge() failed for %d values that are tried again: they and the newer ones stay "
                "apart, in order",
                len(faults),
                error=faults[0],
            )

    def emit(self, event: Any, **what: Any) -> None:
        """Tell the hooks; without any, no event is made."""
        if self.telemetry.is_heard:
            self.telemetry.emit(event(buffer=self.name, partition=self.index, **what))

    def report(self, message: str, *args: object, error: BaseException | None = None) -> None:
        """Log an error."""
        report(f"buffer %r, partition %d: {message}", self.name, self.index, *args, error=error)

    def reset(self, telemetry: Telemetry) -> None:
        """Begin anew in a child process, empty."""
        self.telemetry = telemetry
        self._begin_anew()
        self.front.reset()
        self.destination.reset()
        self.table.reset()
