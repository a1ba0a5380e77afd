"""
Look after the workers of one buffer: nearly always asleep.

A worker that is with the processor cannot say that it has been for too long. Threads
cannot be killed, nor should coroutines be in the middle of a write, so a call that takes
too long is only announced.
"""

from collections.abc import Callable, Sequence
from typing import Any

from ...abc import AsyncSignal, Signal
from ...events import ProcessingOverdue
from ..waiting.steps import Pause, Steps
from .partition import Partition
from .worker import Worker


class Watchdog:
    """Which calls it has announced."""

    def __init__(
        self,
        partitions: Sequence[Partition[Any]],
        signal: Signal | AsyncSignal,
        workers: Callable[[], tuple[Worker[Any], ...]],
    ) -> None:
        self._partitions = partitions
        self._workers = workers
        self._clock = partitions[0].settings.clock
        self._signal = signal
        self._announced: dict[Worker[Any], float] = {}
        self._ended = False

    def end(self) -> None:
        """Stop looking. Never blocks."""
        self._ended = True
        self._signal.set()

    def void(self) -> None:
        """Never look: there is nothing to look after."""
        self.end()
        self._signal.close()  # the watchdog may never come to do it

    def is_current(self) -> bool:
        """Return whether it is the watchdog that runs now."""
        return False

    def retune(self) -> None:
        """Look at the settings again."""
        self._signal.set()

    def watch(self) -> Steps[None]:
        """Look, again and again."""
        try:
            while not self._ended:
                yield Pause(self._signal, self._look())
        finally:
            self._signal.close()

    def _look(self) -> float:
        """Look at all workers; return how many seconds later to look again."""
        pause = timeout = self._partitions[0].settings.processing_timeout
        workers = self._workers()
        self._announced = {w: at for w, at in self._announced.items() if w in workers}
        for worker in workers:
            called_at = worker.driver.called_at
            if called_at is not None and self._announced.get(worker) != called_at:
                taken = self._clock.monotonic() - called_at
                if taken < timeout:
                    pause = min(pause, timeout - taken)
                else:
                    self._announced[worker] = called_at
                    self._announce(worker, taken)
        return pause

    def _announce(self, worker: Worker[Any], taken: float) -> None:
        worker.partition.report(
            "a call of the processor has taken %.3g s so far; what is behind it waits", taken
        )
        worker.driver.losses.tell()
        worker.partition.emit(ProcessingOverdue, duration=taken)
