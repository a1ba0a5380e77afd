"""
An end that nobody is sure to go on from: of a block, or of the program.

    drain      what is held is delivered, while there is time
    finish     what is left is handed over (see `handover`), and said aloud

A `stop()` keeps what it leaves, and reports it; here there is nobody to read a report. Both parts
are steps. The second goes through whatever became of the first.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from ...abc import AsyncSignal, Clock, Signal
from ..delivery.handover import Surrender
from ..delivery.partition import Partition
from ..delivery.worker import Worker
from ..options.settings import Settings
from ..telemetry import warn
from ..waiting.countdown import Countdown
from ..waiting.steps import Steps
from .run import Run
from .supervisor import GRACE, LATE_GRACE, Supervisor

SHARE = 0.2
"""Which part of `exit_timeout` is for handing over."""

SAY_AFTER = 1.0
"""Seconds after an interrupt that it is said what goes on."""


class Ends(Protocol):
    """A buffer, as far as it is ended."""

    _settings: Settings
    _partitions: list[Partition[Any]]
    _supervisor: Supervisor[Any]

    @property
    def name(self) -> str: ...
    def _tell_to_stop(
        self, run: Run[Any], countdown: Callable[[int], Countdown]
    ) -> Countdown | None: ...
    def _be_stopped(self, run: Run[Any]) -> bool: ...
    def _size_here(self) -> int: ...


class Terms(NamedTuple):
    """How an end is to go."""

    why: str
    """To be continued: "buffer 'x' ..."."""
    in_all: float | None = None
    """Seconds that there are for everything; None: as long as something is settled in time."""
    interrupts: int = 0
    """How many there were already: with the second one it waits no more."""
    is_final: bool = False
    """Whether what is left is lost for good."""


class Ending:
    """Of one *run*."""

    def __init__(
        self, buffer: Ends, run: Run[Any], terms: Terms, clock: Clock, signal: Signal | AsyncSignal
    ) -> None:
        self._buffer, self._run, self._terms = buffer, run, terms
        self._clock, self._signal = clock, signal
        settings = buffer._settings
        self._timeout = settings.exit_timeout
        self._patience = settings.processing_timeout if self._timeout is None else self._timeout
        self._share = SHARE * self._patience if settings.last_resort is not None else 0.0
        self._ended = Countdown(clock, signal, 0)
        self._interrupts = terms.interrupts
        self._began = clock.monotonic()
        self._until = None if terms.in_all is None else self._began + terms.in_all - self._share
        self._say_at = self._began + SAY_AFTER if self._interrupts else None
        self._begun = False

    # --- drain -----------------------------------------------------------------

    def drain(self) -> Steps[None]:
        """Deliver what is held; raise at its end what interrupted it."""
        interrupt: BaseException | None = None
        while True:
            try:
                yield from self._deliver()
                break
            except (KeyboardInterrupt, SystemExit) as error:
                interrupt = error
                self._note_interrupt()
        if interrupt is not None:
            raise interrupt

    def _deliver(self) -> Steps[None]:
        if not self._begun:  # or interrupted where it began
            ended = self._buffer._tell_to_stop(self._run, self._countdown)
            if ended is None:
                return
            self._ended, self._begun = ended, True
        while not self._ended.done:
            if not (yield from self._ended.wait(self._next())) and self._is_over():
                return

    def _countdown(self, count: int) -> Countdown:
        return Countdown(self._clock, self._signal, count)

    def _is_over(self) -> bool:
        """Whether the time is; say what goes on if it is time for that."""
        now = self._clock.monotonic()
        if self._say_at is not None and now >= self._say_at:
            self._say_at = None
            self._say(now)
        return now >= self._limit()

    def _limit(self) -> float:
        if self._until is not None:
            return self._until
        return self._run.settled_since(self._began) + self._patience

    def _next(self) -> float:
        limit = self._limit()
        return limit if self._say_at is None else min(limit, self._say_at)

    def _note_interrupt(self) -> None:
        """Have `exit_timeout` in all from the first on, and no time after the second."""
        now = self._clock.monotonic()
        self._interrupts += 1
        if self._interrupts == 1:
            self._until = min(self._limit(), now + self._patience - self._share)
            self._say_at = now + SAY_AFTER
        else:
            self._until, self._say_at = now, None

    def _say(self, now: float) -> None:
        warn(
            "buffer %r: delivering %d items, for %.3g s at most; another Ctrl-C leaves them",
            self._buffer.name,
            self._buffer._size_here(),
            self._limit() - now,
        )

    # --- finish ----------------------------------------------------------------

    def finish(self) -> Steps[None]:
        """Hand over what is left, let go of the workers, and say what that means."""
        if not self._begun:
            return
        surrender = Surrender(self._terms.why)
        try:
            if not self._all_ended() or self._buffer._size_here():
                yield from self._hand_over(surrender)
            self._run.let_go()
            grace = GRACE if self._ended.done else LATE_GRACE
            yield from self._buffer._supervisor.join(self._run, grace)
        finally:
            self._ended.close()
            self._run.let_go()
            self._conclude(surrender)

    def _all_ended(self) -> bool:
        return all(worker.ended for worker in self._run.workers)

    def _hand_over(self, surrender: Surrender) -> Steps[None]:
        began, workers = self._clock.monotonic(), self._run.workers
        if self._buffer._settings.last_resort is None:
            return
        self._run.hand_over(surrender)
        yield from self._wait(self._all_ended, began + self._share / 2)
        # Whoever is in a call by now is left behind: another one hands over for it.
        stuck = [w for w in workers if len(w.partition.table) and _is_stuck(w)]
        taken_over = self._countdown(len(stuck))
        if stuck:
            self._buffer._supervisor.take_over(self._run, stuck, taken_over)
        healthy = [worker for worker in workers if worker not in stuck]
        yield from self._wait(
            lambda: taken_over.done and all(worker.ended for worker in healthy),
            began + self._share,
        )

    def _wait(self, done: Callable[[], bool], until: float) -> Steps[None]:
        while not done() and (yield from self._ended.wait(until)):
            pass

    def _conclude(self, surrender: Surrender) -> None:
        if self._buffer._be_stopped(self._run):
            say_what_is_left(self._buffer, self._run, surrender, is_final=self._terms.is_final)
        for worker in self._run.workers:
            worker.driver.trouble = None  # errors are not for keeping


def of_block(buffer: Ends, run: Run[Any], error: BaseException | None) -> Ending:
    """Return the end of the block that has begun *run*, and which *error* may have ended."""
    settings, interrupts = buffer._settings, int(isinstance(error, KeyboardInterrupt))
    terms = Terms("ended", None if error is None else settings.exit_timeout, interrupts)
    return Ending(buffer, run, terms, settings.clock, buffer._supervisor.signal())


def say_what_is_left(
    buffer: Ends, run: Run[Any], surrender: Surrender, *, is_final: bool = False
) -> None:
    """Say, aloud where no logging is configured, what was handed over and what is lost, and why."""
    left, given, why = buffer._size_here(), sum(surrender.sizes), surrender.why
    cause = next(filter(None, map(_cause, run.workers)), "")
    if given:
        message = "buffer %r %s: %d undelivered were handed to its dead_letter%s"
        warn(message, buffer.name, why, given, cause)
    if left and buffer._settings.keeps:
        warn(
            "buffer %r %s: %d undelivered stay in %s, and come first when it is opened again%s",
            *(buffer.name, why, left, buffer._settings.kept_in, cause),
        )
    elif left:
        lost = "are lost" if is_final else "stay in memory, and are lost with it"
        what = "a dead_letter (a DeadLetterFile, say), which gets what is left"
        if buffer._settings.dead_letter is not None:
            what = "a dead_letter that takes what is left in time"
        warn(
            "buffer %r %s: %d undelivered %s%s. Give it %s, or a longer exit_timeout",
            *(buffer.name, why, left, lost, cause, what),
        )


def _is_stuck(worker: Worker[Any]) -> bool:
    """Return whether another one has to hand over: it is in a call now, or died before."""
    return worker.driver.disown() or (worker.ended and not worker.driver.hands_over)


def _cause(worker: Worker[Any]) -> str:
    """Return what there is to say of why *worker* delivers nothing."""
    driver = worker.driver
    if driver.trouble is not None:
        return f" ({driver.trouble.error!r})"
    return "" if driver.called_at is None else " (a call of the processor has not returned)"
