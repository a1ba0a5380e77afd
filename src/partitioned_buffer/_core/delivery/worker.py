"""
One worker: a partition's processing cycles.

    wait (interval, flush_at, flush, stop) ─► cycle (see `cycle`) ─► wait ...

Cycles of a partition never overlap, because one thread or task goes through `work`. Whatever
kills a cycle unexpectedly, the table is not the worker's: it stays as it was.
"""

import random
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import Generic, TypeVar

from ...abc import AsyncSignal, Signal
from ...events import PartitionStarted, PartitionStopped
from ..policy.effects import FLUSH, FULL, NEWS, STOP, End
from ..waiting.countdown import Countdown
from ..waiting.steps import CallingSteps, Pause, Steps
from .cycle import Driver
from .handover import Surrender, hand_over
from .partition import Partition

B = TypeVar("B")


class Worker(ABC, Generic[B]):
    """What a partition's worker has to know, whoever it is."""

    def __init__(
        self, partition: Partition[B], signal: Signal | AsyncSignal, *, in_place: bool
    ) -> None:
        self.partition = partition
        self._clock = partition.settings.clock
        self._signal = signal
        self.driver = Driver(partition, self._rest, in_place=in_place)
        self._due_now = False
        self._hurry = False  # a flush or stop has come: try again at once
        self._stopping = False
        # Lists, changed in single steps: a signal handler may come here in the middle of anything,
        # and must not keep this worker from what it waits for.
        self._flushes: list[Countdown] = []
        self._endings: list[Countdown] = []
        self._may_begin = self._is_void = False
        self.ended = False
        self.rests = False  # before another attempt
        self._deaths = 0  # since a cycle was completed last
        self._began = self._clock.monotonic()
        self._luck = random.random()  # how much of the jitter this interval gets

    # --- asked by others -------------------------------------------------------

    @abstractmethod
    def is_current(self) -> bool:
        """Return whether it is this worker that runs now."""

    def begin(self) -> None:
        """Go to work: until then it waits, and touches nothing."""
        self._may_begin = True
        self._signal.set()

    def void(self) -> None:
        """Never begin."""
        self._is_void = True
        self._signal.set()
        self._signal.close()  # the worker may never come to do it

    def wake(self) -> None:
        """Start a cycle as soon as may be. Never blocks."""
        self._due_now = self._may_begin = True
        self._signal.set()

    def retune(self) -> None:
        """Look at the settings again."""
        self._signal.set()

    def flush(self, countdown: Countdown) -> None:
        """Report to *countdown* when all that is held now has been settled."""
        self._flushes.append(countdown)
        if self.ended and _took(countdown, self._flushes):  # else `end` has
            countdown.report(failed=True)
        self._hurry = True
        self.wake()

    def forget_flush(self, countdown: Countdown) -> None:
        """Do not report to *countdown* any more: nobody waits."""
        _took(countdown, self._flushes)

    def stop(self, countdown: Countdown) -> None:
        """Settle what is held, end, and report to *countdown*."""
        self._endings.append(countdown)
        if self.ended and _took(countdown, self._endings):
            countdown.report()
        self._stopping = self._hurry = True
        self.wake()

    def abandon(self) -> None:
        """End as soon as the processor lets go: nobody waits for it any more."""
        self.driver.abandoned = self._stopping = self._hurry = True
        self.driver.losses.tell()  # it may be in a call that never returns
        self.wake()

    def forked(self) -> None:
        """Be a child's copy, which is not to run: the one that forked may be this very thread."""
        self.driver.forked = self.driver.lost = self.driver.abandoned = True

    def surrender(self, terms: Surrender) -> None:
        """Hand over what is left, as soon as the processor lets go, and end."""
        self.driver.surrender = terms
        Worker.abandon(self)

    def last_words(self) -> CallingSteps[None]:
        """Hand over what is left, in place of the worker: it was in a call, or died."""
        if (terms := self.driver.surrender) is not None:
            stand_in = Driver(self.partition, self._rest, in_place=self.driver.in_place)
            stand_in.trouble = self.driver.trouble
            yield from hand_over(stand_in, terms)

    @property
    def settled_at(self) -> float | None:
        """When something was settled last; None when the worker has ended."""
        return None if self.ended else self.driver.settled_at

    # --- the worker itself -----------------------------------------------------

    def work(self) -> CallingSteps[None]:
        """Run cycles until stopped; raise what cuts that short unexpectedly."""
        while not (self._may_begin or self._is_void):
            yield Pause(self._signal, None)
        if self._is_void:
            return
        started, reason = self._clock.monotonic(), None
        try:
            self.partition.emit(PartitionStarted, time=self._clock.time())
            yield from self._cycles()
            if (terms := self.driver.surrender) is not None and not self.driver.lost:
                yield from hand_over(self.driver, terms)
        except BaseException as error:
            reason = error
            raise
        finally:
            duration = self._clock.monotonic() - started
            self.partition.emit(PartitionStopped, duration=duration, reason=reason)

    def end(self) -> None:
        """Report to all who wait."""
        self.ended = True
        try:
            self.report_all()
            self.partition.worker_ended()
        finally:  # who keeps fake time sees somebody who is not idle until all have been told
            self._signal.close()

    def report_all(self) -> None:
        """Report to all who wait: a flush has failed, an end has come."""
        for waiting, failed in ((self._flushes, True), (self._endings, False)):
            for countdown in waiting[:]:
                if _took(countdown, waiting):
                    countdown.report(failed=failed)

    def _cycles(self) -> CallingSteps[None]:
        self.driver.settled_at = self._clock.monotonic()
        while True:
            now, settings = self._clock.monotonic(), self.partition.settings
            jitter = settings.interval_jitter * self._luck
            due = self._began + settings.processing_interval * (1 - jitter)
            if not self._due_now and now < due:
                yield Pause(self._signal, due - now)
                continue
            self._began, self._luck = now, random.random()
            # First, so that a stop or flush that comes now is not missed.
            self._due_now = self._hurry = False
            last = self._stopping
            yield from self._cycle()
            self._deaths = 0
            if last or self.driver.lost:
                return

    def _cycle(self) -> CallingSteps[None]:
        flushes = self._flushes[:]
        del self._flushes[: len(flushes)]
        settled = False
        try:
            settled = yield from self.driver.cycle()
        finally:
            if settled:
                for countdown in flushes:
                    countdown.report()
            else:
                self._flushes[:0] = flushes

    def _rest(self, seconds: float, least: float = 0.0, news: int | None = None) -> Steps[End]:
        """Wait, and return what for: a flush ends it after *least* seconds, see `effects.Wait`."""
        index, destination = self.partition.index, self.partition.destination
        if news is not None:
            destination.listeners[index] = self._signal.set
        self.rests = True
        try:
            began = self._clock.monotonic()
            last, flushed = began + seconds, began + least
            self.partition.recorder.rests_until = last
            while (end := self._end_of_rest(last, flushed)) is None:
                if news is not None and destination.news != news:
                    return NEWS
                until = min(last, flushed) if self._hurry else last
                yield Pause(self._signal, until - self._clock.monotonic())
        finally:
            self.rests, self.partition.recorder.rests_until = False, None
            destination.listeners.pop(index, None)
        self._hurry = False
        return end

    def _end_of_rest(self, last: float, flushed: float) -> End | None:
        now = self._clock.monotonic()
        if self.driver.abandoned or (self._hurry and self._stopping):
            return STOP
        if self._hurry and now >= flushed:
            return FLUSH
        return FULL if now >= last else None


def _took(countdown: Countdown, waiting: list[Countdown]) -> bool:
    """Take *countdown* out; return whether it was there."""
    with suppress(ValueError):
        waiting.remove(countdown)
        return True
    return False
