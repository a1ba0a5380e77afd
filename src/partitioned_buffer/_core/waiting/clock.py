"""
Real time, and a signal that is safe to raise from anywhere.

`queue.SimpleQueue` is the one primitive of the standard library whose `put` is
documented to be re-entrant: raising the signal inside a finalizer, in the
middle of raising it, cannot deadlock. `threading.Event.set` has no such promise.
"""

import threading
import time
from contextlib import suppress
from queue import Empty, SimpleQueue

from ...abc import AsyncSignal, Loop

AWAKE = 0.5
"""Seconds that the main thread waits at a time: a signal (Ctrl-C) that comes just before a thread
begins to wait is not seen before that wait is over."""


class SystemSignal:
    """
    A flag over a queue of tokens: any number of them counts as one.

    There is seldom more than one, however often it is raised while nobody looks: where there is
    one already, who waits is going to see it, and whatever was done before it was raised again.
    """

    __slots__ = ("_tokens",)

    def __init__(self) -> None:
        self._tokens: SimpleQueue[None] = SimpleQueue()

    def set(self) -> None:
        """Raise the flag."""
        if self._tokens.empty():
            self._tokens.put(None)

    def wait(self, timeout: float | None) -> None:
        """Wait for the flag, then lower it."""
        if timeout is not None:
            timeout = min(max(timeout, 0.0), threading.TIMEOUT_MAX)
        with suppress(Empty):
            self._get(timeout)
            while not self._tokens.empty():  # seldom: to be told so by an error takes longer
                self._tokens.get_nowait()

    def _get(self, timeout: float | None) -> None:
        if threading.current_thread() is threading.main_thread():
            while timeout is None or timeout > AWAKE:
                try:
                    return self._tokens.get(timeout=AWAKE)
                except Empty:
                    timeout = None if timeout is None else timeout - AWAKE
        return self._tokens.get(timeout=timeout)

    def close(self) -> None:
        """Nothing to give back."""


class SystemClock:
    """The machine's clocks."""

    monotonic = staticmethod(time.monotonic)
    time = staticmethod(time.time)

    def signal(self) -> SystemSignal:
        """Return a signal that waits in real time."""
        return SystemSignal()

    def async_signal(self, loop: Loop, /) -> AsyncSignal:
        """Return a signal that waits in real time."""
        return loop.signal()
