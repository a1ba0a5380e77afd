"""
What an AsyncQueue and an AsyncMap have of a life, from `async with` to its end: what waits is
awaited. Their tasks never outlive it.
"""

import threading
from collections.abc import Sequence
from contextlib import nullcontext
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar, cast

from .._core.buffer import registry
from .._core.buffer.absent import Absent
from .._core.buffer.ending import SHARE, of_block, say_what_is_left
from .._core.buffer.lifecycle import Lifecycle
from .._core.buffer.run import Blocks
from .._core.delivery.partition import Partition
from .._core.ledger import StopReport
from .._core.options.settings import Settings
from .._core.tables.implementation import MapTable, QueueTable
from .._core.telemetry import report, say
from .._core.waiting.clock import SystemClock
from .._core.waiting.countdown import Countdown
from .._core.waiting.locks import start
from .._core.waiting.steps import drive
from .._core.writes.admission import Admission
from ..errors import WrongThread
from .from_thread import Blocking
from .loops.current import current_loop, whereabouts
from .supervisor import TaskRun, TaskSupervisor
from .to_thread import in_thread

B = TypeVar("B")


class TaskFace(Lifecycle[B, TaskRun]):
    """Enters, stops and flushes."""

    _whereabouts: object = None
    _closing: threading.Thread | None = None
    _drains_at_exit = False  # its loop is gone by then, and its tasks with it
    _how_to_start = "use it in an `async with` block"
    _how_to_go_on = "write before stop(), or use it in an `async with` block again"
    _how_to_stop = "await partitioned_buffer.get({!r}).stop()"

    def __init__(
        self,
        settings: Settings,
        tables: Sequence[QueueTable] | Sequence[MapTable],
        admission: Admission,
    ) -> None:
        super().__init__(settings, tables, admission, TaskSupervisor)
        self._blocks: Blocks[TaskRun] = Blocks()

    async def __aenter__(self) -> Self:
        """
        Start a task for each partition, and let writers in.

        Raises `BufferAlreadyRunning` when it runs, when another running buffer has its name, or
        when a call of the processor from before the last stop has not returned.
        """
        self._look_whether_dead()
        with self._lock:
            self._forbid_restart()
        life = self._new_run()
        await self._open_off_loop(life)
        await life.group.__aenter__()
        try:
            self._begin(life)
            await life.all_begun()
            self._blocks.enter(life, life.loop.task())
        except BaseException as error:
            self._blocks.forget(life)
            if life.is_alive:
                await self._end(life, error)
            await self._leave(life, type(error), error, error.__traceback__)
            raise
        return self

    async def _open_off_loop(self, life: TaskRun) -> None:
        if self._admission.stores:
            await self._store_closed(life)
            await in_thread(super()._open_store, super()._close_store, life.loop.signal())

    async def _store_closed(self, life: TaskRun) -> None:
        """Return when the store is closed, which a thread sees to, if it is to be."""
        if (closing := self._closing) is not None and closing.is_alive():
            await in_thread(closing.join, lambda: None, life.loop.signal())

    def _close_store(self) -> None:
        if any(store.store is not None for store in self._admission.stores):
            close = super()._close_store
            self._closing = threading.Thread(target=close, name=f"{self.name}-closing")
            start(self._closing)

    def _new_run(self) -> TaskRun:
        return TaskRun(self, current_loop(), whereabouts() or object())

    def _take_over(self, run: TaskRun, before: Any) -> None:
        super()._take_over(run, before)
        self._whereabouts = run.here

    if not TYPE_CHECKING:  # checkers know what there is
        start = Absent("use it in an `async with` block")

        def __enter__(self) -> NoReturn:
            raise TypeError(f"{type(self).__name__} is for tasks: use it in an `async with` block")

        def __exit__(self, *_raised: object) -> NoReturn:
            raise TypeError

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        """
        Stop, and wait for the tasks.

        What is held is delivered, as long as something is settled every `exit_timeout` seconds; for
        so many seconds in all when the body has raised or was cancelled. Being cancelled in the
        middle of that ends it at once. What is left then goes to `dead_letter`.

        Raises what a worker died of.
        """
        life = self._blocks.leave(lambda life: life.loop.task()) or self._task_run
        try:
            await self._end(life, error)
        except BaseException as interrupt:
            if life.is_alive and life.loop.here():  # where it began: tasks would go on for ever
                await self._end(life, interrupt)
            raise
        finally:
            await self._leave(life, kind, error, traceback)
        return None

    async def _end(self, life: TaskRun, error: BaseException | None) -> None:
        """Stop at the end of a block, which *error* may have ended."""
        if life is self._run:
            self._forbid_elsewhere("stop")
        if not life.is_alive:
            return
        loop, ending = life.loop, of_block(self, life, error)
        cut = error is not None and loop.ends(error)
        try:
            with loop.shield() if cut else nullcontext():
                await drive(ending.drain())
        finally:
            with loop.shield():
                await drive(ending.finish())

    async def _leave(self, life: TaskRun, *raised: Any) -> None:
        """Wait for the tasks. Only if one has died does what was *raised* come from their group."""
        with life.loop.shield():
            await self._store_closed(life)
        try:
            await life.group.__aexit__(*(raised if life.has_died else (None, None, None)))
        except BaseExceptionGroup as group:
            one, *others = group.exceptions
            if others:
                raise
            raise one from None

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
        life = self._run
        report = await drive(self._stop(life, timeout))
        if isinstance(life, TaskRun):
            await self._store_closed(life)
        return report

    async def flush(self, timeout: float | None = None) -> None:
        """
        Process what is held now; return when it is settled: delivered, or given up.

        A batch that waits for its next attempt is tried at once, though by default not within a
        second of its last one.

        *timeout*: seconds to wait at most; None waits for as long as it takes.

        Raises `TimeoutError` when the time is over: nothing is lost, and processing goes on.
        Raises `BufferNotRunning`, also when the buffer is stopped meanwhile with something
        left, and `WrongThread` in a processor of this buffer, and on another event loop.
        """
        self._forbid_elsewhere("flush")
        await drive(self._flush(timeout))

    # --- what the tasks say --------------------------------------------------------

    def _cut_off(
        self, life: TaskRun, partition: Partition[Any], error: BaseException | None
    ) -> None:
        """Stop at once: a worker was cancelled, or died."""
        with self._lock, life.lock:
            if life.state != "running":
                return
            life.state = "stopped"
            self._shut_out()
            registry.release(self)
        life.let_go()
        why = "never began"
        if error is not None:
            died = life.died_of(error)
            why = "died" if died else f"was ended by {type(error).__name__}"
        message = "the worker %s; the buffer is stopped, with %d undelivered"
        partition.report(message, why, self._size_here(), error=error)

    def _wind_down(self, life: TaskRun) -> None:
        """Begin to stop, for `exit_timeout` seconds at most, whether or not anybody waits."""
        if life.state != "running":
            return
        if self._tell_to_stop(life, lambda n: Countdown(SystemClock(), life.loop.signal(), n)):
            life.is_winding = True
        if (timeout := self._settings.exit_timeout) is not None:
            share = SHARE * timeout
            life.loop.later(timeout - share, lambda: self._hand_over(life, share))

    def _hand_over(self, life: TaskRun, share: float) -> None:
        """Have what is left handed over, in so many seconds."""
        if life.has_ended or self._settings.last_resort is None:
            life.let_go()
            return
        life.hand_over(life.surrender)
        life.loop.later(share / 2, life.cut_short)
        life.loop.later(share, life.let_go)

    def _wound_down(self, life: TaskRun) -> None:
        """Be stopped, which a worker began, now that all have ended."""
        life.let_go()
        if self._be_stopped(life):
            say_what_is_left(self, life, life.surrender)

    @property
    def _blocking(self) -> Blocking:
        """For a thread that wants to wait: a replay of dead letters."""
        return Blocking(self, self._task_run.loop)

    @property
    def _task_run(self) -> TaskRun:
        return cast("TaskRun", self._run)

    def _forbid_elsewhere(self, method: str) -> None:
        """Raise unless the buffer's loop runs in this thread."""
        self._look_whether_dead()
        if self._state in ("running", "stopping") and not (loop := self._task_run.loop).here():
            nowait = "" if method in ("flush", "stop") else f"{method}_nowait() works anywhere; "
            raise WrongThread(
                f"buffer {self.name!r} lives on another event loop: {nowait}{method}() has to be "
                f"awaited there, by {loop.way_in.format(method)}"
            )

    def _look_whether_dead(self) -> None:
        """Be stopped if the loop was closed without leaving the block: no task can say so."""
        life = self._run
        if not isinstance(life, TaskRun) or not life.is_alive or not life.loop.is_over():
            return
        with self._lock, life.lock:
            first, life.state = life.is_alive, "stopped"
            self._shut_out()
            registry.release(self)
            self._close_store()
        life.bury()
        if first:
            say(
                "buffer %r: its event loop was closed before its `async with` block was left; it "
                "is stopped, with %d undelivered, which stay held: use it in such a block again",
                self.name,
                self._size_here(),
            )

    def _say_never_left(self) -> None:
        if held := self._size_here():
            report(
                "buffer %r was never left: the process ends with %d undelivered", self.name, held
            )
