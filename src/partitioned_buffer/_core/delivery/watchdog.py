"""
Look after the workers of one buffer: nearly always asleep.

A worker that is with the processor cannot say that it has been for too long. Threads
cannot be killed, nor should coroutines be in the middle of a write, so a call that takes
too long is only announced.
"""

from collections.abc import Callable
from typing import Any

from ...abc import AsyncSignal, Signal
from ...events import ProcessingOverdue
from ..buffer.base import Buffer
from ..telemetry import report
from ..waiting.steps import Pause, Steps
from .worker import Worker


class Watchdog:
    """Which calls it has announced."""

    def __init__(
        self,
        buffer: Buffer[Any],
        signal: Signal | AsyncSignal,
        workers: Callable[[], tuple[Worker[Any], ...]],
    ) -> None:
        self._buffer = buffer
        self._workers = workers
        self._clock = buffer._settings.clock
        self._signal = signal
        self._announced: dict[int, float] = {}
        self._ended = False

    def end(self) -> None:
        """Stop looking. Never blocks."""
        self._ended = True
        self._signal.set()

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
        pause = timeout = self._buffer._settings.processing_timeout
        for index, worker in enumerate(self._workers()):
            called_at = worker.driver.called_at
            if called_at is not None and self._announced.get(index) != called_at:
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
