"""
What a worker does in one processing cycle: all that `policy` decides.

    swap ─► deliver() ─► Process: call the processor ─┐
                │   ◄──  Wait: rest                   ├─► outcome
                └──────  DeadLetter: hand over       ─┘

A thread's driver calls the processor and the dead letter handler in place; a task's has
them called (see `waiting.steps`).
"""

import inspect
from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

from ...errors import BufferNotRunning
from ...events import (
    BatchDeadLettered,
    BatchRetried,
    ItemsDropped,
    ProcessingException,
    ProcessingFailed,
    ProcessingStarted,
    ProcessingStopped,
)
from ..waiting.steps import Call, CallingSteps, Steps
from .handover import Surrender
from .partition import Partition
from .policy import CutShort, DeadLetter, Effects, Process, Wait, deliver

B = TypeVar("B")


class Driver(Generic[B]):
    """Runs the cycles of one partition."""

    def __init__(
        self, partition: Partition[B], rest: Callable[[float], Steps[bool]], *, in_place: bool
    ) -> None:
        self.partition = partition
        self._table = partition.table
        self._clock, processor = partition.settings.clock, partition.settings.processor
        self.emit = partition.emit
        self._processor: Callable[[B], object] = self._first if in_place else processor
        self.in_place = in_place
        self._rest = rest  # waits so many seconds; returns whether it did, in full
        self._buried = 0
        self.abandoned = self.forked = False
        self.lost = False  # the table is another's now
        self.surrender: Surrender | None = None  # on which terms to hand over what is left
        self.hands_over = False
        self.trouble: Wait | None = None  # what this cycle waited for last
        self.tried = 0  # how often what is in hand was, when it was given up
        # When the call of the processor, or the dead letter handler, began that is going on.
        self.called_at: float | None = None
        self.settled_at = self._clock.monotonic()  # when something was settled last

    def _first(self, batch: B) -> None:
        """Call the processor for the first time: see that it does not want to be awaited."""
        processor = self.partition.settings.processor
        made = processor(batch)
        if inspect.iscoroutine(made):  # a lambda around a coroutine function, say
            made.close()
            raise TypeError(
                f"{processor!r} returned a coroutine, which a thread cannot await: nothing was "
                "delivered; see AsyncQueue and AsyncMap"
            )
        self._processor = processor

    def cycle(self, *, last: bool) -> CallingSteps[bool]:
        """Take what waits, and settle it; return whether all of it is."""
        size = self._table.swap(self._clock.monotonic(), seal=last)
        self._announce_drops()
        settled = not size or (yield from self._process())
        self._announce_drops()  # a retry that merges may have dropped something
        return settled

    def _process(self) -> CallingSteps[bool]:
        settings, began = self.partition.settings, self._clock.monotonic()
        self.settled_at, self._buried = began, 0
        delivered = self._table.delivered
        self.emit(ProcessingStarted, time=self._clock.time())
        steps = deliver(self._table, settings.batch_size, settings.retry, self._clock.monotonic)
        try:
            settled = yield from self._drive(steps, began)
        finally:
            self.called_at = None
        if settled:
            self.trouble = None
            self.settled_at = ended = self._clock.monotonic()
            size = self._table.delivered - delivered
            self.emit(ProcessingStopped, duration=ended - began, size=size)
        return settled

    def _drive(self, effects: Effects[B], began: float) -> CallingSteps[bool]:
        """Do what the generator says; return False when nobody waits for it any more."""
        send, monotonic, processor = effects.send, self._clock.monotonic, self._processor
        call, outcome = Call(processor, ()), cast("Any", None)
        try:
            while True:
                if self.lost:  # by a fork in the processor, or because that took too long
                    return False
                effect: Any = send(outcome)
                now = monotonic()
                if outcome is None:
                    self.settled_at = now
                if self.abandoned:
                    return self._give_up(effects, effect)
                if type(effect) is Process and effect.attempt == 1:
                    self.called_at = now
                    try:  # in these very lines: a generator of their own costs as much as a batch
                        outcome = None
                        if self.in_place:
                            processor(effect.batch)
                        else:
                            call.args = (effect.batch,)
                            outcome = yield call
                    except BaseException as error:  # SystemExit, too, is the processor's own affair
                        outcome = error
                else:
                    outcome = yield from self._do(effect)
                self.called_at = None  # before it is asked whether the table was lost: see `disown`
                if isinstance(outcome, BaseException) and not isinstance(outcome, CutShort):
                    self.emit(ProcessingException, duration=monotonic() - began, error=outcome)
        except StopIteration:
            return True

    def _do(self, effect: Any) -> CallingSteps[bool | BaseException | None]:
        if isinstance(effect, Wait):
            self.called_at = None
            return (yield from self._wait(effect))
        self.called_at = self._clock.monotonic()
        if isinstance(effect, DeadLetter):
            return (yield from self._dead_letter(effect))
        self.emit(BatchRetried, attempt=effect.attempt)
        return (yield from self.call(self._processor, effect.batch))

    def call(
        self, function: Callable[..., object], *args: Any
    ) -> CallingSteps[BaseException | None]:
        """Call *function*; return what it raised."""
        if not self.in_place:
            return (yield Call(function, args))
        try:
            function(*args)
        except BaseException as error:
            return error
        return None

    def _wait(self, effect: Wait) -> Steps[bool]:
        self.trouble = effect
        self._announce_failure(effect.error, effect.seconds)
        self.partition.report(
            "processing failed, attempt %d; the next is in %.3g s, and %d wait",
            effect.attempt,
            effect.seconds,
            len(self._table),
            error=effect.error,
        )
        return (yield from self._rest(effect.seconds))

    def _dead_letter(self, effect: DeadLetter) -> CallingSteps[CutShort | None]:
        """Hand over; say if that was cut short, for then nobody has it."""
        telemetry, size = self.partition.telemetry, len(effect.items)
        handler = self.partition.settings.dead_letter
        if handler is not None:
            error = yield from self.call(handler, effect.items, effect.error, effect.attempts)
            if isinstance(error, CutShort):
                return error
            if error is not None:
                telemetry.note_dead_letter_error(handler, error)
        first, self._buried = not self._buried, self._buried + size
        self.emit(BatchDeadLettered, size=size, error=effect.error, attempts=effect.attempts)
        if first:  # of this cycle: a burst is one line in the log
            self.partition.report(
                "dead-lettered %s after %d attempts; more of this cycle are only counted",
                "1 item" if size == 1 else f"{size} items",
                effect.attempts,
                error=effect.error,
            )
        return None

    def disown(self) -> bool:
        """
        Take the table from the worker, if it is in a call; it finds out when that returns.

        Each of the two first says what it does, and then looks at what the other has said.
        """
        self.lost = True
        if self.called_at is None or self.hands_over:
            self.lost = self.forked
            return False
        return True

    def _give_up(self, steps: Effects[B], effect: Any) -> bool:
        """Leave what is in flight, of which *effect* would have been next; return False."""
        steps.close()
        if self.surrender is None:
            self._table.release()
        elif self.trouble is not None and not isinstance(effect, DeadLetter):
            self.tried = effect.attempt - (not isinstance(effect, Wait))
        name = self.partition.name
        error = BufferNotRunning(f"stop() of buffer {name!r} waits no more")
        self._announce_failure(error, None)
        return False

    def _announce_failure(self, error: BaseException, retry_in: float | None) -> None:
        left, time = len(self._table), self._clock.time()
        self.emit(ProcessingFailed, time=time, error=error, left=left, retry_in=retry_in)

    def _announce_drops(self) -> None:
        for count, reason, error in self._table.drops():
            self.emit(ItemsDropped, count=count, reason=reason, error=error)
            self.partition.report("dropped %d: %s", count, reason, error=error)
