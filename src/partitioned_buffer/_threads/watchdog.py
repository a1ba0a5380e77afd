"""
A watchdog that is a thread: it also replaces a worker whose thread has vanished, which
cannot say so.
"""

import threading
from collections.abc import Callable
from typing import Any

from .._core.buffer.base import Buffer
from .._core.delivery.watchdog import Watchdog
from .._core.telemetry import report
from .._core.waiting.clock import start
from .._core.waiting.steps import run
from .worker import ThreadWorker


class ThreadWatchdog(Watchdog):
    """The thread."""

    def __init__(
        self,
        buffer: Buffer[Any],
        workers: Callable[[], tuple[ThreadWorker[Any], ...]],
        replace: Callable[[ThreadWorker[Any]], None],
    ) -> None:
        super().__init__(buffer, buffer._settings.clock.signal(), workers)
        self._threads = workers
        self._replace = replace
        name = f"{buffer.name}-watchdog"
        self.thread = threading.Thread(target=lambda: run(self.watch()), name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        start(self.thread, self._signal)

    def _look(self) -> float:
        for worker in self._threads():
            if not worker.thread.is_alive():
                self._revive(worker)
        return super()._look()

    def _revive(self, worker: ThreadWorker[Any]) -> None:
        try:
            self._replace(worker)
        except Exception as error:  # no thread to be had now: the next look tries again
            message = "buffer %r: a worker is gone and cannot be replaced yet"
            report(message, self._buffer.name, error=error)
