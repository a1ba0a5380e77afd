"""
A worker that is a task. It lives and dies with the `async with` of its buffer.

Coroutine functions are awaited in the task itself, plain ones called in a thread. A task that is
cancelled notes what came of the call it was in, as far as that is known, and leaves everything
else held.
"""

import inspect
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from .._core.delivery.partition import Partition
from .._core.delivery.returned import refuse_undone
from .._core.delivery.worker import B, Worker
from .._core.options.checks import is_coroutine_function
from .._core.policy.effects import CutShort
from .._core.policy.names import Names
from .._core.waiting.countdown import Countdown
from .._core.waiting.steps import Call, CallingSteps
from ..abc import AsyncSignal
from ..abc.batches import asked
from .loops.base import RunningLoop
from .to_thread import Helper, Job


class Overseer(Protocol):
    """What the workers of one life tell."""

    def worker_begun(self) -> None:
        """One has begun, or is not going to."""

    def worker_cut_off(self, partition: Partition[Any], error: BaseException | None) -> None:
        """One ends at once, and may leave something; *error* ended it, if it began."""

    def stop_asked(self) -> None:
        """One was cancelled, and takes it for a request to stop."""

    def worker_ended(self) -> None:
        """One has ended."""


FAIRNESS = 0.005
"""Seconds after which a worker lets other tasks run, should its processor never wait."""


class TaskWorker(Worker[B]):
    """A partition's task."""

    cancel: Callable[[], object]

    def __init__(
        self,
        overseer: Overseer,
        partition: Partition[B],
        loop: RunningLoop,
        signal: AsyncSignal,
    ) -> None:
        super().__init__(partition, signal, in_place=False)
        self._loop = loop
        self._overseer = overseer
        self._has_begun = self._was_asked = False
        self._task: object = None
        self._helper = Helper(f"{partition.name}-{partition.index}", loop.signal())
        self._shared_at = 0.0
        self._job: Job | None = None  # the thread's call that is waited for
        self._handed_over = False
        self._successor: Countdown | None = None
        self._shield: Any = None  # of its last words
        made = partition.settings
        self._coroutine_functions = {
            id(function)
            for function in (made.processor, made.dead_letter)
            if is_coroutine_function(function)
        }

    def is_current(self) -> bool:
        """Return whether it is this worker that runs now, in its task or in its thread."""
        if self._helper.is_current():
            return True
        return self._task is not None and self._loop.task() is self._task

    def abandon(self) -> None:
        super().abandon()
        if self.driver.called_at is not None or self._successor is not None:
            self.cancel()
        if self._shield is not None:  # trio's: what is cancelled for good it keeps out, twice, too
            self._shield.cancel()

    @property
    def is_in_thread(self) -> bool:
        """Whether it waits for a call of a plain function, which cannot be cancelled."""
        return self._job is not None

    async def main(self) -> None:
        """Be the task."""
        self._task = self._loop.task()
        asked.set(self.driver)
        self._begin()
        try:
            await self._go(self.work())
        except BaseException as error:
            if self._successor is None:
                self._overseer.worker_cut_off(self.partition, error)
                raise
            self._loop.forgive(error)
        finally:
            try:
                if self._successor is not None:
                    await self._succeed(self._successor)
            finally:
                if not self._handed_over:
                    self.end()

    def take_over(self, countdown: Countdown) -> None:
        """Be cut off from the call that it is in; hand over what is left instead, and report."""
        self._successor = countdown
        self.cancel()

    async def _succeed(self, countdown: Countdown) -> None:
        """Hand over, in this very task, but not in the thread that may be in a call."""
        busy, name = self._helper, f"{self.partition.name}-{self.partition.index}"
        self._helper = Helper(name, self._loop.signal())
        try:
            with self._loop.shield() as self._shield:
                await self._go(self.last_words())
        finally:
            self._helper.end()
            self._helper = busy
            countdown.report()

    def gone(self) -> None:
        """Note that the task has ended; one that is cancelled before its first step takes none."""
        if self._begin():
            self._overseer.worker_cut_off(self.partition, None)
            self.end()

    def _begin(self) -> bool:
        """Say that the worker has begun; return whether that was still to be said."""
        first, self._has_begun = not self._has_begun, True
        if first:
            self._overseer.worker_begun()
        return first

    def end(self) -> None:
        super().end()
        self._helper.end()
        self._overseer.worker_ended()

    def _declines(self, error: BaseException) -> bool:
        """
        Take it for a request to stop, once, if others than the buffer have cancelled this task.

        Who shuts down a loop cancels all tasks, and waits for them.
        """
        if self.driver.abandoned or self._was_asked or not self._loop.forgive(error):
            return False
        self._was_asked = True
        self._overseer.stop_asked()
        return True

    async def _go(self, steps: CallingSteps[None]) -> None:
        cut: BaseException | None = None
        try:
            step = next(steps)
            while cut is None:
                failure: BaseException | None = None
                try:
                    if isinstance(step, Call):
                        failure = await self._call(step)
                    else:
                        await step.signal.wait(step.seconds)  # type: ignore[misc]
                except BaseException as error:
                    if self._declines(error):
                        continue
                    cut = error
                    super().abandon()  # after which the steps wait for nothing any more
                    if isinstance(step, Call):
                        if self._hand_over(steps):
                            break
                        failure = CutShort() if self._job is None else self._job.error
                        self._note(steps, failure)
                        break
                step = steps.send(failure)
        except StopIteration:
            pass
        if cut is not None:
            raise cut

    async def _call(self, call: Call) -> BaseException | None:
        """Make *call* and return what it raised; raise what is the end of this task."""
        self._job = None
        try:
            if time.monotonic() - self._shared_at > FAIRNESS:
                self._shared_at = time.monotonic()
                await self._loop.checkpoint()
            if id(call.function) in self._coroutine_functions:
                returned = await call.function(*call.args)  # type: ignore[misc]
            elif id(getattr(call.function, "part_of", None)) in self._coroutine_functions:
                made = call.function(*call.args)
                returned = await made if inspect.isawaitable(made) else made
            else:
                self._job = job = self._helper.begin(call)
                await self._wait(job)
                self._job = None
                if job.error is not None:
                    return job.error
                returned = await job.result if inspect.isawaitable(job.result) else job.result
            if returned is not None:
                refuse_undone(call.function, returned, in_thread=False)
        except BaseException as error:
            if not self._loop.ends(error):
                return error
            if not self._declines(error):
                raise
            return CutShort()
        return None

    async def _wait(self, job: Job) -> None:
        while not job.done:
            try:
                await self._helper.wait()
            except BaseException as error:
                if not self._declines(error):
                    raise

    def _hand_over(self, steps: CallingSteps[None]) -> bool:
        """Leave *steps* to the thread, if it is in the middle of a call; return whether it is."""
        job = self._job
        if job is not None:
            self._handed_over = job.leave(lambda: self._go_on(steps, job))
        return self._handed_over

    def _note(self, steps: CallingSteps[None], outcome: BaseException | None) -> None:
        """Note the *outcome* of a call, which may have to be asked what it meant: nothing else."""
        with suppress(StopIteration):
            step = steps.send(outcome)
            while isinstance(step, Call):
                asks = isinstance(step.function, Names)
                step = steps.send(step.make() if asks else CutShort())

    def _go_on(self, steps: CallingSteps[None], job: Job) -> None:
        """Note in the thread what came of a call that its task did not wait for."""
        error = job.error
        if inspect.iscoroutine(job.result):
            job.result.close()
            error = CutShort()
        try:
            self._note(steps, error)
        finally:
            self.end()
