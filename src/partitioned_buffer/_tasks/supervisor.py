"""
The life of a buffer whose partitions have a task each (see `worker`), from `async with` to
its end. Its tasks never outlive it.
"""

from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar

from .._core.buffer.lifecycle import LivingBuffer, stop_all
from .._core.buffer.process_exit import at_exit
from .._core.delivery.watchdog import Watchdog
from .._core.ledger import Stats, StopReport
from .._core.telemetry import report
from .._core.waiting.clock import SystemClock
from .._core.waiting.countdown import Countdown
from .._core.waiting.steps import Steps, drive, now
from ..abc import AsyncSignal
from ..errors import WrongThread
from .from_thread import Blocking
from .loops.base import Group, RunningLoop
from .loops.current import current_loop, whereabouts
from .worker import Overseer, TaskWorker

B = TypeVar("B")


class TaskBuffer(LivingBuffer[B, TaskWorker[B], Watchdog], Overseer[B]):
    """Enters, stops and flushes."""

    _loop: RunningLoop
    _whereabouts: object = None
    _winding: Stats | None = None  # as of when a worker began to stop the buffer
    _group: Group
    _how_to_start = "use it in an `async with` block"
    _how_to_go_on = "write before stop(), or use it in an `async with` block again"

    _run = staticmethod(now)

    async def __aenter__(self) -> Self:
        """
        Start a task for each partition, and let writers in.

        Raises `BufferAlreadyRunning` when it runs, when another running buffer has its name, or
        when a call of the processor from before the last stop has not returned.
        """
        with self._life:
            self._forbid_restart()
            self._claim_name()
        try:
            self._loop, self._died = current_loop(), False
            self._whereabouts = whereabouts() or object()
            self._group = self._loop.group()
            await self._group.__aenter__()
        except BaseException:
            self._release_name()
            raise
        self._start_tasks(self._loop, self._group)
        self._let_in()
        at_exit(stop_all)
        try:
            while not self._beginning.done:  # only who has begun can be asked to stop
                await drive(self._beginning.wait(None))
        except BaseException as error:
            await self.__aexit__(type(error), error, error.__traceback__)
            raise
        return self

    def _start_tasks(self, loop: RunningLoop, group: Group) -> None:
        self._beginning = Countdown(SystemClock(), loop.signal(), len(self._tables))
        self._workers = tuple(
            TaskWorker(self, index, loop, self._signal()) for index in range(len(self._tables))
        )
        self._watchdog = watchdog = Watchdog(self, self._signal(), lambda: self._workers)
        for index, worker in enumerate(self._workers):
            worker.cancel = group.start(worker.main, f"{self.name}-{index}", worker.gone)
        name = f"{self.name}-watchdog"
        group.start(lambda: drive(watchdog.watch()), name, lambda: None)

    def _begun(self) -> None:
        self._beginning.report()

    if not TYPE_CHECKING:  # checkers know what there is

        def __enter__(self) -> NoReturn:
            raise TypeError(f"{type(self).__name__} is for tasks: use it in an `async with` block")

        def __exit__(self, *_raised: object) -> NoReturn:
            raise TypeError

        def __getattr__(self, name: str) -> NoReturn:
            kind = type(self).__name__
            hint = ": use it in an `async with` block" if name == "start" else ""
            raise AttributeError(f"{kind!r} object has no attribute {name!r}{hint}")

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        """
        Stop, and wait for the tasks.

        When the body was cancelled, what is held is delivered all the same, for `exit_timeout`
        seconds at most; being cancelled in the middle of that ends it at once.

        Raises what a worker died of.
        """
        loop = self._loop
        try:
            if error is None or not loop.ends(error):
                await self.stop()
            else:
                with loop.shield():
                    await self.stop(self._settings.exit_timeout)
        finally:
            await self._leave(kind, error, traceback)
        return None

    async def _leave(self, *raised: Any) -> None:
        """Wait for the tasks. Only if one has died does what was *raised* come from their group."""
        try:
            await self._group.__aexit__(*(raised if self._died else (None, None, None)))
        except BaseExceptionGroup as group:
            one, *others = group.exceptions
            if others:
                raise
            raise one from None

    def _cut_off(self, index: int, error: BaseException | None) -> None:
        """Stop at once: a worker was cancelled, or died."""
        died = error is not None and not self._loop.ends(error)
        self._died = self._died or died
        with self._life:
            if self._state != "running":
                return
            self._state = "stopped"
            self._release_name()
        self._shut_out()
        self._let_go()
        report(
            "buffer %r, partition %d: the worker %s; the buffer is stopped, with %d undelivered",
            self.name,
            index,
            "died" if died else f"was ended by {type(error).__name__}" if error else "never began",
            self.size(),
            error=error,
        )

    def _wind_down(self) -> None:
        """Begin to stop, for `exit_timeout` seconds at most, whether or not anybody waits."""
        if self._state != "running":
            return
        if (begun := self._begin_stop()) is not None:
            ending, self._winding = begun
            ending.close()
        timeout, workers = self._settings.exit_timeout, self._workers

        def let_go() -> None:
            if self._workers is workers:  # or the buffer has been entered again
                self._let_go()

        if timeout is not None:
            self._loop.later(timeout, let_go)

    def _ended(self) -> None:
        """Be stopped, if that was begun by a worker, and this was the last."""
        if self._winding is not None and all(worker.ended for worker in self._workers):
            before, self._winding = self._winding, None
            self._let_go()
            self._report(before)

    async def stop(self, timeout: float | None = None) -> StopReport:
        """
        Refuse new writes, deliver what is held, end the workers, and report.

        As a Queue's `stop`. When the time is over, a coroutine processor is cancelled; a call of
        a plain one, which cannot be, is left behind. What they were given is reported as left.
        A `stop()` that is cancelled ends as if its time were over.

        *timeout*: seconds to wait at most. None: as long as something is delivered (or
        dead-lettered) every `processing_timeout` seconds.

        Raises `WrongThread` in a processor of this buffer, which would wait for itself, and on
        another event loop than the buffer's.
        """
        self._forbid_elsewhere("stop")
        return await drive(self._stop(timeout))

    async def flush(self, timeout: float | None = None) -> None:
        """
        Process what is held now; return when it is settled: delivered, or given up.

        A batch that waits for its next attempt is tried at once.

        *timeout*: seconds to wait at most; None waits for as long as it takes.

        Raises `TimeoutError` when the time is over: nothing is lost, and processing goes on.
        Raises `BufferNotRunning`, also when the buffer is stopped meanwhile with something
        left, and `WrongThread` in a processor of this buffer, and on another event loop.
        """
        self._forbid_elsewhere("flush")
        await drive(self._flush(timeout))

    @property
    def _blocking(self) -> Blocking:
        """For a thread that wants to wait: a replay of dead letters."""
        return Blocking(self, self._loop)

    def _signal(self) -> AsyncSignal:
        clock: Any = self._settings.clock  # checked when the buffer was made
        signal: AsyncSignal = clock.async_signal(self._loop)
        return signal

    def _patience(self) -> None:
        return None

    def _let_go(self) -> None:
        if self._watchdog:
            self._watchdog.end()
        for worker in self._workers:
            worker.abandon()
            if worker.driver.called_at is not None:
                worker.cancel()

    def _join(self, grace: float) -> Steps[None]:
        ending = [worker for worker in self._workers if not worker.is_in_thread]
        clock = SystemClock()
        gone = Countdown(clock, self._loop.signal(), len(ending))
        for worker in ending:
            worker.stop(gone)
        until = clock.monotonic() + grace
        while not gone.done and (yield from gone.wait(until)):
            pass
        gone.close()

    def _is_own_worker(self) -> bool:
        return any(worker.is_current() for worker in self._workers)

    def _forbid_elsewhere(self, method: str) -> None:
        """Raise unless the buffer's loop runs in this thread."""
        if self._state in ("running", "stopping") and not self._loop.here():
            nowait = "" if method in ("flush", "stop") else f"{method}_nowait() works anywhere; "
            raise WrongThread(
                f"buffer {self.name!r} lives on another event loop: {nowait}{method}() has to be "
                f"awaited there, by {self._loop.way_in.format(method)}"
            )

    def _begin_exit(self) -> None:
        if held := self.size():
            report(
                "buffer %r was never left: the process ends with %d undelivered", self.name, held
            )

    def _forked(self) -> None:
        super()._forked()
        if self._state == "forked":
            self._state = "stopped"
            self._release_name()
