"""
The life of a buffer, whoever its workers are: how it lets writers in, stops, and flushes. What
waits here are steps (see `waiting.steps`), for a thread or for a task.

A start has one instant, in `_take_over`, before which nothing has happened and after which the
buffer runs, whatever interrupts it: what is still to be done then can be done by anybody who
finds it undone. The tables are opened last, so a write that finds one closed does that.
"""

from abc import abstractmethod
from collections.abc import Callable, Generator, Iterable, Sequence
from itertools import repeat
from typing import Any, Final, Generic, TypeVar, cast

from ...abc import AsyncSignal, Signal
from ...errors import BufferAlreadyRunning, BufferNotRunning, WrongThread
from ..delivery.partition import Partition
from ..ledger import StopReport
from ..options.settings import Settings
from ..tables.implementation import MapTable, QueueTable
from ..telemetry import say
from ..waiting.countdown import Countdown
from ..waiting.event_loop import STALLED
from ..waiting.locks import is_mine
from ..waiting.steps import Steps
from ..writes.admission import Admission
from . import registry
from .base import Buffer, Settled
from .process_exit import at_exit, forbid_late_start
from .program_end import early, late
from .run import Run, State, flush, settle
from .supervisor import GRACE, LATE_GRACE, Supervisor

B = TypeVar("B")
L = TypeVar("L", bound=Run[Any])
R = TypeVar("R")

NOTHING: Final = StopReport(0, 0, ())


class Lifecycle(Buffer[B], Generic[B, L]):
    """Starts, stops and flushes, with the help of a supervisor."""

    _run: L | Run[Any]

    def __init__(
        self,
        settings: Settings,
        tables: Sequence[QueueTable] | Sequence[MapTable],
        admission: Admission,
        supervisor: Callable[[Sequence[Partition[B]]], Supervisor[L]],
    ) -> None:
        super().__init__(settings, tables, admission)
        self._supervisor = supervisor(self._partitions)
        registry.enrol(self)

    # --- what writers ask, who may have to wait ---------------------------------

    def _signal(self) -> Signal | AsyncSignal:
        return self._supervisor.signal()

    def _go(self, steps: Generator[Any, None, R]) -> R:
        return self._supervisor.go(steps)

    def _patience(self) -> float | None:
        return self._supervisor.patience()

    def _is_own_worker(self) -> bool:
        return self._run.is_here

    @property
    def _revives(self) -> bool:
        return self._supervisor.survives_fork and not self._settings.keeps

    def _wake_workers(self) -> None:
        self._run.wake()

    # --- start -------------------------------------------------------------------

    def _begin(self, run: L) -> None:
        """Start *run*, and let writers in; raise, and have done nothing, if that cannot be."""
        with self._lock:
            self._forbid_restart()
            self._launch(run)

    def _forbid_restart(self) -> None:
        """Raise unless the buffer can be started now."""
        state, has_ended = self._state, self._run.has_ended
        # A stop that was interrupted, and whose workers went on to their end, has stopped.
        if state == "running" or (state == "stopping" and not has_ended):
            raise BufferAlreadyRunning(
                f"buffer {self.name!r} is {state} already: only a new or a stopped one can "
                "be started"
            )
        if not has_ended:
            raise BufferAlreadyRunning(
                f"a call of buffer {self.name!r}'s processor from before the last stop() has "
                "not returned: starting now could reorder its batches"
            )

    def _launch(self, run: L) -> None:
        before = self._run
        try:
            registry.claim(self)
            forbid_late_start()
            self._open_store()
            run.attendants = self._attendants(run)
            self._supervisor.launch(run)
            at_exit(early, late)
            self._take_over(run, before)
        except BaseException as error:
            if run.state == "starting":
                self._undo(run)
                if isinstance(error, RuntimeError) and not isinstance(error, BufferAlreadyRunning):
                    raise BufferNotRunning(
                        f"buffer {self.name!r} could not be started: {error}"
                    ) from error
            raise
        finally:
            if run is self._run:
                self._let_in(run)

    def _take_over(self, run: L, before: Run[Any]) -> None:
        """Let *run* be what goes on from here."""
        with registry.names():
            forbid_late_start()  # asked with the names in hand: if not, the drain will find it
            if self._run is not before:  # a finalizer's or a signal handler's start, or a fork
                raise BufferAlreadyRunning(f"buffer {self.name!r} has been started meanwhile")
            registry.claim(self)
            # No call between these lines, so that no signal handler can part them.
            self._run = run
            run.state = "running"

    def _undo(self, run: L) -> None:
        run.void()
        if not self._run.is_alive:
            registry.release(self)
            self._close_store()

    def _let_in(self, run: Run[Any]) -> None:
        """Let the workers begin, and writers in; once more does no harm."""
        run.begin()
        self._open([worker.wake for worker in run.workers])

    def _open(self, wakes: Iterable[Callable[[], None]]) -> None:
        for partition, wake in zip(self._partitions, wakes, strict=False):
            partition.open(wake)

    def _resume(self) -> None:
        with self._lock:
            run = self._run
            if run.state == "forked":
                self._revive()
            elif run.state == "running" and any(p.table.closed for p in self._partitions):
                self._let_in(run)

    def _revive(self) -> None:
        """Start workers in a forked child."""
        # Writers first: one that comes in the middle of this, on this very thread (a finalizer, a
        # signal handler), must not begin it again.
        self._open(repeat(lambda: None))
        try:
            self._launch(self._new_run())
        except BaseException:
            if self._state == "forked":
                self._shut_out()
            raise

    @abstractmethod
    def _new_run(self) -> L:
        """Return a life for a forked child."""

    # --- stop --------------------------------------------------------------------

    def _stop(self, run: Run[Any], timeout: float | None) -> Steps[StopReport]:
        self._forbid_own_workers("stop")
        deadline = self._deadline(timeout)
        ending = self._begin_stop(run)
        return NOTHING if ending is None else (yield from self._end_stop(run, *ending, deadline))

    def _begin_stop(self, run: Run[Any]) -> tuple[Countdown, Settled] | None:
        """Refuse new writes, and tell the workers; return None if there is nothing to stop."""
        before = self._settled()
        ending = self._tell_to_stop(run, self._countdown)
        return None if ending is None else (ending, before)

    def _tell_to_stop(
        self, run: Run[Any], countdown: Callable[[int], Countdown]
    ) -> Countdown | None:
        with self._lock, run.lock:
            if run.state == "forked":
                run.state = "stopped"
                registry.release(self)
            if run.state not in ("running", "stopping"):
                return None
            run.state = "stopping"
            ending_ones = (*run.workers, *run.attendants)
            self._shut_out()
        ending = countdown(len(ending_ones))
        for each in ending_ones:
            each.stop(ending)
        return ending

    def _shut_out(self) -> None:
        """Refuse writes, also those that wait for room."""
        for partition in self._partitions:
            partition.table.close()
        self._admission.line.alarm()

    def _end_stop(
        self, run: Run[Any], ending: Countdown, before: Settled, deadline: float | None
    ) -> Steps[StopReport]:
        began = self._settings.clock.monotonic()
        try:
            yield from settle(
                run, ending, deadline, began, lambda: self._settings.processing_timeout
            )
        except BaseException:  # interrupted, or cancelled: as if its time were over
            run.let_go()
            self._report(run, before)
            raise
        finally:
            ending.close()
        run.let_go()
        yield from self._supervisor.join(cast("L", run), self._grace(ending.done, deadline))
        return self._report(run, before)

    def _grace(self, done: bool, deadline: float | None) -> float:
        """Return how many seconds the workers have to end: a slow hook of theirs may not."""
        left = GRACE if deadline is None else deadline - self._settings.clock.monotonic()
        return min(GRACE, max(LATE_GRACE, left)) if done else LATE_GRACE

    def _report(self, run: Run[Any], before: Settled) -> StopReport:
        if run.was_forked:  # in the middle of this: it is the parent's
            return NOTHING
        first, is_last, after = self._be_stopped(run), run is self._run, self._settled()
        left = self._left() if is_last else ()  # what another run goes on with is not left
        if left and first:
            where = f", which stay in {self._settings.kept_in}" if self._settings.keeps else ""
            say("buffer %r was stopped with %d undelivered%s", self.name, len(left), where)
        return StopReport(after[0] - before[0], after[1] - before[1], left)

    def _be_stopped(self, run: Run[Any]) -> bool:
        """Have *run* ended; return whether it had not been."""
        with self._lock:
            first, run.state = run.state != "stopped", "stopped"
            if run is self._run:
                registry.release(self)
                self._retire_store(run)
        return first

    # --- flush, and what both wait with -------------------------------------------

    def _flush(self, timeout: float | None, *, beyond: bool = True) -> Steps[None]:
        self._forbid_own_workers("flush")
        deadline = self._deadline(timeout)
        if self._state != "running" and (error := self._refused()) is not None:
            raise error
        began, patience = self._settings.clock.monotonic(), self._patience
        became = yield from flush(self._run, self._countdown, deadline, began, patience, beyond)
        if became == "late":
            raise self._not_flushed(timeout)
        if became == "failed":
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

    def _forbid_own_workers(self, method: str) -> None:
        if self._is_own_worker():
            raise WrongThread(
                f"{method}() was called by a worker of buffer {self.name!r} (in its processor or "
                "a hook), which would wait for itself: call it from elsewhere"
            )
        tables = (p.table._lock for p in self._partitions if hasattr(p.table, "_lock"))  # not in C
        if any(map(is_mine, (self._lock, self._run.lock, registry.names(), *tables))):
            raise WrongThread(
                f"{method}() of buffer {self.name!r} was called in the middle of another call that "
                "its workers wait for, by a signal handler, say: have it raise, or set a flag"
            )

    # --- fork -------------------------------------------------------------------

    def _forked(self) -> None:
        run, revived = self._run, "forked" if self._revives else "stopped"
        becomes: dict[State, Any] = {"running": revived, "stopping": "stopped"}
        self._run = Run(becomes.get(run.state, run.state), was_parents=run.is_alive)
        run.forked()
        super()._forked()
