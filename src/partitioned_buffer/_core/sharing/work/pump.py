"""
One thread per lane: claims partitions, reads on, and says what is settled.

    claim ─► window ─► step, step, ... ─► give back, or lose

It never calls a processor, so a slow one keeps its claims. What it cannot reach holds up its own
lane alone.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from ....abc.sharing import Claim, ClaimLost, Layout, SharedStore, StorageAway, Want
from ....errors import StorageError
from ...options.settings import Settings
from ...telemetry import report
from ..numbers import Where
from .duty import Duty
from .window import POLL, Window

HURRY = 1.0
"""Seconds for which windows hurry when somebody waits for a flush, who says so again and again."""


SOON = 0.02
"""Seconds between two looks for what is free, however often that is news."""


class Workplace(Protocol):
    """What a pump has to know of its buffer."""

    store: SharedStore | None
    settings: Settings
    is_stopping: bool
    duty: Duty

    def window_of(self, claim: Claim, /) -> Window:
        """Return a window for what *claim* is of."""
        ...

    def admit(self, life: Any, window: Window, ended: Callable[[], object], /) -> None:
        """Have a worker for *window*; it is woken by nobody else."""

    def dismiss(self, life: Any, window: Window, /) -> None:
        """Take the worker of *window* out, which has ended, or is not waited for; count it up."""

    def keep_measures(self, window: Window, /) -> None:
        """Keep what was measured in *window*, which is going to be left."""

    def pump_ended(self) -> None:
        """Take note that one has ended."""

    def note_trouble(self, lane: int, error: StorageError | None, count: int) -> None:
        """Note what keeps it from the server; None: nothing does any more."""


class Pump:
    """Of one lane."""

    def __init__(self, place: Workplace, lane: int, life: Any) -> None:
        self._place, self._lane, self._life = place, lane, life
        name = place.settings.name
        self._clock = place.settings.clock
        self.signal = self._clock.signal()
        self.windows: dict[Where, Window] = {}
        self._store, self._duty = place.store, place.duty  # of one life: there may be another soon
        self._may_begin = self._is_over = False
        self._claims_at = self._claims_from = 0.0  # when to claim; if there is news, not before
        self._is_troubled = False  # what cannot be reached is not asked at once again
        self._hurries_until = 0.0  # windows that are new, too: somebody waits for a flush
        self._heard = list[int]()  # appended to, and cut, in single steps
        self.ended = False
        self.thread = threading.Thread(target=self._run, name=f"{name}-pump-{lane}", daemon=True)

    # --- asked by others -------------------------------------------------------

    def hear(self, partition: int) -> None:
        """Hear what there is to hear: see `SharedStore.listen`."""
        self._heard.append(partition)
        self.signal.set()

    def look(self) -> None:
        """Look at everything again."""
        self.signal.set()

    @property
    def is_stuck(self) -> bool:
        """Whether a call of the processor has not returned whose claim is lost."""
        return any(w.is_lost and not w.rests for w in list(self.windows.values()))

    def begin(self) -> None:
        """Go to work: until then it waits."""
        self._may_begin = True
        self.signal.set()

    def let_go(self) -> None:
        """End as soon as can be: nobody waits any more. There may be another life by then."""
        self._is_over = True
        self.signal.set()

    # --- the thread ------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not (self._may_begin or self._is_over):
                self.signal.wait(None)
            while not self._has_ended():
                pause = POLL
                try:
                    pause = self._turn()
                except BaseException as error:  # whatever it is, claims have to be renewed
                    report("buffer %r: its pump failed", self._place.settings.name, error=error)
                if not self._has_ended():
                    self.signal.wait(pause)
        finally:
            for where in list(self.windows):
                self._leave(where)
            self.ended = True
            self.signal.close()
            self._place.pump_ended()

    def _has_ended(self) -> bool:
        return self._is_over or (self._place.is_stopping and not self.windows)

    def _turn(self) -> float:
        """Do what there is to do; return how many seconds later to look again."""
        store = self._store
        if store is None or store is not self._place.store:
            return POLL
        self._listen()
        self._is_troubled = False
        for part in (self._look_after, self._choose, self._step):
            try:
                part(store)
            except StorageError as error:  # which must not keep the others from being done
                self._is_troubled = True
                self._place.note_trouble(self._lane, error, 0)
        return self._pause(store)

    def _listen(self) -> None:
        heard = self._heard[:]
        del self._heard[: len(heard)]
        now, all_of_them = self._clock.monotonic(), -1 in heard or -2 in heard
        if -2 in heard:
            self._hurries_until = now + HURRY
        if -1 in heard or -3 in heard:
            self._claims_at = min(self._claims_at, self._claims_from)
        for (_, partition), window in self.windows.items():
            if all_of_them or partition in heard:
                window.is_heard = True
            window.hurries = now < self._hurries_until
            if -2 in heard:
                window.hurry()

    def _look_after(self, store: SharedStore) -> None:
        """Give back what is finished, and lose what is over."""
        now = self._clock.monotonic()
        for where, window in list(self.windows.items()):
            if not window.is_lost and now >= window.claim.until:
                window.lose()
            if window.rests and window.gives_back:
                if not window.is_lost:
                    self._hand_back(store, window)
                self._leave(where)

    def _hand_back(self, store: SharedStore, window: Window) -> None:
        if (want := window.last_want()) is not None:
            (outcome,) = store.step(self._lane, [want])
            if isinstance(outcome, StorageAway):
                raise outcome  # as long as the claim lasts
        store.release(window.claim)

    def _leave(self, where: Where) -> None:
        self._place.keep_measures(self.windows[where])
        window = self.windows.pop(where)
        window.finish()
        self._duty.drop(where)
        self._place.dismiss(self._life, window)

    # --- claims ----------------------------------------------------------------

    def _choose(self, store: SharedStore) -> None:
        """Have as many partitions as are this worker's."""
        if not self._place.is_stopping:
            self._give_back(store.duty)
            self._claim(store)
            return
        for window in self.windows.values():
            if not window.gives_back:
                window.finish()

    def _give_back(self, layout: Layout) -> None:
        """Have no more than are this worker's, and none of a layout that is delivered."""
        mine = [(where, window) for where, window in self.windows.items() if not window.gives_back]
        older = [each for each in mine if each[0][0] != layout.generation]
        self._finish(older)
        here = [each for each in mine if each not in older]
        self._finish(here[: self._duty.too_many(layout.partitions)])

    def _finish(self, windows: Sequence[tuple[Where, Window]]) -> None:
        for where, window in windows:
            self._duty.drop(where)
            window.finish()

    def _claim(self, store: SharedStore) -> None:
        now, layout = self._clock.monotonic(), store.duty
        if now < self._claims_at or self._lane >= len(layout.lanes):
            return
        self._claims_at, self._claims_from = now + min(1.0, store.lease / 12), now + SOON
        for partition in self._duty.order(layout.partitions):
            where = layout.generation, partition
            if partition not in layout.lanes[self._lane] or where in self.windows:
                continue
            if not self._duty.may_claim(where, layout.partitions):
                continue
            claim = None
            try:
                claim = store.claim(partition)
            finally:
                if claim is None:
                    self._duty.drop(where)
            if claim is not None:
                self.windows[where] = self._place.window_of(claim)

    # --- steps -----------------------------------------------------------------

    def _step(self, store: SharedStore) -> None:
        now, alive = self._clock.monotonic(), [w for w in self.windows.values() if not w.is_lost]
        for window in alive:
            window.feed()
        due = [window for window in alive if window.is_due(now, store.lease)]
        if not due:
            return
        wants = [window.want() for window in due]
        outcomes = store.step(self._lane, wants)
        troubles = [
            outcome
            for window, want, outcome in zip(due, wants, outcomes, strict=True)
            if not self._took(store, window, want, outcome, now)
        ]
        self._is_troubled = bool(troubles)
        self._place.note_trouble(self._lane, next(iter(troubles), None), 0)  # type: ignore[arg-type]

    def _took(
        self,
        store: SharedStore,
        window: Window,
        want: Want,
        outcome: Any,
        at: float,
    ) -> bool:
        """Do what the *outcome* of a step is for; return False if it is to be taken again."""
        if isinstance(outcome, ClaimLost):
            window.lose()
        if isinstance(outcome, StorageError):
            return window.is_lost
        window.stepped_at, window.is_heard = at, False
        window.took(store, want, outcome, self.signal.set)
        if not (window.is_admitted or window.gives_back or self._is_over):
            window.is_admitted = True  # tasks begin later: their loop may be busy
            self._admit(window)
        return True

    def _admit(self, window: Window) -> None:
        try:
            self._place.admit(self._life, window, self.signal.set)
        except BaseException:  # no thread is to be had: others may have one
            window.finish()
            self._claims_from = self._claims_at  # that it is free is no news to this one
            raise

    def _pause(self, store: SharedStore) -> float:
        """Return how many seconds later to look again."""
        pause = min(POLL, store.lease / 6)
        claims = not self._place.is_stopping
        if claims and self._duty.held < self._duty.quota(store.duty.partitions):
            pause = min(pause, max(0.0, self._claims_at - self._clock.monotonic()))
        if self._is_troubled:
            return pause
        for window in self.windows.values():
            if not window.gives_back and window.wanted and window.has_more:
                return 0.0
        return pause
