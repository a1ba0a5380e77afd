"""
One partition: its number, its table, and what becomes of it.

It is all that a worker, its cycles and the watchdog know of the buffer.
"""

from typing import Any, Generic, TypeVar

from ..options.settings import Settings
from ..tables.old_table import Table
from ..telemetry import Telemetry, report

B = TypeVar("B")


class Partition(Generic[B]):
    """Number *index* of the buffer called *name*."""

    __slots__ = ("index", "name", "restarts", "settings", "table", "telemetry")

    def __init__(
        self, index: int, table: Table[B], settings: Settings, telemetry: Telemetry
    ) -> None:
        self.index, self.table = index, table
        self.name, self.settings, self.telemetry = settings.name, settings, telemetry
        self.restarts = 0

    def emit(self, event: Any, **what: Any) -> None:
        """Tell the hooks."""
        self.telemetry.emit(event(buffer=self.name, partition=self.index, **what))

    def report(self, message: str, *args: object, error: BaseException | None = None) -> None:
        """Log an error."""
        report(f"buffer %r, partition %d: {message}", self.name, self.index, *args, error=error)

    def reset(self, telemetry: Telemetry) -> None:
        """Begin anew in a child process, empty."""
        self.telemetry, self.restarts = telemetry, 0
        self.table.reset()
