"""
Test code that uses a buffer, without sleeping.

    clock, processor = FakeClock(), RecordingProcessor()
    with Queue("events", processor, clock=clock) as events:
        events.push("signed up")
        clock.advance(5.0)                  # the interval is over, the cycle has run
        assert processor.items == ["signed up"]

`advance` returns when every worker has done what was due and waits again, so
what you assert next is settled.
"""

import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from . import Stats
from .events import Event

E = TypeVar("E", bound=Event)

__all__ = ["FakeClock", "RecordingHook", "RecordingProcessor", "assert_balanced"]


class FakeClock:
    """
    A clock that stands still until told to advance.

    Give it to a buffer as `clock=`. Threads that wait are real, only their time is not.

    When the thread that made the clock waits itself (in `stop()`, in `flush()`, for room in a
    full buffer) and everybody else waits too, nobody is left to advance it: it then jumps to
    what is due next, as often as it takes.

    *patience*: real seconds after which a wait that cannot end is given up.
    """

    def __init__(self, *, patience: float = 30.0) -> None:
        self._changed = threading.Condition()
        self._signals: list[_FakeSignal] = []
        self._now = 0.0
        self._patience = patience
        self._began = time.time()
        self._owner = threading.get_ident()

    def monotonic(self) -> float:
        """Return the seconds advanced so far."""
        return self._now

    def time(self) -> float:
        """Return wall-clock time: that of creation, plus what was advanced."""
        return self._began + self._now

    def signal(self) -> "_FakeSignal":
        """Return a signal whose timeouts are this clock's."""
        with self._changed:
            signal = _FakeSignal(self)
            self._signals.append(signal)
            return signal

    def advance(self, seconds: float) -> None:
        """
        Let *seconds* pass, one deadline after the other; return when all is settled.

        Raises `TimeoutError` when a worker does not settle (see `settle`).
        """
        if not seconds >= 0:
            raise ValueError(f"seconds={seconds!r}: expected a number from 0")
        self.settle()
        end = self._now + seconds
        while (due := self._next_deadline()) is not None and due <= end:
            self._set(due)
            self.settle()
        self._set(end)
        self.settle()

    def jump(self, seconds: float) -> None:
        """Let *seconds* pass at once, and do not wait for anybody: a processor may be blocked."""
        self._set(self._now + seconds)

    def settle(self) -> None:
        """
        Return when every worker has done what it was asked to, and waits.

        Raises `TimeoutError` when one does not within the clock's patience: most likely its
        processor is blocked.
        """
        with self._changed:
            idle = self._changed.wait_for(
                lambda: all(signal.idle for signal in self._signals), self._patience
            )
        if not idle:
            raise TimeoutError(
                f"a worker was still busy after {self._patience} real seconds: is its processor "
                "blocked? jump() moves the clock without waiting"
            )

    def _next_deadline(self) -> float | None:
        with self._changed:
            deadlines = [s.deadline for s in self._signals if s.deadline is not None]
            return min(deadlines, default=None)

    def _jump_to_next(self) -> bool:
        """Be at the next deadline, if the clock's own thread asks and all wait; say whether."""
        if threading.get_ident() != self._owner or not all(s.idle for s in self._signals):
            return False
        due = self._next_deadline()
        if due is None:
            return False
        self._set(due)
        return True

    def _set(self, now: float) -> None:
        with self._changed:
            self._now = max(self._now, now)  # a processor may have jumped further
            self._changed.notify_all()


class _FakeSignal:
    """A flag in fake time; all of them share their clock's condition, so none is seen half set."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._up = False
        self._waiting = False
        self.deadline: float | None = None

    @property
    def idle(self) -> bool:
        """Whether somebody waits here and will go on doing so."""
        return self._waiting and not self._ready()

    def _ready(self) -> bool:
        return self._up or (self.deadline is not None and self._clock._now >= self.deadline)

    def set(self) -> None:
        with self._clock._changed:
            self._up = True
            self._clock._changed.notify_all()

    def wait(self, timeout: float | None) -> None:
        changed = self._clock._changed
        with changed:
            self.deadline = None if timeout is None else self._clock._now + timeout
            self._waiting = True
            changed.notify_all()
            while not self._ready():
                if not self._clock._jump_to_next():
                    changed.wait()
            self._waiting = self._up = False
            self.deadline = None

    def close(self) -> None:
        with self._clock._changed:
            self._clock._signals.remove(self)
            self._clock._changed.notify_all()


class RecordingProcessor:
    """
    A processor that keeps what it is given, and fails or blocks when told to.

    `batches` holds every batch that was delivered, `attempts` also those that failed.
    """

    def __init__(self) -> None:
        self.batches: list[Any] = []
        self.attempts: list[Any] = []
        self._errors: list[BaseException] = []
        self._down: BaseException | None = None
        self._open = threading.Event()
        self._open.set()
        self._entered = threading.Semaphore(0)
        self._lock = threading.Lock()

    def __call__(self, batch: Any) -> None:
        """Record *batch*, or raise what `fail` ordered."""
        with self._lock:
            self.attempts.append(batch)
            error = self._errors.pop(0) if self._errors else self._down
        self._entered.release()
        self._open.wait()
        if error is not None:
            raise error.with_traceback(None)  # it may have been raised before
        with self._lock:
            self.batches.append(batch)

    @property
    def items(self) -> list[Any]:
        """All delivered items (a whole-table dict counts by its entries), batch after batch."""
        return [item for batch in self.batches for item in _items(batch)]

    def fail(self, *errors: BaseException) -> None:
        """Raise each of *errors* in turn, from the next call on."""
        with self._lock:
            self._errors.extend(errors)

    def fail_always(self, error: BaseException) -> None:
        """Raise *error* from every call, until `recover`."""
        self._down = error

    def recover(self) -> None:
        """Raise nothing more."""
        with self._lock:
            self._errors.clear()
            self._down = None

    def block(self) -> None:
        """Hold every call until `unblock`."""
        self._open.clear()

    def unblock(self) -> None:
        """Let the held calls go on."""
        self._open.set()

    def wait_for_call(self, patience: float = 30.0) -> None:
        """Wait for another call (each counts once); raise `TimeoutError` if there is none."""
        if not self._entered.acquire(timeout=patience):
            raise TimeoutError(f"the processor was not called within {patience} real seconds")


def _items(batch: Any) -> Iterable[Any]:
    return batch.values() if isinstance(batch, Mapping) else batch


class RecordingHook:
    """A hook that keeps every event."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        """Record *event*."""
        self.events.append(event)

    def of(self, kind: type[E]) -> list[E]:
        """Return the events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]


def assert_balanced(stats: Stats) -> None:
    """Assert that the ledger holds, in total and in every partition."""
    for part in (stats, *stats.partitions):
        if not part.balanced:
            raise AssertionError(f"accepted is not the sum of the rest: {part}")
