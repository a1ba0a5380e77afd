"""
Look after the workers of one buffer: a thread that nearly always sleeps.

A worker that is with the processor cannot say that it has been for too long, and
one that is gone cannot say that. Threads cannot be killed, so a call that takes too
long is only announced; a worker whose thread has vanished is replaced.
"""

import threading
from collections.abc import Callable
from typing import Any

from ._buffer import Buffer
from ._clock import start
from ._telemetry import report
from ._worker import Worker
from .events import ProcessingOverdue


class Watchdog:
    """The thread, and which calls it has announced."""

    def __init__(
        self,
        buffer: Buffer[Any],
        workers: Callable[[], tuple[Worker[Any], ...]],
        replace: Callable[[Worker[Any]], None],
    ) -> None:
        self._buffer = buffer
        self._workers = workers
        self._replace = replace
        self._clock = buffer._settings.clock
        self._signal = self._clock.signal()
        self._announced: dict[int, float] = {}
        self._ended = False
        name = f"{buffer.name}-watchdog"
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        start(self.thread, self._signal)

    def end(self) -> None:
        """Stop looking. Never blocks."""
        self._ended = True
        self._signal.set()

    def retune(self) -> None:
        """Look at the settings again."""
        self._signal.set()

    def _run(self) -> None:
        try:
            while not self._ended:
                self._signal.wait(self._look())
        finally:
            self._signal.close()

    def _look(self) -> float:
        """Look at all workers; return how many seconds later to look again."""
        pause = timeout = self._buffer._settings.processing_timeout
        for index, worker in enumerate(self._workers()):
            called_at = worker.driver.called_at
            if not worker.thread.is_alive():
                self._revive(worker)
            elif called_at is not None and self._announced.get(index) != called_at:
                taken = self._clock.monotonic() - called_at
                if taken < timeout:
                    pause = min(pause, timeout - taken)
                else:
                    self._announced[index] = called_at
                    self._announce(index, worker, taken)
        return pause

    def _announce(self, index: int, worker: Worker[Any], taken: float) -> None:
        report(
            "buffer %r, partition %d: a call of the processor has taken %.3g s so far; what is "
            "behind it waits",
            self._buffer.name,
            index,
            taken,
        )
        worker.driver.emit(ProcessingOverdue, duration=taken)

    def _revive(self, worker: Worker[Any]) -> None:
        try:
            self._replace(worker)
        except Exception as error:  # no thread to be had now: the next look tries again
            message = "buffer %r: a worker is gone and cannot be replaced yet"
            report(message, self._buffer.name, error=error)
