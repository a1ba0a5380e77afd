"""
One worker: the thread that runs a partition's processing cycles.

    wait (interval, flush_at, flush, stop) ─► swap ─► deliver, batch by batch ─► wait ...

Cycles of a partition never overlap, because one thread runs them. Whatever kills
a cycle unexpectedly, the table is not the thread's: it stays as it was, and the
worker starts over.
"""

import threading
from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar

from ._buffer import Buffer
from ._delivery import Process, deliver
from ._telemetry import log
from .abc import Clock
from .errors import BufferNotRunning
from .events import (
    BatchRetried,
    ItemsDropped,
    PartitionStarted,
    PartitionStopped,
    ProcessingException,
    ProcessingFailed,
    ProcessingStarted,
    ProcessingStopped,
)

B = TypeVar("B")


class Countdown:
    """Lets a caller wait until a number of workers have reported."""

    def __init__(self, clock: Clock, count: int) -> None:
        self._signal = clock.signal()
        self._lock = threading.Lock()
        self._missing = count
        self.failed = False

    @property
    def done(self) -> bool:
        """Whether all have reported."""
        return self._missing == 0

    def report(self, *, failed: bool = False) -> None:
        """Count one worker down."""
        with self._lock:
            self._missing -= 1
            self.failed = self.failed or failed
        self._signal.set()

    def wait(self, timeout: float | None) -> None:
        """Return when something was reported, or after *timeout* seconds."""
        self._signal.wait(timeout)

    def close(self) -> None:
        """Say that the caller waits no more."""
        self._signal.close()


class Worker(Generic[B]):
    """A partition's thread and what it has to know."""

    def __init__(self, buffer: Buffer[B], index: int) -> None:
        self._buffer = buffer
        self._index = index
        self._table = buffer._tables[index]
        self._clock = buffer._settings.clock
        self._processor: Callable[[B], object] = buffer._settings.processor
        self._signal = self._clock.signal()
        self._lock = threading.Lock()
        self._due_now = False
        self._stopping = False
        self._flushes: list[Countdown] = []
        self._endings: list[Countdown] = []
        self.ended = False
        self._failures = 0
        self._began = self._active_at = self._clock.monotonic()
        self.abandoned = False
        self.thread = threading.Thread(target=self._run, name=f"{buffer.name}-{index}", daemon=True)

    # --- asked by others -------------------------------------------------------

    def wake(self) -> None:
        """Start a cycle as soon as may be. Never blocks."""
        self._due_now = True
        self._signal.set()

    def retune(self) -> None:
        """Look at the settings again."""
        self._signal.set()

    def flush(self, countdown: Countdown) -> None:
        """Report to *countdown* when all that is held now has been delivered."""
        with self._lock:
            if self.ended:
                countdown.report(failed=True)
            else:
                self._flushes.append(countdown)
        self.wake()

    def stop(self, countdown: Countdown) -> None:
        """Deliver what is held, end, and report to *countdown*."""
        with self._lock:
            if self.ended:
                countdown.report()
            else:
                self._endings.append(countdown)
        self._stopping = True
        self.wake()

    def active_at(self) -> float | None:
        """Return when it last began a cycle or a call of the processor; None when it ended."""
        return None if self.ended else self._active_at

    # --- the thread ------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._work():
                pass
        finally:
            with self._lock:
                self.ended = True
                flushes, self._flushes = self._flushes, []
            self._signal.close()
            for countdown in flushes:
                countdown.report(failed=True)
            for countdown in self._endings:
                countdown.report()

    def _work(self) -> bool:
        """Run cycles until stopped; return False when an unexpected error cut that short."""
        started, reason = self._clock.monotonic(), None
        try:
            self._emit(PartitionStarted, time=self._clock.time())
            self._cycles()
        except BaseException as error:  # whatever it is, the partition must go on
            reason = error
            self._buffer._restarts[self._index] += 1
            log.error(
                "buffer %r, partition %d: the worker died and is restarted; nothing is lost",
                self._buffer.name,
                self._index,
                exc_info=error,
            )
        self._emit(PartitionStopped, duration=self._clock.monotonic() - started, reason=reason)
        return reason is None or self._stopping

    def _cycles(self) -> None:
        while True:
            now = self._clock.monotonic()
            due = self._began + self._buffer._settings.processing_interval
            if not self._due_now and now < due:
                self._signal.wait(due - now)
                continue
            self._began = self._active_at = now
            self._due_now = False  # first, so that a stop or flush that comes now is not missed
            last = self._stopping
            self._cycle(last)
            if last:
                return

    def _cycle(self, last: bool) -> None:
        with self._lock:
            flushes, self._flushes = self._flushes, []
        delivered = False
        try:
            size = self._table.swap(self._clock.monotonic(), seal=last)
            for error in self._table.faults():
                self._drop(error)
            delivered = not size or self._process(size)
        finally:
            if delivered:
                for countdown in flushes:
                    countdown.report()
            else:
                with self._lock:
                    self._flushes[:0] = flushes

    def _process(self, size: int) -> bool:
        settings, began = self._buffer._settings, self._clock.monotonic()
        self._emit(ProcessingStarted, time=self._clock.time())
        if self._failures:
            self._emit(BatchRetried, attempt=self._failures + 1)
        error = self._drive(deliver(self._table, settings.batch_size), began)
        if error is None:
            self._failures = 0
            self._emit(ProcessingStopped, duration=self._clock.monotonic() - began, size=size)
            return True
        self._failures += 1
        left = len(self._table)
        self._emit(ProcessingFailed, time=self._clock.time(), error=error, left=left)
        log.error(
            "buffer %r, partition %d: processing failed, attempt %d; %d items stay %s",
            self._buffer.name,
            self._index,
            self._failures,
            left,
            "undelivered" if self._stopping else "and are tried again in the next cycle",
            exc_info=error,
        )
        return False

    def _drive(
        self, steps: Generator[Process[B], BaseException | None, BaseException | None], began: float
    ) -> BaseException | None:
        """Do what the generator says; return its verdict."""
        send, monotonic, processor = steps.send, self._clock.monotonic, self._processor
        outcome: BaseException | None = None
        try:
            while True:
                effect = send(outcome)
                if self.abandoned:
                    steps.close()
                    name = self._buffer.name
                    return BufferNotRunning(f"stop() of buffer {name!r} waits no more")
                self._active_at = monotonic()
                try:
                    processor(effect.batch)
                except BaseException as error:  # SystemExit, too, is the processor's own affair
                    outcome = error
                    self._emit(ProcessingException, duration=monotonic() - began, error=error)
                else:
                    outcome = None
        except StopIteration as end:
            verdict: BaseException | None = end.value
            return verdict

    def _drop(self, error: Exception) -> None:
        self._emit(ItemsDropped, count=1, reason=f"its key cannot be compared: {error!r}")
        log.error(
            "buffer %r, partition %d: dropped an entry, comparing its key raised",
            self._buffer.name,
            self._index,
            exc_info=error,
        )

    def _emit(self, event: Any, **what: Any) -> None:
        name = self._buffer.name
        self._buffer._telemetry.emit(event(buffer=name, partition=self._index, **what))
