"""
The life of a buffer whose partitions have a thread each (see `_worker`).

What waits is here and only here: `stop`, `flush`, `start` for its threads, and the
end of the interpreter.
"""

import threading
import time
from typing import Any, Self, TypeVar

from ._buffer import Buffer, running
from ._countdown import Countdown
from ._exit import at_exit, begin_exit, exit_has_begun
from ._ledger import Stats, StopReport
from ._telemetry import report
from ._watchdog import Watchdog
from ._worker import Worker
from .errors import BufferAlreadyRunning, BufferNotRunning, WrongThread

B = TypeVar("B")

GRACE, LATE_GRACE = 1.0, 0.1
"""Seconds, of real time, that threads not in the middle of a call get to end when `stop()` has
settled all, or its time is over: they need none, if the machine is not very busy."""


class ThreadedBuffer(Buffer[B]):
    """Starts, stops and flushes."""

    _workers: "tuple[Worker[B], ...]" = ()
    _watchdog: Watchdog | None = None

    def start(self) -> Self:
        """
        Start the workers and let writers in; return the buffer itself.

        A stopped buffer can be started again; it goes on with what was left.

        Raises `BufferAlreadyRunning` when it runs, when another running buffer has its
        name, or when a call of the processor from before the last stop has not returned.
        Raises `BufferNotRunning` when no thread can be started, as at the interpreter's end.
        """
        with self._life:
            if self._state in ("running", "stopping"):
                raise BufferAlreadyRunning(
                    f"buffer {self.name!r} is {self._state} already: start() is for a new or a "
                    "stopped one"
                )
            if not all(worker.ended for worker in self._workers):
                raise BufferAlreadyRunning(
                    f"a call of buffer {self.name!r}'s processor from before the last stop() has "
                    "not returned: starting now could reorder its batches"
                )
            self._launch()
        return self

    def _resume(self) -> None:
        with self._life:
            if self._state != "forked":  # any more: it was another thread's write
                return
            # Writers first: one that comes in the middle of this, on this very thread (a
            # finalizer, a signal handler), must not begin it again.
            self._let_in()
            try:
                self._launch()
            except BaseException:
                for table in self._tables:
                    table.close()
                self._state = "forked"
                raise

    def _launch(self) -> None:
        self._claim_name()
        try:
            if exit_has_begun():  # asked with the name claimed: if not, the drain will find it
                raise RuntimeError("the interpreter is ending, and would not wait for it")  # noqa: TRY301
            self._start_threads()
        except BaseException as error:
            self._release_name()
            if isinstance(error, RuntimeError):
                raise BufferNotRunning(
                    f"buffer {self.name!r} could not be started: {error}"
                ) from error
            raise
        self._let_in()
        at_exit(_stop_all)

    def _let_in(self) -> None:
        if self._room:
            self._room.open()
        now, flush_at = self._settings.clock.monotonic(), self._settings.flush_at
        wakes = [worker.wake for worker in self._workers] or [lambda: None] * len(self._tables)
        for table, wake in zip(self._tables, wakes, strict=True):
            table.open(wake, flush_at, now)
        self._state = "running"

    def _start_threads(self) -> None:
        started: list[Worker[B]] = []
        try:
            for index in range(len(self._tables)):
                worker = Worker(self, index)
                worker.start()
                started.append(worker)
            watchdog = Watchdog(self, lambda: self._workers, self._replace)
            watchdog.start()
        except BaseException:  # no thread to be had: end those that run, they have nothing to do
            ending = Countdown(self._settings.clock, len(started))
            for worker in started:
                worker.stop(ending)
                worker.thread.join()
            ending.close()
            raise
        self._workers, self._watchdog = tuple(started), watchdog

    def _replace(self, gone: Worker[Any]) -> None:
        """Give the partition of a worker whose thread has vanished a new one."""
        with self._life:
            if self._state != "running" or gone not in self._workers:
                return
            index = self._workers.index(gone)
            worker = Worker(self, index)
            worker.start()
            workers = list(self._workers)
            workers[index] = worker
            self._workers = tuple(workers)
            self._restarts[index] += 1
            self._tables[index].rewire(worker.wake)
            worker.wake()
        message = "buffer %r, partition %d: the worker's thread was gone and is replaced"
        report(message, self.name, index)

    def stop(self, timeout: float | None = None) -> StopReport:
        """
        Refuse new writes, deliver what is held, end the workers, and report.

        Each partition delivers what it holds, all partitions at the same time. What fails is
        tried again, as `retry` says, while there is time. Writers that wait for room get
        `BufferNotRunning`. Stopping a buffer that does not run does nothing.

        *timeout*: seconds to wait at most. None: as long as something is delivered (or
        dead-lettered) every `processing_timeout` seconds. When the time is over, the report
        says what is left, and a call of the processor that has not returned is left behind:
        what it was given is reported as left too.

        Raises `WrongThread` in a processor or hook of this buffer, which would wait for itself.
        """
        self._forbid_own_threads("stop")
        deadline = self._deadline(timeout)
        ending = self._begin_stop()
        return StopReport(0, 0, ()) if ending is None else self._end_stop(*ending, deadline)

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
        for table in self._tables:
            table.close()
        if self._room:
            self._room.close()
        ending = Countdown(self._settings.clock, len(workers))
        for worker in workers:
            worker.stop(ending)
        return ending, before

    def _end_stop(self, ending: Countdown, before: Stats, deadline: float | None) -> StopReport:
        began = self._settings.clock.monotonic()
        try:
            while not ending.done:
                until = deadline
                if until is None:
                    settled = [at for w in self._workers if (at := w.settled_at) is not None]
                    until = max([began, *settled]) + self._settings.processing_timeout
                if not ending.wait(until):
                    break
        finally:
            ending.close()
            self._abandon(GRACE if ending.done else LATE_GRACE)
        return self._report(before)

    def _abandon(self, grace: float) -> None:
        for worker in self._workers:
            worker.abandon()
        threads = [w.thread for w in self._workers if w.driver.called_at is None]
        if self._watchdog:  # a subinterpreter crashes where a thread outlives it
            self._watchdog.end()
            threads.append(self._watchdog.thread)
        until = time.monotonic() + grace
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _report(self, before: Stats) -> StopReport:
        with self._life:
            self._state = "stopped"
            self._release_name()
        after = self.stats()
        left = tuple(item for table in self._tables for item in table.held())
        if left:
            report("buffer %r was stopped with %d undelivered", self.name, len(left))
        return StopReport(
            after.delivered - before.delivered, after.dead_lettered - before.dead_lettered, left
        )

    def flush(self, timeout: float | None = None) -> None:
        """
        Process what is held now; return when it is settled: delivered, or given up.

        A batch that waits for its next attempt is tried at once.

        *timeout*: seconds to wait at most; None waits for as long as it takes.

        Raises `TimeoutError` when the time is over: nothing is lost, and processing goes on.
        Raises `BufferNotRunning`, also when the buffer is stopped meanwhile with something
        left, and `WrongThread` in a processor or hook of this buffer.
        """
        self._forbid_own_threads("flush")
        deadline = self._deadline(timeout)
        if self._state != "running" and (error := self._refused()) is not None:
            raise error
        with self._life:  # a forked child's first write may be about to start them
            workers = self._workers
        flushed = Countdown(self._settings.clock, len(workers))
        for worker in workers:
            worker.flush(flushed)
        try:
            while not flushed.done:
                if not flushed.wait(deadline):
                    raise TimeoutError(
                        f"buffer {self.name!r} was not flushed within {timeout} seconds: "
                        f"{self.size()} items are held and stay in line"
                    )
        finally:
            for worker in workers:
                worker.forget_flush(flushed)
            flushed.close()
        if flushed.failed:
            raise BufferNotRunning(f"buffer {self.name!r} was stopped before it was flushed")

    def _deadline(self, timeout: Any) -> float | None:
        if timeout is None:
            return None
        if not isinstance(timeout, int | float) or not timeout >= 0:
            raise ValueError(f"timeout={timeout!r}: expected a number of seconds from 0, or None")
        return self._settings.clock.monotonic() + timeout

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

    def _is_own_thread(self) -> bool:
        threads = [worker.thread for worker in self._workers]
        if self._watchdog:
            threads.append(self._watchdog.thread)
        return threading.current_thread() in threads

    def _forbid_own_threads(self, method: str) -> None:
        if self._is_own_thread():
            raise WrongThread(
                f"{method}() was called by a worker of buffer {self.name!r} (in its processor or "
                "a hook), which would wait for itself: call it from another thread"
            )

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_raised: object) -> None:
        self.stop()


def _stop_all() -> None:
    """Drain what was not stopped: all at the same time, and no longer than allowed."""
    begin_exit()
    endings = []
    for buffer in running():
        if isinstance(buffer, ThreadedBuffer) and (ending := buffer._begin_stop()) is not None:
            deadline = buffer._deadline(buffer._settings.exit_timeout)
            endings.append((buffer, ending, deadline))
    for buffer, ending, deadline in endings:
        buffer._end_stop(*ending, deadline)
