"""
A worker that is a thread. When it dies, it starts over, for a table waits for nobody else.
"""

import threading

from .._core.buffer.process_exit import leave
from .._core.delivery.partition import Partition
from .._core.delivery.worker import B, Worker
from .._core.waiting.steps import run
from ..abc.batches import asked

BACKOFF_INITIAL, BACKOFF_MAX = 0.1, 60.0
"""Seconds before a worker that died starts over, and at most when it dies each time."""


class ThreadWorker(Worker[B]):
    """A partition's thread."""

    def __init__(self, partition: Partition[B]) -> None:
        super().__init__(partition, partition.settings.clock.signal(), in_place=True)
        name = f"{partition.name}-{partition.index}"
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)

    def is_current(self) -> bool:
        return threading.current_thread() is self.thread

    def forked(self) -> None:
        super().forked()
        self.report_all()  # who waited in the thread that forked is in the child, too

    def _run(self) -> None:
        asked.set(self.driver)
        try:
            while not self._work():
                pause = min(BACKOFF_MAX, BACKOFF_INITIAL * 2.0 ** min(self._deaths - 1, 60))
                run(self._rest(pause))
        finally:
            if self.driver.forked:
                leave()
            self.end()

    def _work(self) -> bool:
        """Return False when an unexpected error cut the work short, and it is to be resumed."""
        try:
            run(self.work())
        except BaseException as error:  # whatever it is, the partition must go on
            self._deaths += 1
            self.partition.restarts += 1
            self.partition.report(
                "the worker died (%d in a row) and is restarted; nothing is lost",
                self._deaths,
                error=error,
            )
            return self._stopping
        return True
