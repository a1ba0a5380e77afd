"""
One thread per process: it says that its worker is alive, looks how much there is, and waits for
flushes.
"""

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Protocol

from ...abc.sharing import Depth, SharedStore
from ...errors import StorageError
from ..telemetry import report
from ..waiting.countdown import Countdown
from .numbers import Fresh, Where
from .work.duty import Duty

LOOK = 1.0
"""Seconds after which it looks again."""

SOON, LATER = 0.005, 0.05
"""... while somebody waits for a flush: at first, and at most."""

BEAT = 0.02
"""Seconds between two beats, however often there is news of workers."""

AGAIN = 0.3
"""Seconds after which workers are told again that somebody waits."""

_leaving: set[threading.Thread] = set()
"""Of those that take leave now."""


def farewell(seconds: float) -> None:
    """Give all that take leave so long: others would count on a worker that is gone."""
    until = time.monotonic() + seconds
    for thread in list(_leaving):
        thread.join(max(0.0, until - time.monotonic()))


class Office(Protocol):
    """What it has to know of its buffer."""

    store: SharedStore | None
    settings: Any
    pumps: list[Any]
    duty: Duty
    fresh: Fresh
    is_stopping: bool
    is_over: bool

    def note_trouble(self, lane: int, error: StorageError | None, count: int) -> None:
        """Note what keeps it from the server; None: nothing does any more."""

    def pump_ended(self) -> None:
        """Report that it has stopped, if so."""


class _Flush:
    """One that somebody waits for."""

    def __init__(self, countdown: Countdown) -> None:
        self.countdown = countdown
        self.targets: dict[Where, int] | None = None  # not known yet

    def is_done(self, depths: Sequence[Depth]) -> bool:
        """Note how much there is when it is looked at first; return whether that is settled."""
        is_first = self.targets is None
        targets = self.targets = self.targets or {}
        for d in depths:
            # Of a Map what there was is in another layout, once there is one.
            if is_first or d.swap is not None:
                targets.setdefault((d.generation, d.partition), d.goal)
        return all(  # a server that has lost some has less to settle
            d.passed >= min(d.goal, targets.get((d.generation, d.partition), 0)) for d in depths
        )


class Clerk:
    """Of one buffer."""

    def __init__(self, office: Office, name: str) -> None:
        self._office, self._name = office, name
        self._clock = office.settings.clock
        self.signal = self._clock.signal()
        self.depths: Sequence[Depth] = ()
        self.looked_at: float | None = None
        self._flushes: list[_Flush] = []
        self._wait = SOON
        self._beat_at = self._look_at = -LOOK
        self._hurry_at = 0.0
        self._is_told = False  # that workers may have come or gone
        self._closing: SharedStore | None = None
        self._done: Sequence[str] = ()
        self._is_worker = False
        self._may_begin = self._has_ended = False
        self.has_left = False
        """Whether it is no worker any more, or has tried to say so."""
        self.thread = threading.Thread(target=self._run, name=f"{name}-clerk", daemon=True)

    def begin(self) -> None:
        """Go to work: until then it waits."""
        self._may_begin = True
        self.signal.set()

    def flush(self, countdown: Countdown) -> None:
        """Report to *countdown* when all that is there now is settled."""
        self._flushes.append(_Flush(countdown))
        if self._has_ended:
            self._fail_all()
            return
        self._wait = SOON
        self.signal.set()

    def forget_flush(self, countdown: Countdown) -> None:
        """Do not report to it any more."""
        for each in self._flushes[:]:
            if each.countdown is countdown:
                with suppress(ValueError):  # another one has come before
                    self._flushes.remove(each)

    def look(self) -> None:
        """Look at everything again."""
        self.signal.set()

    def hear(self, news: int) -> None:
        """Hear what there is to hear: see `SharedStore.listen`."""
        if news in {-1, -3}:
            self._is_told = True
            self.signal.set()

    def close(self, store: SharedStore, producers: Sequence[str]) -> None:
        """
        Take leave of *store*, and close it, without anybody waiting for that.

        *producers* have sent all. The buffer may have others, and another store, by then.
        """
        self._done, self._is_worker = producers, bool(self._office.pumps)
        self._closing = store
        _leaving.add(self.thread)
        self.signal.set()
        if not self.thread.is_alive():
            _leaving.discard(self.thread)
        if self.thread.ident is None:
            store.close()

    # --- the thread ------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._may_begin and self._closing is None:
                self.signal.wait(None)
            while self._closing is None:
                pause = LOOK
                try:
                    self._leave()
                    pause = self._turn()
                except StorageError as error:
                    self._office.note_trouble(-1, error, 0)
                except BaseException as error:  # whatever it is, others wait for it
                    report("buffer %r: its clerk failed", self._name, error=error)
                if self._closing is None:
                    self.signal.wait(pause)
        finally:
            self._has_ended = self.has_left = True
            self._fail_all()
            self._office.pump_ended()
            self.signal.close()
            if self._closing is not None:
                self._take_leave(self._closing)
            _leaving.discard(self.thread)

    def _leave(self) -> None:
        """
        Be no worker any more as soon as a stop begins: others may have what is given back.

        It has to be said before the stop has ended, for the process may end right after it.
        """
        office, has_said = self._office, False
        if self.has_left or not office.is_stopping:
            return
        try:
            if office.pumps and office.store is not None and not office.is_over:
                office.store.beat(leave=True)
            has_said = True
        finally:
            self.has_left = has_said or all(pump.ended for pump in office.pumps)
            office.pump_ended()

    def _turn(self) -> float:
        store, now = self._office.store, self._clock.monotonic()
        if store is None or self._office.is_over:
            self._fail_all()
            return LOOK
        beats = bool(self._office.pumps) and not self._office.is_stopping
        pause = self._beat(store, now) if beats else LOOK
        if self._flushes or now - self._look_at >= LOOK:
            self._look_at = now
            store.refresh()
            self._look(store)
        self._office.note_trouble(-1, None, 0)
        if self._flushes:
            pause, self._wait = self._wait, min(LATER, 2 * self._wait)
        return pause

    def _beat(self, store: SharedStore, now: float) -> float:
        """Say that this worker is there, if it is time; return how many seconds later to look."""
        pause, since, pumps = min(LOOK, store.lease / 3), now - self._beat_at, self._office.pumps
        if since < (BEAT if self._is_told else pause):
            return min(pause, BEAT - since) if self._is_told else pause
        self._beat_at, self._is_told = now, False
        # Who hangs in a batch that it has lost keeps others from their share.
        if self._office.duty.see(store.beat(leave=any(pump.is_stuck for pump in pumps))):
            for pump in pumps:
                pump.hear(-3)
        return pause

    def _look(self, store: SharedStore) -> None:
        flushes = self._flushes[:]
        now = self._clock.monotonic()
        if flushes and (now >= self._hurry_at or any(each.targets is None for each in flushes)):
            self._hurry_at = now + AGAIN  # for those, too, who have begun to listen since
            store.hurry()
        fresh = self._office.fresh.now()
        depths = store.depth()
        self._office.fresh.known(fresh)
        self.depths, self.looked_at = depths, self._clock.monotonic()
        done = [flush for flush in flushes if flush.is_done(depths)]
        if done and self._has_moved(store, depths):
            return
        for flush in done:
            self.forget_flush(flush.countdown)
            flush.countdown.report()

    def _has_moved(self, store: SharedStore, depths: Sequence[Depth]) -> bool:
        """Return whether what a Map had may be where *depths* do not look."""
        if not any(d.swap is not None for d in depths):
            return False
        store.refresh()
        return store.layout.generation not in {d.generation for d in depths}

    def _fail_all(self) -> None:
        while self._flushes:
            with suppress(IndexError):  # another one has come before
                self._flushes.pop().countdown.report(failed=True)

    def _take_leave(self, store: SharedStore) -> None:
        """Be no worker any more, and no producer; the server finds out by itself otherwise."""
        try:
            if self._is_worker:
                store.beat(leave=True)
            for producer in self._done:
                store.retire(producer)
        except StorageError:
            pass
        finally:
            store.close()
