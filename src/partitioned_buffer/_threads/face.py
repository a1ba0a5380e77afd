"""
What a Queue and a Map have of a life: `start`, `stop` and `flush`, which wait in this thread.
"""

import threading
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar

from .._core.buffer.ending import of_block
from .._core.buffer.lifecycle import Lifecycle
from .._core.buffer.process_exit import exit_has_begun
from .._core.buffer.program_end import last
from .._core.buffer.run import Blocks, Run
from .._core.ledger import StopReport
from .._core.options.settings import Settings
from .._core.tables.implementation import MapTable, QueueTable
from .._core.telemetry import say
from .._core.waiting.event_loop import STALLED, running_loop
from .._core.waiting.steps import run
from .._core.writes.admission import Admission
from .supervisor import ThreadRun, ThreadSupervisor

B = TypeVar("B")


class ThreadFace(Lifecycle[B, ThreadRun]):
    """Starts, stops and flushes."""

    def __init__(
        self,
        settings: Settings,
        tables: Sequence[QueueTable] | Sequence[MapTable],
        admission: Admission,
    ) -> None:
        super().__init__(settings, tables, admission, ThreadSupervisor)
        self._blocks: Blocks[ThreadRun] = Blocks()

    def start(self) -> Self:
        """
        Start the workers and let writers in; return the buffer itself.

        A stopped buffer can be started again; it goes on with what was left. A start that is
        interrupted has started everything or nothing: `running` tells.

        Raises `BufferAlreadyRunning` when it runs, when another running buffer has its
        name, or when a call of the processor from before the last stop has not returned.
        Raises `BufferNotRunning` when no thread can be started, as at the interpreter's end.
        """
        self._begin(self._new_run())
        return self

    def _new_run(self) -> ThreadRun:
        return Run()

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
        stopped = run(self._stop(self._run, timeout))
        self._say_if_stalled()
        return stopped

    def _say_if_stalled(self) -> None:
        if running_loop() is not None and not self.running and self._size_here():
            say("buffer %r: %s", self.name, STALLED)

    def flush(self, timeout: float | None = None) -> None:
        """
        Process what is held now; return when it is settled: delivered, or given up.

        A batch that waits for its next attempt is tried at once, though by default not within a
        second of its last one.

        *timeout*: seconds to wait at most; None waits for as long as it takes.

        Raises `TimeoutError` when the time is over: nothing is lost, and processing goes on.
        Raises `BufferNotRunning`, also when the buffer is stopped meanwhile with something
        left, and `WrongThread` in a processor or hook of this buffer.

        On the thread of a running event loop, which the processor may be waiting for, None waits
        only as long as something is settled every `processing_timeout` seconds.
        """
        run(self._flush(timeout))

    def __enter__(self) -> Self:
        life = self._new_run()
        try:
            self._begin(life)
            self._blocks.enter(life, threading.get_ident())
        except BaseException as error:
            self._blocks.forget(life)
            if life.is_alive:  # nobody is going to leave the block
                self._leave(life, error)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """
        Deliver what is held, as long as something is settled every `exit_timeout` seconds; for so
        many seconds in all when the body has raised. What is left then goes to `dead_letter`.
        """
        life = self._blocks.leave(lambda _: threading.get_ident())
        self._leave(self._run if life is None or life.was_forked else life, error)

    def _leave(self, life: Run[Any], error: BaseException | None) -> None:
        self._forbid_own_workers("stop")
        if self._outlives and self._program_ends:
            last(self)
            return
        ending = of_block(self, life, error)
        try:
            run(ending.drain())
        finally:
            run(ending.finish())
            self._say_if_stalled()

    @property
    def _program_ends(self) -> bool:
        """Whether all buffers have ended that do not outlive that."""
        return exit_has_begun()

    if not TYPE_CHECKING:  # checkers know what there is

        def __aenter__(self) -> NoReturn:
            raise TypeError(
                f"{type(self).__name__} is for threads: use it in a `with` block, or an "
                f"Async{type(self).__name__} in an `async with` block"
            )

        def __aexit__(self, *_raised: object) -> NoReturn:
            raise TypeError
