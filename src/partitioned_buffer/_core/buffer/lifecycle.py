"""
The life of a running buffer, whoever its workers are: how it lets writers in, stops, and
flushes. What waits here are steps (see `waiting.steps`), for a thread or for a task.
"""

from abc import abstractmethod
from typing import Any, Final, Generic, TypeVar

from ...abc import AsyncSignal, Signal
from ...errors import BufferAlreadyRunning, BufferNotRunning, WrongThread
from ..delivery.watchdog import Watchdog
from ..delivery.worker import Worker
from ..ledger import Stats, StopReport
from ..telemetry import report
from ..waiting.countdown import Countdown
from ..waiting.event_loop import STALLED
from ..waiting.steps import Steps, run
from .base import Buffer, running
from .process_exit import begin_exit

B = TypeVar("B")
W = TypeVar("W", bound=Worker[Any])
D = TypeVar("D", bound=Watchdog)

GRACE, LATE_GRACE = 1.0, 0.1
"""Seconds, of real time, that workers not in the middle of a call get to end when `stop()` has
settled all, or its time is over: they need none, if the machine is not very busy."""

NOTHING: Final = StopReport(0, 0, ())


class LivingBuffer(Buffer[B], Generic[B, W, D]):
    """Stops and flushes. It has workers, and a watchdog, of some kind."""

    _workers: tuple[W, ...] = ()
    _watchdog: D | None = None

    @abstractmethod
    def _signal(self) -> Signal | AsyncSignal:
        """Return a new signal for a caller, or a worker, to wait on."""

    @abstractmethod
    def _is_own_worker(self) -> bool:
        """Return whether this is a worker of this buffer, calling its processor or a hook."""

    @abstractmethod
    def _let_go(self) -> None:
        """Have every worker end as soon as can be: nobody waits for it any more."""

    @abstractmethod
    def _join(self, grace: float) -> Steps[None]:
        """Give the workers so many seconds, of real time, to end."""

    @abstractmethod
    def _patience(self) -> float | None:
        """
        Return for how many seconds a wait that has no timeout may settle nothing; None: for ever.
        """

    def _forbid_restart(self) -> None:
        """Raise unless the buffer can be started now."""
        if self._state in ("running", "stopping"):
            raise BufferAlreadyRunning(
                f"buffer {self.name!r} is {self._state} already: only a new or a stopped one can "
                "be started"
            )
        if not all(worker.ended for worker in self._workers):
            raise BufferAlreadyRunning(
                f"a call of buffer {self.name!r}'s processor from before the last stop() has "
                "not returned: starting now could reorder its batches"
            )

    def _let_in(self) -> None:
        if self._room:
            self._room.open()
        now, flush_at = self._settings.clock.monotonic(), self._settings.flush_at
        wakes = [worker.wake for worker in self._workers] or [lambda: None] * len(self._tables)
        for table, wake in zip(self._tables, wakes, strict=True):
            table.open(wake, flush_at, now)
        self._state = "running"

    def _stop(self, timeout: float | None) -> Steps[StopReport]:
        self._forbid_own_workers("stop")
        deadline = self._deadline(timeout)
        ending = self._begin_stop()
        return NOTHING if ending is None else (yield from self._end_stop(*ending, deadline))

    def _begin_stop(self) -> tuple[Countdown, Stats] | None:
        """Refuse new writes, and tell the workers; return None if there is nothing to stop."""
        before = self.stats()
        with self._life:
            if self._state == "forked":
                self._state = "stopped"
                self._release_name()
            if self._state in ("new", "stopped"):
                return None
            self._state = "stopping"
            workers = self._workers
        self._shut_out()
        ending = self._countdown(len(workers))
        for worker in workers:
            worker.stop(ending)
        return ending, before

    def _shut_out(self) -> None:
        """Refuse writes, also those that wait for room."""
        for table in self._tables:
            table.close()
        if self._room:
            self._room.close()

    def _end_stop(
        self, ending: Countdown, before: Stats, deadline: float | None
    ) -> Steps[StopReport]:
        began = self._settings.clock.monotonic()
        try:
            while not ending.done:
                until = deadline
                if until is None:
                    until = self._settled_since(began) + self._settings.processing_timeout
                if not (yield from ending.wait(until)):
                    break
        except BaseException:  # interrupted, or cancelled: as if its time were over
            self._let_go()
            self._report(before)
            raise
        finally:
            ending.close()
        self._let_go()
        yield from self._join(GRACE if ending.done else LATE_GRACE)
        return self._report(before)

    def _settled_since(self, began: float) -> float:
        """Return when something was settled last, or *began*."""
        return max([began, *(at for w in self._workers if (at := w.settled_at) is not None)])

    def _report(self, before: Stats) -> StopReport:
        with self._life:
            first, self._state = self._state != "stopped", "stopped"
            self._release_name()
        after = self.stats()
        left = tuple(item for table in self._tables for item in table.held())
        if left and first:
            report("buffer %r was stopped with %d undelivered", self.name, len(left))
        return StopReport(
            after.delivered - before.delivered, after.dead_lettered - before.dead_lettered, left
        )

    def _flush(self, timeout: float | None) -> Steps[None]:
        self._forbid_own_workers("flush")
        deadline = self._deadline(timeout)
        if self._state != "running" and (error := self._refused()) is not None:
            raise error
        with self._life:  # a forked child's first write may be about to start them
            workers = self._workers
        flushed, began = self._countdown(len(workers)), self._settings.clock.monotonic()
        for worker in workers:
            worker.flush(flushed)
        try:
            while not flushed.done:
                until = deadline
                if until is None and (patience := self._patience()) is not None:
                    until = self._settled_since(began) + patience
                if not (yield from flushed.wait(until)):
                    raise self._not_flushed(timeout)
        finally:
            for worker in workers:
                worker.forget_flush(flushed)
            flushed.close()
        if flushed.failed:
            raise BufferNotRunning(f"buffer {self.name!r} was stopped before it was flushed")

    def _not_flushed(self, timeout: float | None) -> TimeoutError:
        why, hint = f"within {timeout} seconds", ""
        if timeout is None:
            why, hint = f"and nothing settled within {self._patience()} seconds", f". {STALLED}"
        return TimeoutError(
            f"buffer {self.name!r} was not flushed {why}: {self.size()} items are held and stay in "
            f"line{hint}"
        )

    def _countdown(self, count: int) -> Countdown:
        return Countdown(self._settings.clock, self._signal(), count)

    def _deadline(self, timeout: Any) -> float | None:
        if timeout is None:
            return None
        if not isinstance(timeout, int | float) or not timeout >= 0:
            raise ValueError(f"timeout={timeout!r}: expected a number of seconds from 0, or None")
        return self._settings.clock.monotonic() + timeout

    def _forbid_own_workers(self, method: str) -> None:
        if self._is_own_worker():
            raise WrongThread(
                f"{method}() was called by a worker of buffer {self.name!r} (in its processor or "
                "a hook), which would wait for itself: call it from elsewhere"
            )

    def _forked(self) -> None:
        super()._forked()
        for worker in self._workers:
            worker.forked()
        self._workers, self._watchdog = (), None

    def _retuned(self) -> None:
        for worker in self._workers:
            worker.retune()
        if self._watchdog:
            self._watchdog.retune()

    def _busy_since(self, index: int, now: float) -> float:
        workers = self._workers
        called_at = workers[index].driver.called_at if workers else None
        return now if called_at is None else called_at

    def _begin_exit(self) -> Steps[StopReport] | None:
        """Begin to stop, for the interpreter ends; return what remains to be done."""
        ending = self._begin_stop()
        if ending is None:
            return None
        return self._end_stop(*ending, self._deadline(self._settings.exit_timeout))


def stop_all() -> None:
    """Drain what was not stopped: all at the same time, and no longer than allowed."""
    begin_exit()
    endings = [buffer._begin_exit() for buffer in running() if isinstance(buffer, LivingBuffer)]
    for ending in endings:
        if ending is not None:
            run(ending)
