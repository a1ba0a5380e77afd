"""Wait until a number of workers have reported."""

import threading

from ...abc import AsyncSignal, Clock, Signal
from .steps import Pause, Steps


class Countdown:
    """Lets a caller wait until a number of workers have reported."""

    def __init__(self, clock: Clock, signal: Signal | AsyncSignal, count: int) -> None:
        self._clock = clock
        self._signal = signal
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

    def wait(self, deadline: float | None) -> Steps[bool]:
        """Wait until something is reported; return False when the time is over."""
        remaining = None if deadline is None else deadline - self._clock.monotonic()
        if remaining is not None and remaining <= 0:
            return False
        yield Pause(self._signal, remaining)
        return True

    def close(self) -> None:
        """Say that the caller waits no more."""
        self._signal.close()
