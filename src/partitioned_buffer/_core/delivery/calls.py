"""
Calls of the processor: those that go well one after the other, and single ones; and their measure.
"""

from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar, cast

from ...events import ProcessingException
from ..policy.effects import CutShort, Process
from ..waiting.steps import Call, CallingSteps
from .partition import Partition
from .returned import refuse_undone

B = TypeVar("B")

DONE: Final = "done"
"""In place of an effect: there are no more."""


class Calls(Generic[B]):
    """Of one partition's worker."""

    def __init__(self, partition: Partition[B], *, in_place: bool) -> None:
        self.partition, self.emit = partition, partition.emit
        self.in_place = in_place
        self._clock, self._recorder = partition.settings.clock, partition.recorder
        self._processor = cast("Callable[..., object]", partition.settings.processor)
        self.abandoned = self.forked = False
        self.lost = False  # the table is another's now
        # When the call of the processor, or the dead letter handler, began that is going on.
        self.called_at: float | None = None
        self.settled_at = self._clock.monotonic()
        self._given: Process[B] | None = None  # what is with the processor

    @property
    def settled_at(self) -> float:
        """When something was settled last."""
        return self._recorder.watch.settled_at

    @settled_at.setter
    def settled_at(self, at: float) -> None:
        self._recorder.watch.settled_at = at

    def _in_turn(
        self, send: Callable[[Any], Any], effect: Process[B], began: float
    ) -> CallingSteps[tuple[Any, Any]]:
        """
        Call the processor as long as all goes well; return the next effect, or what it raised.

        First attempts of one cycle are one object (see `Process`).
        """
        processor, recorder, watch = self._traced(), self._recorder, self._recorder.watch
        call, first, outcome = Call(processor, ()), effect, None
        is_slow = self.partition.is_stored  # to settle, and to take: that is no part of a call
        now = due = watch.begin()
        try:
            while effect is first and not self.abandoned:
                self.called_at = now
                if self.in_place:
                    try:  # in these very lines: a generator of their own costs as much as a batch
                        if (returned := processor(effect.batch)) is not None:
                            refuse_undone(processor, returned, in_thread=True)
                    except BaseException as error:  # SystemExit, too, is the processor's own affair
                        outcome = self._heard(error, began)
                else:
                    call.args = (effect.batch,)
                    outcome = self._heard((yield call), began)
                self.called_at = None  # before it is asked whether the table was lost: see `disown`
                if outcome is not None or self.lost:
                    self._note_end(outcome)
                    return None, outcome
                now, effect = watch.returned(), send(None)
                if is_slow:
                    now = watch.begin()
                if now >= due:
                    due = recorder.sample(now)
            return effect, None  # noqa: TRY300  # before these names are let go
        except StopIteration:
            return DONE, None
        finally:  # an error that somebody keeps has this frame, and with it what is named here
            effect = first = outcome = call.args = cast("Any", None)

    def _call(self, processor: Any, effect: Process[B], began: float) -> CallingSteps[Any]:
        """Call the *processor*, once; return what it raised."""
        self._given = effect
        self.called_at = self._recorder.watch.begin()
        outcome = yield from self.call(self._traced(processor, effect.attempt), effect.batch)
        self._note_end(outcome, again=effect.attempt > 1)
        return self._heard(outcome, began)

    def _traced(self, processor: Any = None, attempt: int = 1) -> Callable[..., object]:
        """Return what is called for *processor*, the user's unless given."""
        tracing = self.partition.telemetry.tracing
        given: Callable[..., object] = self._processor if processor is None else processor
        if tracing is None:
            return given
        return tracing.around(self.partition, given, attempt, self.in_place)

    def _note_end(self, error: BaseException | None, *, again: bool = False) -> None:
        """Note that what was called, or called *again*, has just returned, or raised *error*."""
        if self.lost:  # all is another's
            return
        if error is None:
            self._recorder.returned(again)
        elif not isinstance(error, (CutShort, *self.partition.no_failures)):
            self._recorder.raised(error, again)

    def _heard(self, outcome: Any, began: float) -> Any:
        """Announce *outcome*, if it is an error; return it."""
        if isinstance(outcome, BaseException) and not isinstance(outcome, CutShort):
            self.emit(ProcessingException, duration=self._clock.monotonic() - began, error=outcome)
        return outcome

    def call(
        self, function: Callable[..., object], *args: Any
    ) -> CallingSteps[BaseException | None]:
        """Call *function*; return what it raised."""
        if not self.in_place:
            return (yield Call(function, args))
        try:
            returned = function(*args)
            if returned is not None:
                refuse_undone(function, returned, in_thread=True)
        except BaseException as error:
            return error
        return None
