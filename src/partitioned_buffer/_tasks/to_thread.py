"""
Calls of plain functions for a task, in a thread of the worker's own.

Not in the loop's pool: its threads are few, and shared with the whole program, which at its end
waits for them, hung or not. And the call of a task that was cancelled goes on: what came of it
still has to be noted, by the thread itself then.
"""

import contextvars
import inspect
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from .._core.delivery.returned import refuse_undone
from .._core.waiting.locks import start
from .._core.waiting.steps import Call
from ..abc import AsyncSignal


class Job:
    """One call, from when it is asked for until somebody knows what came of it."""

    def __init__(self, call: Call, returned: Callable[[], None]) -> None:
        self._call = call
        self._returned = returned
        self._lock = threading.Lock()
        self.done = False
        self.result: Any = None
        self.error: BaseException | None = None

    def run(self, context: contextvars.Context) -> None:
        """Make the call."""
        function = self._call.function
        try:
            result = context.run(function, *self._call.args)
            if result is not None and not inspect.isawaitable(result):
                refuse_undone(function, result, in_thread=False)
            self.result = result
        except BaseException as error:
            self.error = error
        del self._call  # an error that somebody keeps has this frame, and with it the job
        with self._lock:
            self.done = True
            returned = self._returned
        returned()

    def leave(self, go_on: Callable[[], None]) -> bool:
        """Have its thread *go_on* when it returns; return False if it has returned already."""
        with self._lock:
            if not self.done:
                self._returned = go_on
            return not self.done


async def in_thread(
    function: Callable[[], object], undo: Callable[[], object], signal: AsyncSignal
) -> None:
    """
    Call *function* in a thread; raise what it raises.

    If this task is cancelled meanwhile, its thread goes on to *undo* what it has done.
    """
    helper = Helper("partitioned-buffer", signal)
    job = helper.begin(Call(function, ()))
    try:
        while not job.done:
            await helper.wait()
    except BaseException:
        if not job.leave(lambda: _undone(undo)):
            undo()
        raise
    finally:
        helper.end()
        signal.close()
    if job.error is not None:
        raise job.error


def _undone(undo: Callable[[], object]) -> None:
    undo()


class Helper:
    """The thread, started when it is needed first."""

    def __init__(self, name: str, signal: AsyncSignal) -> None:
        self._signal = signal
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._name = name

    def begin(self, call: Call) -> Job:
        """Begin *call*, seeing the context variables that the worker sees."""
        if self._thread is None:
            context = contextvars.copy_context()
            thread = threading.Thread(
                target=self._run, args=(context,), name=self._name, daemon=True
            )
            start(thread)
            self._thread = thread
        job = Job(call, self._signal.set)
        self._jobs.put(job)
        return job

    async def wait(self) -> None:
        """Wait until a job may be done."""
        await self._signal.wait(None)

    def is_current(self) -> bool:
        """Return whether this is the thread."""
        return threading.current_thread() is self._thread

    def end(self) -> None:
        """End the thread, when its call has returned."""
        self._jobs.put(None)

    def _run(self, context: contextvars.Context) -> None:
        while (job := self._jobs.get()) is not None:
            job.run(context)
            del job  # which an idle thread would keep
