"""
A watchdog that is a thread: it also replaces a worker whose thread has vanished, which
cannot say so, and hands over in place of one that is in a call.
"""

import threading
from collections.abc import Sequence
from typing import Any

from .._core.buffer.run import Run
from .._core.delivery.partition import Partition
from .._core.delivery.watchdog import Watchdog
from .._core.telemetry import report
from .._core.waiting.countdown import Countdown
from .._core.waiting.locks import start
from .._core.waiting.steps import run
from .worker import ThreadWorker


class ThreadWatchdog(Watchdog):
    """The thread, which looks after one life of a buffer."""

    def __init__(self, partitions: Sequence[Partition[Any]], life: Run[ThreadWorker[Any]]) -> None:
        super().__init__(partitions, partitions[0].settings.clock.signal(), lambda: life.everybody)
        self._life = life
        self._errands: list[tuple[ThreadWorker[Any], Countdown]] = []
        name = f"{partitions[0].name}-watchdog"
        self.thread = threading.Thread(target=lambda: run(self.watch()), name=name, daemon=True)

    def is_current(self) -> bool:
        return threading.current_thread() is self.thread

    def take_over(self, worker: ThreadWorker[Any], countdown: Countdown) -> None:
        """Hand over for *worker*, and report: no new thread may be had at a program's end."""
        self._errands.append((worker, countdown))
        self._signal.set()

    def _run_errands(self) -> None:
        while self._errands:
            worker, countdown = self._errands.pop(0)
            try:
                run(worker.last_words())
            except BaseException as error:
                worker.partition.report("what is left could not be handed over", error=error)
            finally:
                countdown.report()

    def _look(self) -> float:
        self._run_errands()
        for worker in self._life.workers:
            if not worker.thread.is_alive():
                self._revive(worker)
        return super()._look()

    def _revive(self, worker: ThreadWorker[Any]) -> None:
        try:
            self._replace(worker)
        except Exception as error:  # no thread to be had now: the next look tries again
            message = "buffer %r: a worker is gone and cannot be replaced yet"
            report(message, worker.partition.name, error=error)

    def _replace(self, gone: ThreadWorker[Any]) -> None:
        """Give the partition of a worker whose thread has vanished a new one."""
        life, partition = self._life, gone.partition
        with life.lock:
            if life.state != "running" or gone not in life.workers:
                return
            worker = ThreadWorker(partition)
            try:
                start(worker.thread)
            except BaseException:
                worker.void()
                raise
            life.workers = tuple(worker if w is gone else w for w in life.workers)
            partition.restarts += 1
            partition.table.rewire(worker.wake)
            worker.wake()
        partition.report("the worker's thread was gone and is replaced")
