"""How threads are started for the partitions of a buffer, and waited for."""

import sys
import threading
import time
from collections.abc import Generator, Sequence
from typing import Any, TypeVar

from .._core.buffer.run import Run
from .._core.delivery.partition import Partition
from .._core.waiting.countdown import Countdown
from .._core.waiting.event_loop import running_loop
from .._core.waiting.steps import Steps, run
from ..abc import Signal
from .watchdog import ThreadWatchdog
from .worker import ThreadWorker

R = TypeVar("R")

ThreadRun = Run[ThreadWorker[Any]]


class ThreadSupervisor:
    """Of one buffer."""

    survives_fork = True

    def __init__(self, partitions: Sequence[Partition[Any]]) -> None:
        self._partitions = partitions

    def launch(self, life: ThreadRun, /) -> None:
        """Start a thread for each partition, and the watchdog's; they wait until *life* begins."""
        life.workers = tuple(ThreadWorker(partition) for partition in self._partitions)
        life.watchdog = watchdog = ThreadWatchdog(self._partitions, life)
        threads = [*(worker.thread for worker in life.workers), watchdog.thread]
        for thread in threads:
            start(thread)

    def join(self, life: ThreadRun, grace: float, /) -> Steps[None]:
        """Give the threads so many seconds, of real time, to end."""
        threads = [w.thread for w in life.workers if w.driver.called_at is None]
        if isinstance(life.watchdog, ThreadWatchdog):  # subinterpreters crash if a thread stays
            threads.append(life.watchdog.thread)
        until = time.monotonic() + grace
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
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


def start(thread: threading.Thread) -> None:
    """Start *thread*; raise what interrupts that, if anything does."""
    handled = sys.exception()
    try:
        thread.start()
    except RuntimeError as error:
        # Interrupted where it waits for the thread to be up, CPython's own start() may go on to
        # complain of a lock of its own, and the interrupt is only the context of that.
        interrupt = error.__context__
        if interrupt is None or interrupt is handled:
            raise
        raise interrupt from None
