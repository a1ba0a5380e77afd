"""
The life of a buffer whose partitions have a thread each (see `worker`).
"""

import threading
import time
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar

from .._core.buffer.lifecycle import LivingBuffer, stop_all
from .._core.buffer.process_exit import at_exit, exit_has_begun
from .._core.ledger import StopReport
from .._core.telemetry import report
from .._core.waiting.event_loop import STALLED, running_loop
from .._core.waiting.steps import Steps, run
from ..abc import Signal
from ..errors import BufferNotRunning
from .watchdog import ThreadWatchdog
from .worker import ThreadWorker

B = TypeVar("B")


class ThreadedBuffer(LivingBuffer[B, ThreadWorker[B], ThreadWatchdog]):
    """Starts, stops and flushes."""

    def start(self) -> Self:
        """
        Start the workers and let writers in; return the buffer itself.

        A stopped buffer can be started again; it goes on with what was left.

        Raises `BufferAlreadyRunning` when it runs, when another running buffer has its
        name, or when a call of the processor from before the last stop has not returned.
        Raises `BufferNotRunning` when no thread can be started, as at the interpreter's end.
        """
        with self._life:
            self._forbid_restart()
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
        at_exit(stop_all)

    def _start_threads(self) -> None:
        started: list[ThreadWorker[B]] = []
        try:
            for index in range(len(self._tables)):
                worker = ThreadWorker(self, index)
                worker.start()
                started.append(worker)
            watchdog = ThreadWatchdog(self, lambda: self._workers, self._replace)
            watchdog.start()
        except BaseException:  # no thread to be had: end those that run, they have nothing to do
            ending = self._countdown(len(started))
            for worker in started:
                worker.stop(ending)
                worker.thread.join()
            ending.close()
            raise
        self._workers, self._watchdog = tuple(started), watchdog

    def _replace(self, gone: ThreadWorker[Any]) -> None:
        """Give the partition of a worker whose thread has vanished a new one."""
        with self._life:
            if self._state != "running" or gone not in self._workers:
                return
            index = self._workers.index(gone)
            worker = ThreadWorker(self, index)
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
        stopped = run(self._stop(timeout))
        if stopped.left and running_loop() is not None:
            report("buffer %r: %s", self.name, STALLED)
        return stopped

    def flush(self, timeout: float | None = None) -> None:
        """
        Process what is held now; return when it is settled: delivered, or given up.

        A batch that waits for its next attempt is tried at once.

        *timeout*: seconds to wait at most; None waits for as long as it takes.

        Raises `TimeoutError` when the time is over: nothing is lost, and processing goes on.
        Raises `BufferNotRunning`, also when the buffer is stopped meanwhile with something
        left, and `WrongThread` in a processor or hook of this buffer.

        On the thread of a running event loop, which the processor may be waiting for, None waits
        only as long as something is settled every `processing_timeout` seconds.
        """
        run(self._flush(timeout))

    _run = staticmethod(run)

    def _signal(self) -> Signal:
        return self._settings.clock.signal()

    def _patience(self) -> float | None:
        return None if running_loop() is None else self._settings.processing_timeout

    def _let_go(self) -> None:
        for worker in self._workers:
            worker.abandon()
        if self._watchdog:
            self._watchdog.end()

    def _join(self, grace: float) -> Steps[None]:
        threads = [w.thread for w in self._workers if w.driver.called_at is None]
        if self._watchdog:  # a subinterpreter crashes where a thread outlives it
            threads.append(self._watchdog.thread)
        until = time.monotonic() + grace
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        yield from ()

    def _is_own_worker(self) -> bool:
        threads = [worker.thread for worker in self._workers]
        if self._watchdog:
            threads.append(self._watchdog.thread)
        return threading.current_thread() in threads

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_raised: object) -> None:
        self.stop()

    if not TYPE_CHECKING:  # checkers know what there is

        def __aenter__(self) -> NoReturn:
            raise TypeError(
                f"{type(self).__name__} is for threads: use it in a `with` block, or an "
                f"Async{type(self).__name__} in an `async with` block"
            )

        def __aexit__(self, *_raised: object) -> NoReturn:
            raise TypeError

        def __getattr__(self, name: str) -> NoReturn:
            kind = type(self).__name__
            hint = f": see Async{kind}" if name.endswith("_nowait") else ""
            raise AttributeError(f"{kind!r} object has no attribute {name!r}{hint}")
