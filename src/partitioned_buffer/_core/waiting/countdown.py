"""Wait until a number of workers have reported."""

from ...abc import AsyncSignal, Clock, Signal
from .steps import Pause, Steps


class Countdown:
    """
    Lets a caller wait until a number of workers have reported.

    It takes no lock: a signal handler that stops or flushes may come in the middle of a report,
    and would keep the worker that it waits for from its own.
    """

    def __init__(self, clock: Clock, signal: Signal | AsyncSignal, count: int) -> None:
        self._clock = clock
        self._signal = signal
        self._count = count
        self._reports: list[bool] = []  # appended to, in one step: whether each has failed

    @property
    def done(self) -> bool:
        """Whether all have reported."""
        return len(self._reports) >= self._count

    @property
    def failed(self) -> bool:
        """Whether one has reported that it failed."""
        return any(self._reports)

    def report(self, *, failed: bool = False) -> None:
        """Count one worker down."""
        self._reports.append(failed)
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
