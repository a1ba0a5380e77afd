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
from functools import partial
from typing import Any, Generic, TypeVar, cast

from ...errors import BufferNotRunning
from ...events import (
    BatchDeadLettered,
    BatchRetried,
    ProcessingException,
    ProcessingFailed,
    ProcessingStarted,
    ProcessingStopped,
)
from ..waiting.steps import Call, CallingSteps, Steps
from .effects import CutShort, DeadLetter, Effects, End, Find, Process, Wait
from .in_one import InOne
from .partition import Partition
from .policy import deliver
from .trial import Trial

B = TypeVar("B")


class Driver(Generic[B]):
    """Runs the cycles of one partition."""

    def __init__(
        self,
        partition: Partition[B],
        rest: Callable[[float, float, int | None], Steps[End]],
        *,
        in_place: bool,
    ) -> None:
        self._partition = partition
        self._table = partition.table
        self._clock, processor = partition.settings.clock, partition.settings.processor
        self.emit = partition.emit
        self._processor: Callable[[B], object] = self._first if in_place else processor
        self._in_place = in_place
        self._rest = rest  # waits so many seconds, or less; see `effects.Wait`
        self._buried = 0
        self._refused = 0  # how many the dead letter handler did not take, and still has to
        self._in_one = False  # whether the processor takes whole tables as dicts
        self.abandoned = self.forked = False
        # When the call of the processor, or the dead letter handler, began that is going on.
        self.called_at: float | None = None
        self.settled_at = self._clock.monotonic()  # when something was settled last

    def _first(self, batch: B) -> None:
        """Call the processor for the first time: see that it does not want to be awaited."""
        processor = self._partition.settings.processor
        made = processor(batch)
        if inspect.iscoroutine(made):  # a lambda around a coroutine function, say
            made.close()
            raise TypeError(
                f"{processor!r} returned a coroutine, which a thread cannot await: nothing was "
                "delivered; see AsyncQueue and AsyncMap"
            )
        self._processor = processor

    def cycle(self) -> CallingSteps[bool]:
        """Take what waits, and settle it; return whether all of it is."""
        settled = left_over = True
        while settled and left_over:  # what was left over goes first, and alone
            size, left_over = self._partition.swap()
            self._partition.announce()
            settled = not size or (yield from self._process())
        self._partition.announce()
        return settled

    def _process(self) -> CallingSteps[bool]:
        settings, began = self._partition.settings, self._clock.monotonic()
        self.settled_at, self._buried = began, 0
        delivered = self._table.delivered
        self.emit(ProcessingStarted, time=self._clock.time())
        trial = Trial(self._table, settings.retry, self._partition.front, self._clock.monotonic)
        steps = deliver(trial, self._taker(), settings.batch_size)
        try:
            settled = yield from self._drive(steps, began)
        finally:
            self.called_at = None
        if settled:
            self.settled_at = ended = self._clock.monotonic()
            size = self._table.delivered - delivered
            self.emit(ProcessingStopped, duration=ended - began, size=size)
        return settled

    def _taker(self) -> Callable[[], B | None]:
        """Return what takes the next batch."""
        size = self._partition.settings.batch_size
        self._in_one = size is None and hasattr(self._table, "take_table")
        take: Callable[[], B | None] = (
            self._table.take_table if self._in_one else partial(self._table.take, size)
        )
        return take

    def _drive(self, effects: Effects, began: float) -> CallingSteps[bool]:
        """Do what the generator says; return False when nobody waits for it any more."""
        send, monotonic, processor = effects.send, self._clock.monotonic, self._processor
        call, outcome = Call(processor, ()), cast("Any", None)
        try:
            while True:
                if self.forked:  # by the processor: the table is another worker's now
                    return False
                effect: Any = send(outcome)
                now = monotonic()
                if outcome is None:
                    self.settled_at = now
                if self.abandoned and type(effect) is not Find:  # which is part of a call
                    self._give_up(effects)
                    return False
                if type(effect) is Process and effect.attempt == 1 and not self._in_one:
                    self.called_at = now
                    try:  # in these very lines: a generator of their own costs as much as a batch
                        outcome = None
                        if self._in_place:
                            processor(effect.batch)
                        else:
                            call.args = (effect.batch,)
                            outcome = yield call
                    except BaseException as error:  # SystemExit, too, is the processor's own affair
                        outcome = error
                else:
                    outcome = yield from self._do(effect)
                if outcome is not None and type(effect) is Process:
                    self._announce_exception(outcome, began)
        except StopIteration:
            return True

    def _announce_exception(self, error: BaseException, began: float) -> None:
        if not isinstance(error, CutShort):
            duration = self._clock.monotonic() - began
            self.emit(ProcessingException, duration=duration, error=error)

    def _do(self, effect: Any) -> CallingSteps[Any]:
        if isinstance(effect, Wait):
            self.called_at = None
            return (yield from self._wait(effect))
        self.called_at = self._clock.monotonic()
        if isinstance(effect, DeadLetter):
            return (yield from self._dead_letter(effect))
        if isinstance(effect, Find):
            effect.names.part_of = self._processor
            return (yield from self._call(effect.names))
        if effect.attempt > 1:
            self.emit(BatchRetried, attempt=effect.attempt)
        processor: Callable[..., object] = self._processor
        if type(effect.batch) is list and self._in_one:
            processor = InOne(processor)
        return (yield from self._call(processor, effect.batch))

    def _call(
        self, function: Callable[..., object], *args: Any
    ) -> CallingSteps[BaseException | None]:
        """Call *function*; return what it raised."""
        if not self._in_place:
            return (yield Call(function, args))
        try:
            function(*args)
        except BaseException as error:
            return error
        return None

    def _wait(self, effect: Wait) -> Steps[End]:
        if effect.by_handler:
            words = "the dead letter handler raised, %d times so far; it is called again in %.3g s"
        else:
            words = "processing failed, attempt %d; the next is in %.3g s"
            self._announce_failure(effect.error, effect.seconds)
        self._partition.report(
            f"{words}, and %d wait",
            effect.attempt,
            effect.seconds,
            len(self._table),
            error=effect.error,
        )
        self._announce_quiet()
        return (yield from self._rest(effect.seconds, effect.least, effect.news))

    def _announce_quiet(self) -> None:
        quiet = self._partition.destination.quiet_for(self._clock.monotonic())
        if quiet is not None:
            self._partition.report(
                "nothing has gone through for %.3g minutes, in the whole buffer: an outage costs "
                "nothing but room; if the items are bad, raise Reject",
                quiet / 60,
            )

    def _dead_letter(self, effect: DeadLetter) -> CallingSteps[BaseException | None]:
        """Hand over; return what came of it: nobody has it but where that is None."""
        telemetry, size = self._partition.telemetry, len(effect.items)
        handler = self._partition.settings.dead_letter
        if handler is not None:
            error = yield from self._call(handler, effect.items, effect.error, effect.attempts)
            if error is not None:
                self._refused = size
                if not isinstance(error, CutShort):
                    telemetry.note_dead_letter_error(handler, error)
                return error
        first, self._buried, self._refused = not self._buried, self._buried + size, 0
        self.emit(BatchDeadLettered, size=size, error=effect.error, attempts=effect.attempts)
        if first:  # of this cycle: a burst is one line in the log
            self._partition.report(
                "dead-lettered %s after %d attempts; more of this cycle are only counted",
                "1 item" if size == 1 else f"{size} items",
                effect.attempts,
                error=effect.error,
            )
        return None

    def _give_up(self, steps: Effects) -> None:
        steps.close()
        self._table.release()
        self._partition.front.hand = []  # it keeps its place in line
        if self._refused:
            self._partition.report(
                "%d items that were given up are left: the dead letter handler did not take them",
                self._refused,
            )
            self._refused = 0
        name = self._partition.name
        error = BufferNotRunning(f"stop() of buffer {name!r} waits no more")
        self._announce_failure(error, None)

    def _announce_failure(self, error: BaseException, retry_in: float | None) -> None:
        left, time = len(self._table), self._clock.time()
        self.emit(ProcessingFailed, time=time, error=error, left=left, retry_in=retry_in)
