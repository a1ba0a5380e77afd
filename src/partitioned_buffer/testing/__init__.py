"""
Test code that uses a buffer, without sleeping.

    clock, processor = FakeClock(), RecordingProcessor()
    with Queue("events", processor, clock=clock) as events:
        events.push("signed up")
        clock.advance(5.0)                  # the interval is over, the cycle has run
        assert processor.items == ["signed up"]

`advance` returns when every worker has done what was due and waits again, so
what you assert next is settled. For an AsyncQueue or AsyncMap, on its loop, it is
`await clock.aadvance(5.0)`.
"""

import threading
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from .. import Stats
from .._core.tables.implementation import NAME
from ..events import Event
from .fake_clock import FakeClock

E = TypeVar("E", bound=Event)

__all__ = [
    "FakeClock",
    "RecordingHook",
    "RecordingProcessor",
    "assert_balanced",
    "implementation",
]

FakeClock.__module__ = __name__


class RecordingProcessor:
    """
    A processor that keeps what it is given, and fails or blocks when told to.

    `batches` holds every batch that was delivered, `attempts` also those that failed.
    """

    def __init__(self) -> None:
        self.batches: list[Any] = []
        self.attempts: list[Any] = []
        self._errors: list[BaseException] = []
        self._down: BaseException | None = None
        self._open = threading.Event()
        self._open.set()
        self._entered = threading.Semaphore(0)
        self._lock = threading.Lock()

    def __call__(self, batch: Any) -> None:
        """Record *batch*, or raise what `fail` ordered."""
        with self._lock:
            self.attempts.append(batch)
            error = self._errors.pop(0) if self._errors else self._down
        self._entered.release()
        self._open.wait()
        if error is not None:
            raise error.with_traceback(None)  # it may have been raised before
        with self._lock:
            self.batches.append(batch)

    @property
    def items(self) -> list[Any]:
        """All delivered items (a whole-table dict counts by its entries), batch after batch."""
        return [item for batch in self.batches for item in _items(batch)]

    def fail(self, *errors: BaseException) -> None:
        """Raise each of *errors* in turn, from the next call on."""
        with self._lock:
            self._errors.extend(errors)

    def fail_always(self, error: BaseException) -> None:
        """Raise *error* from every call, until `recover`."""
        self._down = error

    def recover(self) -> None:
        """Raise nothing more."""
        with self._lock:
            self._errors.clear()
            self._down = None

    def block(self) -> None:
        """Hold every call until `unblock`."""
        self._open.clear()

    def unblock(self) -> None:
        """Let the held calls go on."""
        self._open.set()

    def wait_for_call(self, patience: float = 30.0) -> None:
        """Wait for another call (each counts once); raise `TimeoutError` if there is none."""
        if not self._entered.acquire(timeout=patience):
            raise TimeoutError(f"the processor was not called within {patience} real seconds")


def _items(batch: Any) -> Iterable[Any]:
    return batch.values() if isinstance(batch, Mapping) else batch


class RecordingHook:
    """A hook that keeps every event."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        """Record *event*."""
        self.events.append(event)

    def of(self, kind: type[E]) -> list[E]:
        """Return the events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]


def assert_balanced(stats: Stats) -> None:
    """Assert that the ledger holds, in total and in every partition."""
    for part in (stats, *stats.partitions):
        if not part.balanced:
            raise AssertionError(f"accepted is not the sum of the rest: {part}")


def implementation() -> str:
    """Return "c" where the tables are compiled, "python" where they are not."""
    return NAME
