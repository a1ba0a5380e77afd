"""
What a worker does in one processing cycle: all that `policy` decides.

    swap ─► deliver() ─► Process: call the processor ─┐
                │   ◄──  Wait: rest                   ├─► outcome
                └──────  DeadLetter: hand over       ─┘

A thread's driver calls the processor and the dead letter handler in place; a task's has
them called (see `waiting.steps`).
"""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, cast

from ...abc import BatchId
from ...errors import BufferNotRunning, WrongThread
from ...events import (
    BatchDeadLettered,
    BatchRetried,
    ProcessingStarted,
    ProcessingStopped,
)
from ..policy.deliver import deliver
from ..policy.effects import CutShort, DeadLetter, Effects, End, Find, Process, Wait
from ..policy.trial import Trial
from ..waiting.steps import CallingSteps, Steps
from .calls import DONE, Calls
from .handover import Surrender
from .in_one import InOne
from .losses import Losses
from .partition import Partition
from .store import send_and_note, use_store
from .telling import tell_of_failure, tell_of_wait

B = TypeVar("B")


class Driver(Calls[B]):
    """Runs the cycles of one partition."""

    def __init__(
        self,
        partition: Partition[B],
        rest: Callable[[float, float, int | None], Steps[End]],
        *,
        in_place: bool,
    ) -> None:
        super().__init__(partition, in_place=in_place)
        self._table = partition.table
        self.rest = rest  # waits so many seconds, or less; see `effects.Wait`
        self._refused = 0  # how many the dead letter handler did not take, and still has to
        self._in_one = False  # whether the processor takes whole tables as dicts
        self._is_special = False  # whether a first attempt takes more than a call
        self.losses = Losses(partition)
        self.surrender: Surrender | None = None  # on which terms to hand over what is left
        self.hands_over = False
        self.trouble: Wait | None = None  # what this cycle waited for last
        self._retry = partition.settings.retry  # by which what is in flight is tried
        self._retuned = False  # whether that is another one now
        self._is_stored = partition.is_stored

    def cycle(self) -> CallingSteps[bool]:
        """Take what waits, and settle it; return whether all of it is."""
        settled = left_over = True
        while settled and left_over:  # what was left over goes first, and alone
            if self._is_stored and not (yield from use_store(self, self.partition.fill)):
                return False
            size, left_over = self.partition.swap()
            self.partition.announce()
            if size:
                settled = yield from self._process()
            elif self._is_stored:  # what was dropped is settled, too
                yield from use_store(self, self.partition.note, self.partition.waits, 1)
        self.partition.announce()
        return settled

    def _process(self) -> CallingSteps[bool]:
        began = self._clock.monotonic()
        self.settled_at = began
        delivered = self._table.delivered
        self.emit(ProcessingStarted, time=self._clock.time())
        try:
            steps = self._steps()
            settled = yield from self._drive(steps, began)
            while self._retuned and not self.lost:
                self._put_back(steps)
                steps = self._steps()
                settled = yield from self._drive(steps, began)
        finally:
            self.called_at = None
            self.losses.tell()
        if self._is_stored:
            yield from use_store(self, self.partition.note, self.partition.waits, 1)
        if settled:
            self.trouble = None
            self.settled_at = ended = self._clock.monotonic()
            size = self._table.delivered - delivered
            self.emit(ProcessingStopped, duration=ended - began, size=size)
        return settled

    def _steps(self) -> Effects:
        """Return what delivers what is in flight, by the settings of now."""
        settings = self.partition.settings
        self._retry, self._retuned = settings.retry, False
        trial = Trial(self._table, settings.retry, self.partition.front, self._clock.monotonic)
        return deliver(trial, self._taker(), settings.batch_size)

    def _taker(self) -> Callable[[], B | None]:
        """Return what takes the next batch."""
        size = self.partition.settings.batch_size
        self._in_one = size is None and hasattr(self._table, "take_table")
        self._is_special = self._in_one or self.partition.waits
        take: Callable[[], B | None] = (
            self._table.take_table if self._in_one else partial(self._table.take, size)
        )
        return take

    def _drive(self, effects: Any, began: float) -> CallingSteps[bool]:
        """Do what the generator says; return False when nobody waits for it any more."""
        send = self._sender(effects)
        outcome, effect = cast("Any", None), cast("Any", None)
        try:
            while not (self.lost or self._retuned):  # lost by a fork, or as that took too long
                if effect is None:
                    effect = send(outcome)
                    if outcome is None:
                        self.settled_at = self._clock.monotonic()
                if effect is DONE:
                    return True
                if self.abandoned and type(effect) is not Find:  # which is part of a call
                    return self._give_up(effects)
                if type(effect) is Process and effect.attempt <= 1 and not self._is_special:
                    self._given = effect
                    effect, outcome = yield from self._in_turn(send, effect, began)
                else:
                    outcome, effect = (yield from self._do(effect, began)), None
                    self.called_at = None
        except StopIteration:
            return True
        finally:  # an error that somebody keeps has this frame, and with it what is named here
            effect = outcome = self._given = None
        return False

    def _sender(self, effects: Effects) -> Callable[[Any], Any]:
        """Return what goes on with *effects*; of a quick store, with a note of what is settled."""
        if not self._is_stored or self.partition.waits:
            return effects.send
        return partial(send_and_note, self.partition, effects.send)

    def batch_id(self) -> BatchId:
        """Return what tells the batch that the processor has now; raise `WrongThread`."""
        if self._given is None:
            raise WrongThread("batch_id(): no batch is being processed: expected in a processor")
        return self.partition.identify(self._given.batch)

    def fencing_token(self) -> int:
        """Return the token of the claim under which the batch was given; raise `WrongThread`."""
        self.batch_id()
        return self.partition.token

    def _do(self, effect: Any, began: float) -> CallingSteps[Any]:
        if self.partition.waits and type(effect) is not Find:
            yield from use_store(self, self.partition.note, self.partition.waits)
        if isinstance(effect, Wait):
            self.called_at = None
            end = yield from self._wait(effect)
            self._retuned = self.partition.settings.retry is not self._retry and not self.abandoned
            return end
        self.called_at = self._clock.monotonic()
        if isinstance(effect, DeadLetter):
            return (yield from self._dead_letter(effect))
        if isinstance(effect, Find):
            effect.names.part_of = self._processor
            return (yield from self.call(effect.names))
        if effect.attempt > 1:
            self.emit(BatchRetried, attempt=effect.attempt)
        processor: Callable[..., object] = self._processor
        if type(effect.batch) is list and self._in_one:
            processor = InOne(processor)
        return (yield from self._call(processor, effect, began))

    def _wait(self, effect: Wait) -> Steps[End]:
        self.losses.tell()
        self.trouble = effect
        tell_of_wait(self.partition, effect)
        return (yield from self.rest(effect.seconds, effect.least, effect.news))

    def _dead_letter(self, effect: DeadLetter) -> CallingSteps[BaseException | None]:
        """Hand over; return what came of it: nobody has it but where that is None."""
        telemetry, size = self.partition.telemetry, len(effect.items)
        handler = self.partition.dead_letter
        if handler is not None:
            error = yield from self.call(handler, effect.items, effect.error, effect.attempts)
            if error is not None:
                self._refused = size
                if not isinstance(error, CutShort):
                    telemetry.note_dead_letter_error(handler, error)
                return error
        self._refused = 0
        self.losses.note(size, effect.error, effect.attempts, taken=handler is not None)
        self.emit(BatchDeadLettered, size=size, error=effect.error, attempts=effect.attempts)
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

    def _put_back(self, steps: Effects) -> None:
        """Put back what failed, with all that is known of it."""
        steps.close()
        self._table.release()
        self.partition.front.hand = []  # it keeps its place in line

    def _give_up(self, steps: Effects) -> bool:
        """Leave what is in flight; return False."""
        self._put_back(steps)
        if self._refused and self.surrender is None:
            self.partition.report(
                "%d items that were given up are left: the dead letter handler did not take them",
                self._refused,
            )
        self._refused = 0
        name = self.partition.name
        error = BufferNotRunning(f"stop() of buffer {name!r} waits no more")
        tell_of_failure(self.partition, error, None)
        return False
