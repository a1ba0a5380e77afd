"""
Queue and Map, driven by threads: one worker per partition (see `_worker`).

What waits is here and only here: `stop`, `flush`, and `start` for its threads.
"""

import atexit
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, Unpack, overload

from ._buffer import Buffer, running
from ._entry import Entry
from ._hot import Key
from ._ledger import StopReport
from ._map_table import MapTable
from ._options import CommonOptions, MapOptions, settings
from ._tables import QueueTable
from ._telemetry import log
from ._worker import Countdown, Worker
from ._writes import MapWrites, QueueWrites
from .errors import BufferAlreadyRunning, BufferNotRunning, WrongThread

B = TypeVar("B")
T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")


class ThreadedBuffer(Buffer[B]):
    """The life of a buffer whose partitions have a thread each."""

    _workers: "tuple[Worker[B], ...]" = ()

    def start(self) -> Self:
        """
        Start the workers and let writers in; return the buffer itself.

        A stopped buffer can be started again; it goes on with what was left.

        Raises `BufferAlreadyRunning` when it runs, when another running buffer has its
        name, or when a call of the processor from before the last stop has not returned.
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
            self._claim_name()
            try:
                self._start_workers()
            except BaseException:
                self._release_name()
                raise
            self._state = "running"
            now = self._settings.clock.monotonic()
            for table, worker in zip(self._tables, self._workers, strict=True):
                table.open(worker.wake, self._settings.flush_at, now)
        return self

    def _start_workers(self) -> None:
        started: list[Worker[B]] = []
        try:
            for index in range(len(self._tables)):
                worker = Worker(self, index)
                worker.thread.start()
                started.append(worker)
        except BaseException:  # no thread to be had: end those that run, they have nothing to do
            ending = Countdown(self._settings.clock, len(started))
            for worker in started:
                worker.stop(ending)
                worker.thread.join()
            ending.close()
            raise
        self._workers = tuple(started)

    def stop(self, timeout: float | None = None) -> StopReport:
        """
        Refuse new writes, deliver what is held, end the workers, and report.

        Each partition delivers what it holds, all partitions at the same time. A batch that
        fails is not tried again: it is reported as left, with all that is behind it in its
        partition. Stopping a buffer that does not run does nothing.

        *timeout*: seconds to wait at most. None: as long as it takes, though for a single
        call of the processor no longer than `processing_timeout`. When the time is over, the
        report says what is left, and a call that has not returned is left behind: what it
        was given is reported as left too.

        Raises `WrongThread` in a processor or hook of this buffer, which would wait for itself.
        """
        self._forbid_own_threads("stop")
        deadline = self._deadline(timeout)
        before = self.stats()
        with self._life:
            if self._state in ("new", "stopped"):
                return StopReport(0, 0, ())
            self._state = "stopping"
            workers = self._workers
        for table in self._tables:
            table.close()
        ending = Countdown(self._settings.clock, len(workers))
        try:
            for worker in workers:
                worker.stop(ending)
            self._await_end(ending, deadline)
        finally:
            ending.close()
        for worker in workers:
            worker.abandoned = True
        return self._report(before.delivered, before.dead_lettered)

    def _await_end(self, ending: Countdown, deadline: float | None) -> None:
        clock = self._settings.clock
        began = clock.monotonic()
        while not ending.done:
            until = deadline
            if until is None:
                active = [at for worker in self._workers if (at := worker.active_at()) is not None]
                until = max([began, *active]) + self._settings.processing_timeout
            remaining = until - clock.monotonic()
            if remaining <= 0:
                break
            ending.wait(remaining)

    def _report(self, delivered: int, dead_lettered: int) -> StopReport:
        with self._life:
            self._state = "stopped"
            self._release_name()
        after = self.stats()
        left = tuple(item for table in self._tables for item in table.held())
        if left:
            log.error("buffer %r was stopped with %d items undelivered", self.name, len(left))
        return StopReport(after.delivered - delivered, after.dead_lettered - dead_lettered, left)

    def flush(self, timeout: float | None = None) -> None:
        """
        Process what is held now; return when it has been delivered.

        *timeout*: seconds to wait at most; None waits for as long as the processor keeps
        failing.

        Raises `TimeoutError` when the time is over: nothing is lost, and processing goes on.
        Raises `BufferNotRunning`, also when the buffer is stopped meanwhile with something
        left, and `WrongThread` in a processor or hook of this buffer.
        """
        self._forbid_own_threads("flush")
        if self._state != "running":
            raise self._refusal()
        clock, deadline = self._settings.clock, self._deadline(timeout)
        flushed = Countdown(clock, len(self._workers))
        for worker in self._workers:
            worker.flush(flushed)
        try:
            while not flushed.done:
                remaining = None if deadline is None else deadline - clock.monotonic()
                if remaining is not None and remaining <= 0:
                    raise TimeoutError(
                        f"buffer {self.name!r} was not flushed within {timeout} seconds: "
                        f"{self.size()} items are held and stay in line"
                    )
                flushed.wait(remaining)
        finally:
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
        self._workers = ()

    def _retuned(self) -> None:
        for worker in self._workers:
            worker.retune()

    def _forbid_own_threads(self, method: str) -> None:
        if any(worker.thread is threading.current_thread() for worker in self._workers):
            raise WrongThread(
                f"{method}() was called by a worker of buffer {self.name!r} (in its processor or "
                "a hook), which would wait for itself: call it from another thread"
            )

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


class Queue(QueueWrites[T], ThreadedBuffer[list[T]]):
    """
    A buffer that keeps insertion order.

    `processor` receives `list[T]`. The options, all by keyword, are those of
    `Settings`, documented in the reference.

    Raises `InvalidOption` or `UnknownOption` for options that are no good.
    """

    def __init__(
        self,
        name: str,
        processor: Callable[[list[T]], object],
        *,
        processing_batch_size: int | Literal["table"] = 10,
        partition_key: Key[T] = None,
        **options: Unpack[CommonOptions],
    ) -> None:
        made = settings(
            "Queue",
            name=name,
            processor=processor,
            processing_batch_size=processing_batch_size,
            partition_key=partition_key,
            **options,
        )
        tables = [QueueTable[T]() for _ in range(made.partitions or 1)]
        QueueWrites.__init__(self, tables, partition_key)
        ThreadedBuffer.__init__(self, made, tables)


class Map(MapWrites[K, V], ThreadedBuffer[list[Entry[K, V]] | dict[K, Entry[K, V]]]):
    """
    A buffer that keeps one value per key: the last written, or the newest version.

    `processor` receives `list[Entry[K, V]]`, or with `processing_batch_size="table"`
    one `dict[K, Entry[K, V]]`. The options, all by keyword, are those of `Settings`,
    documented in the reference.

    Raises `InvalidOption` or `UnknownOption` for options that are no good.
    """

    @overload
    def __init__(
        self,
        name: str,
        processor: Callable[[list[Entry[K, V]]], object],
        *,
        processing_batch_size: int = 10,
        partition_key: Key[K] = None,
        **options: Unpack[MapOptions],
    ) -> None: ...
    @overload
    def __init__(
        self,
        name: str,
        processor: Callable[[dict[K, Entry[K, V]]], object],
        *,
        processing_batch_size: Literal["table"],
        partition_key: Key[K] = None,
        **options: Unpack[MapOptions],
    ) -> None: ...
    def __init__(
        self,
        name: str,
        processor: Callable[[Any], object],
        *,
        processing_batch_size: int | Literal["table"] = 10,
        partition_key: Key[K] = None,
        **options: Unpack[MapOptions],
    ) -> None:
        made = settings(
            "Map",
            name=name,
            processor=processor,
            processing_batch_size=processing_batch_size,
            partition_key=partition_key,
            **options,
        )
        tables = [MapTable[K, V](made.remember_versions) for _ in range(made.partitions or 1)]
        MapWrites.__init__(self, tables, partition_key)
        ThreadedBuffer.__init__(self, made, tables)


@atexit.register
def _stop_all() -> None:
    """Drain what was not stopped."""
    for buffer in running():
        if isinstance(buffer, ThreadedBuffer):
            buffer.stop()
