"""
One worker: the thread that runs a partition's processing cycles.

    wait (interval, flush_at, flush, stop) ─► cycle (see `_driver`) ─► wait ...

Cycles of a partition never overlap, because one thread runs them. Whatever kills
a cycle unexpectedly, the table is not the thread's: it stays as it was, and the
worker starts over.
"""

import random
import threading
from typing import Generic, TypeVar

from ._buffer import Buffer
from ._clock import start
from ._countdown import Countdown
from ._driver import Driver
from ._exit import leave
from ._telemetry import report
from .events import PartitionStarted, PartitionStopped

B = TypeVar("B")

BACKOFF_INITIAL, BACKOFF_MAX = 0.1, 60.0
"""Seconds before a worker that died starts over, and at most when it dies each time."""


class Worker(Generic[B]):
    """A partition's thread and what it has to know."""

    def __init__(self, buffer: Buffer[B], index: int) -> None:
        self._buffer = buffer
        self._index = index
        self._clock = buffer._settings.clock
        self._signal = self._clock.signal()
        self.driver = Driver(buffer, index, self._rest)
        self._lock = threading.Lock()
        self._due_now = False
        self._hurry = False  # a flush or stop has come: try again at once
        self._stopping = False
        self._flushes: list[Countdown] = []
        self._endings: list[Countdown] = []
        self.ended = False
        self._deaths = 0  # since a cycle was completed last
        self._began = self._clock.monotonic()
        self._luck = random.random()  # how much of the jitter this interval gets
        self.thread = threading.Thread(target=self._run, name=f"{buffer.name}-{index}", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        start(self.thread, self._signal)

    # --- asked by others -------------------------------------------------------

    def wake(self) -> None:
        """Start a cycle as soon as may be. Never blocks."""
        self._due_now = True
        self._signal.set()

    def retune(self) -> None:
        """Look at the settings again."""
        self._signal.set()

    def flush(self, countdown: Countdown) -> None:
        """Report to *countdown* when all that is held now has been settled."""
        with self._lock:
            if self.ended:
                countdown.report(failed=True)
            else:
                self._flushes.append(countdown)
        self._hurry = True
        self.wake()

    def forget_flush(self, countdown: Countdown) -> None:
        """Do not report to *countdown* any more: nobody waits."""
        with self._lock:
            self._flushes = [other for other in self._flushes if other is not countdown]

    def stop(self, countdown: Countdown) -> None:
        """Settle what is held, end, and report to *countdown*."""
        with self._lock:
            if self.ended:
                countdown.report()
            else:
                self._endings.append(countdown)
        self._stopping = self._hurry = True
        self.wake()

    def abandon(self) -> None:
        """End as soon as the processor lets go: nobody waits for it any more."""
        self.driver.abandoned = True
        self._signal.set()

    def forked(self) -> None:
        """Be a child's copy, which is not to run: the one that forked may be this very thread."""
        self._lock = threading.Lock()
        self.driver.forked = self.driver.abandoned = True

    @property
    def settled_at(self) -> float | None:
        """When something was settled last; None when the worker has ended."""
        return None if self.ended else self.driver.settled_at

    # --- the thread ------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._work():
                self._rest(min(BACKOFF_MAX, BACKOFF_INITIAL * 2.0 ** min(self._deaths - 1, 60)))
        finally:
            if self.driver.forked:
                leave()
            self._end()

    def _end(self) -> None:
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
            self.driver.emit(PartitionStarted, time=self._clock.time())
            self._cycles()
        except BaseException as error:  # whatever it is, the partition must go on
            reason = error
            self._deaths += 1
            self._buffer._restarts[self._index] += 1
            report(
                "buffer %r, partition %d: the worker died (%d in a row) and is restarted; nothing "
                "is lost",
                self._buffer.name,
                self._index,
                self._deaths,
                error=error,
            )
        duration = self._clock.monotonic() - started
        self.driver.emit(PartitionStopped, duration=duration, reason=reason)
        return reason is None or self._stopping

    def _cycles(self) -> None:
        self.driver.settled_at = self._clock.monotonic()
        while True:
            now, settings = self._clock.monotonic(), self._buffer._settings
            jitter = settings.interval_jitter * self._luck
            due = self._began + settings.processing_interval * (1 - jitter)
            if not self._due_now and now < due:
                self._signal.wait(due - now)
                continue
            self._began, self._luck = now, random.random()
            # First, so that a stop or flush that comes now is not missed.
            self._due_now = self._hurry = False
            last = self._stopping
            self._cycle(last)
            self._deaths = 0
            if last or self.driver.forked:
                return

    def _cycle(self, last: bool) -> None:
        with self._lock:
            flushes, self._flushes = self._flushes, []
        settled = False
        try:
            settled = self.driver.cycle(last=last)
        finally:
            if settled:
                for countdown in flushes:
                    countdown.report()
            else:
                with self._lock:
                    self._flushes[:0] = flushes

    def _rest(self, seconds: float) -> bool:
        """Wait; return False when a flush or a stop cuts it short."""
        end = self._clock.monotonic() + seconds
        while not self._hurry and not self.driver.abandoned:
            remaining = end - self._clock.monotonic()
            if remaining <= 0:
                return True
            self._signal.wait(remaining)
        self._hurry = False
        return False
