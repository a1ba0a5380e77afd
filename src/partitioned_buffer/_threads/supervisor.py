"""How threads are started for the partitions of a buffer, and waited for."""

import threading
import time
from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeVar

from .._core.buffer.run import Run
from .._core.buffer.supervisor import PROMPTLY
from .._core.delivery.partition import Partition
from .._core.waiting.countdown import Countdown
from .._core.waiting.event_loop import running_loop
from .._core.waiting.locks import start
from .._core.waiting.steps import Steps, run
from ..abc import Signal
from .watchdog import ThreadWatchdog
from .worker import ThreadWorker

R = TypeVar("R")

ThreadRun = Run[ThreadWorker[Any]]


class ThreadSupervisor:
    """Of one buffer."""

    survives_fork = True
    blocks = True

    def __init__(self, partitions: Sequence[Partition[Any]]) -> None:
        self._partitions = partitions

    def launch(self, life: ThreadRun, /) -> None:
        """Start a thread for each partition, and the watchdog's; they wait until *life* begins."""
        life.workers = tuple(ThreadWorker(partition) for partition in self._partitions)
        life.watchdog = watchdog = ThreadWatchdog(self._partitions, life)
        threads = [*(worker.thread for worker in life.workers), watchdog.thread]
        for thread in threads:
            start(thread)

    def admit(
        self, life: ThreadRun, partition: Partition[Any], hired: Callable[[Any], bool], /
    ) -> None:
        """Start a thread for *partition*, a guest of *life*; say who it is."""
        worker = ThreadWorker(partition)
        if not life.admit(worker):
            worker.void()
            return
        hired(worker)  # by the thread that would not want it any more
        start(worker.thread)
        partition.open(worker.wake)
        worker.begin()

    def join(self, life: ThreadRun, grace: float, /) -> Steps[None]:
        """Give the threads so many seconds, of real time, to end."""
        threads = [w.thread for w in life.everybody if w.driver.called_at is None]
        if isinstance(life.watchdog, ThreadWatchdog):  # subinterpreters crash if a thread stays
            threads.append(life.watchdog.thread)
        began = time.monotonic()
        for thread in threads:
            thread.join(max(0.0, began + grace - time.monotonic()))
        for worker in life.workers:
            if worker.partition.is_prompt:
                worker.thread.join(max(0.0, began + PROMPTLY - time.monotonic()))
        yield from ()

    def take_over(
        self, life: ThreadRun, workers: Sequence[ThreadWorker[Any]], countdown: Countdown, /
    ) -> None:
        """Have the watchdog hand over for *workers*."""
        if isinstance(life.watchdog, ThreadWatchdog):
            for worker in workers:
                life.watchdog.take_over(worker, countdown)

    def signal(self) -> Signal:
        """Return a new signal for a thread to wait on."""
        return self._partitions[0].settings.clock.signal()

    def go(self, steps: Generator[Any, None, R], /) -> R:
        """Go through *steps*, and wait in this thread."""
        return run(steps)

    def thread(self) -> int:
        """Return which thread it is that waits."""
        return threading.get_ident()

    def patience(self) -> float | None:
        """Return for how long this thread may wait in vain: not for ever where a loop runs."""
        return None if running_loop() is None else self._partitions[0].settings.processing_timeout
