"""
One life of a buffer: what a start builds and a stop ends.

    starting ──► running ──► stopping ──► stopped
        └──── it came to nothing ────────────▲

Whoever acts on a life holds on to it: a second `stop()`, a late timer, the end of a `with` block
ends the one that it began with, and never its successor. Workers that were started wait at
`gate` until the buffer has taken their life for its own: one that came to nothing, interrupted
at whatever point, has touched nothing.
"""

import threading
from collections.abc import Callable
from typing import Any, Generic, Literal, Protocol, TypeVar

from ..delivery.handover import Surrender
from ..delivery.watchdog import Watchdog
from ..delivery.worker import Worker
from ..waiting.countdown import Countdown
from ..waiting.steps import Steps

W = TypeVar("W", bound=Worker[Any])
L = TypeVar("L", bound="Run[Any]")

State = Literal["new", "starting", "running", "stopping", "stopped", "forked"]


class Attendant(Protocol):
    """What goes on beside the workers of a life, and ends with it."""

    def begin(self) -> None:
        """Begin; once more does no harm."""

    def void(self) -> None:
        """Come to nothing."""

    def stop(self, countdown: Countdown, /) -> None:
        """Come to an end, and report."""

    def surrender(self) -> None:
        """Leave alone what the workers hold: it is handed over."""

    def let_go(self) -> None:
        """End as soon as can be: nobody waits any more."""

    def flush(self, countdown: Countdown, /) -> None:
        """Report when all is settled that there is now, wherever it is."""

    def forget_flush(self, countdown: Countdown, /) -> None:
        """Do not report to *countdown* any more."""

    def retune(self) -> None:
        """Look at the settings again."""


class Run(Generic[W]):
    """The workers of one life, its watchdog, and how far it has come."""

    attendants: tuple[Attendant, ...] = ()
    guests: tuple[W, ...] = ()
    """Workers that come and go: an attendant sees to them."""

    def __init__(self, state: State = "starting", *, was_parents: bool = False) -> None:
        self.state: State = state
        self.was_parents = was_parents  # which this process was forked from
        self.workers: tuple[W, ...] = ()
        self.watchdog: Watchdog | None = None
        self.was_forked = False
        self.lock = threading.RLock()  # of who replaces a worker, or tells all of them to stop

    @property
    def is_alive(self) -> bool:
        """Whether it holds the buffer's name."""
        return self.state in ("running", "stopping", "forked")

    @property
    def has_ended(self) -> bool:
        """Whether none of its workers can be with the processor any more."""
        return all(worker.ended for worker in self.everybody)

    @property
    def everybody(self) -> tuple[W, ...]:
        """All workers that there are now."""
        return self.workers + self.guests

    @property
    def is_here(self) -> bool:
        """Whether it is one of its workers that runs now, calling a processor or a hook."""
        watchdog = self.watchdog
        return any(worker.is_current() for worker in self.everybody) or (
            watchdog is not None and watchdog.is_current()
        )

    def begin(self) -> None:
        """Let the workers begin, for it is running; once more does no harm."""
        for worker in self.workers:
            worker.begin()
        for attendant in self.attendants:
            attendant.begin()

    def admit(self, worker: W) -> bool:
        """Have *worker*, which begins at once, unless this life is at its end."""
        with self.lock:
            if self.state != "running":
                return False
            self.guests = (*self.guests, worker)
            return True

    def dismiss(self, worker: W) -> None:
        """Have one less."""
        with self.lock:
            self.guests = tuple(guest for guest in self.guests if guest is not worker)

    def wake(self) -> None:
        """Have the workers make room: somebody waits for it."""
        for worker in self.workers:
            worker.wake()

    def void(self) -> None:
        """Come to nothing: the workers, as far as there are any, end where they wait."""
        self.state = "stopped"
        for waiting in (*self.workers, self.watchdog, *self.attendants):
            if waiting is not None:
                waiting.void()

    def let_go(self) -> None:
        """Have every worker end as soon as can be: nobody waits for it any more."""
        if self.watchdog:
            self.watchdog.end()
        for attendant in self.attendants:
            attendant.let_go()
        for worker in self.everybody:
            worker.abandon()

    def hand_over(self, terms: Surrender) -> None:
        """Have the workers hand over what is left, on these *terms*."""
        for worker in self.workers:
            worker.surrender(terms)
        for attendant in self.attendants:
            attendant.surrender()

    def retune(self) -> None:
        """Have all look at the settings again."""
        for worker in self.workers:
            worker.retune()
        if self.watchdog:
            self.watchdog.retune()
        for attendant in self.attendants:
            attendant.retune()

    def forked(self) -> None:
        """Be a child's copy, whose workers are the parent's."""
        self.was_forked, self.state = True, "stopped"
        for worker in self.everybody:
            worker.forked()

    def overdue(self, since: float) -> set[int]:
        """Return which partitions wait for a call of the processor made at *since*, or before."""
        callers = self.guests if self.attendants else self.workers  # who have the processor
        called = ((w.partition.index, w.driver.called_at) for w in callers)
        return {index for index, at in called if at is not None and at <= since}

    def settled_since(self, began: float) -> float:
        """Return when something was settled last, or *began*."""
        return max([began, *(at for w in self.everybody if (at := w.settled_at) is not None)])


class Blocks(Generic[L]):
    """Which life each `with` block has begun that is not left yet."""

    def __init__(self) -> None:
        self._entered: list[tuple[object, L]] = []

    def enter(self, run: L, where: object) -> None:
        """Note that a block in thread (or task) *where* has begun *run*."""
        self._entered.append((where, run))

    def leave(self, here: Callable[[L], object]) -> L | None:
        """
        Return what the block that is left *here* has begun.

        It may be left elsewhere than it was entered; None: it was never entered as a block.
        """
        mine = [entry for entry in self._entered if entry[0] == here(entry[1])]
        if not (entries := mine or self._entered):
            return None
        entry = entries[-1]
        self._entered.remove(entry)
        return entry[1]

    def forget(self, run: L) -> None:
        """Note that the block that began *run* was not entered after all."""
        self._entered = [entry for entry in self._entered if entry[1] is not run]


def settle(
    run: Run[Any],
    all_of_them: Countdown,
    deadline: float | None,
    began: float,
    patience: Callable[[], float | None],
) -> Steps[bool]:
    """
    Wait until *all_of_them* have reported; return False when the time is over.

    That is at the *deadline*, if there is one; else, should *patience* have an end, when nothing
    was settled for so many seconds.
    """
    while not all_of_them.done:
        until = deadline
        if until is None and (seconds := patience()) is not None:
            until = run.settled_since(began) + seconds
        if not (yield from all_of_them.wait(until)):
            return False
    return True


def flush(  # noqa: PLR0913, PLR0917  # as long as it waits
    run: Run[Any],
    countdown: Callable[[int], Countdown],
    deadline: float | None,
    began: float,
    patience: Callable[[], float | None],
    beyond: bool,
) -> Steps[Literal["flushed", "late", "failed"]]:
    """
    Have all settled that the workers hold now; and, *beyond*, what has gone on from here.

    Without that, what is on a server is settled: it is there. Late: the time is over.
    """
    for those in (run.workers, run.attendants)[: 1 + beyond]:
        if not those:
            continue
        flushed = countdown(len(those))
        try:
            for each in those:
                each.flush(flushed)
            if not (yield from settle(run, flushed, deadline, began, patience)):
                return "late"
        finally:
            for each in those:
                each.forget_flush(flushed)
            flushed.close()
        if flushed.failed:
            return "failed"
    return "flushed"
