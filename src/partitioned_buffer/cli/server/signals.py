"""Who is told to end: the first signal asks for it, another one has it be at once."""

import os
import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType

from ..._core.waiting.clock import SystemSignal

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Asked:
    """Whether it was asked for, and what waits for that."""

    def __init__(self) -> None:
        self._to_end = False
        self._signal = SystemSignal()
        self.wake: Callable[[], object] = self._signal.set
        """Called by the signal handler, wherever the main thread is."""

    def to_end(self) -> bool:
        """Return whether it was."""
        return self._to_end

    def wait(self, seconds: float) -> None:
        """Wait for it, in the main thread."""
        if not self._to_end:
            self._signal.wait(seconds)

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        if self._to_end:
            os._exit(128 + number)
        self._to_end = True
        self.wake()


@contextmanager
def heard() -> Generator[Asked, None, None]:
    """Hear SIGTERM and SIGINT."""
    asked = Asked()
    before = {each: signal.signal(each, asked._hear) for each in _SIGNALS}
    try:
        yield asked
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
