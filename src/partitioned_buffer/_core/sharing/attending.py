"""
What goes on beside the workers in a life of a shared buffer: pumps, and the clerk.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from ...abc.sharing import SharedStore
from ..measures import Rates, together
from ..options.settings import Settings
from ..waiting.countdown import Countdown
from ..waiting.locks import start
from ..waiting.signals import set_all
from ..writes.line import Face
from .clerk import Clerk
from .work.pump import Pump
from .work.window import Window, WindowPartition


class Attending:
    """Of one buffer."""

    settings: Settings
    face: Face
    store: SharedStore | None
    storage: Any
    destination: Any
    shippers: list[Any]
    waiting: dict[int, Any]
    delivered: int
    buried: int
    restarts: int
    measured: dict[int, dict[str, Any]]
    """What was measured of partitions that this process has let go of."""
    counting: "threading.RLock"
    delivers: bool
    """Whether the next life is to deliver, if there is a processor."""

    def _forget(self) -> None:
        self.is_stopping = self.is_over = self.ships_no_more = False
        self.pumps: list[Pump] = []
        self.clerk: Clerk | None = None
        self._ending: list[Countdown] = []
        self._listens = False
        self._stop_listening: Callable[[], None] = lambda: None

    # --- what a life says ----------------------------------------------------------

    def attend(self, run: Any) -> None:
        """Be there for the life *run*, which is going to begin."""
        self.is_stopping = self.is_over = self.ships_no_more = False
        name = self.settings.name
        self.clerk = Clerk(self, name)  # type: ignore[arg-type]  # with what a `Sharing` has
        delivers = self.settings.processor is not None and self.delivers
        lanes = len(self.shippers) if delivers else 0
        self.pumps = [Pump(self, lane, run) for lane in range(lanes)]  # type: ignore[arg-type]
        for thread in (self.clerk.thread, *(pump.thread for pump in self.pumps)):
            start(thread)  # which waits for `begin`

    def begin(self) -> None:
        """Begin; once more does no harm."""
        self._go_to_work()
        if self.pumps and self.store is not None and not self._listens:
            self._listens = True
            self._stop_listening = self.store.listen(self._hear)

    def _go_to_work(self) -> None:
        """Have the threads begin, as a start may have been interrupted before it told them to."""
        for waiting in (self.clerk, *self.pumps):
            if waiting is not None:
                waiting.begin()

    def void(self) -> None:
        """Come to nothing; the clerk does when the store is closed."""
        self.let_go()

    def stop(self, countdown: Countdown) -> None:
        """Finish what the processor has, give the rest back, and report."""
        self._ending.append(countdown)
        self.is_stopping = True
        self._go_to_work()
        self.pump_ended()

    def let_go(self) -> None:
        """Be over: nobody waits any more."""
        self.is_stopping = self.is_over = True
        self.surrender()
        set_all(list(self.waiting.values()))
        for pump in self.pumps:
            pump.let_go()
        self._stir()

    def surrender(self) -> None:
        """Ship nothing more: what is left in the front is handed over."""
        self.ships_no_more = True
        for shipper in self.shippers:
            shipper.look()

    def flush(self, countdown: Countdown) -> None:
        """Report when all that the server has now is settled."""
        if self.clerk is None:
            countdown.report(failed=True)
        else:
            self._go_to_work()
            self.clerk.flush(countdown)

    def forget_flush(self, countdown: Countdown) -> None:
        """Do not report to *countdown* any more."""
        if self.clerk is not None:
            self.clerk.forget_flush(countdown)

    def retune(self) -> None:
        """Look at the settings again."""
        for pump in self.pumps:
            for window in list(pump.windows.values()):
                if window.worker is not None and window.partition is not None:
                    window.partition.settings = window.retuned(self.settings)
                    window.table.retune(window.settings.flush_at)
                    window.worker.retune()

    def _stir(self) -> None:
        for pump in self.pumps:
            pump.look()
        if self.clerk is not None:
            self.clerk.look()

    def _hear(self, news: int) -> None:
        for waiting in (self.clerk, *self.pumps):
            if waiting is not None:
                waiting.hear(news)

    # --- what pumps say --------------------------------------------------------------

    def admit(self, life: Any, window: Window, ended: Callable[[], object], /) -> None:
        """Have a worker for *window*."""
        settings = window.retuned(self.settings)
        buffer: Any = self.face
        partition = WindowPartition(
            window.claim.partition, window.table, settings, buffer._telemetry, self.destination
        )
        partition.worker_ended = ended  # type: ignore[method-assign,assignment]
        window.partition = partition
        partition.token = window.claim.token
        buffer._supervisor.admit(life, partition, partial(_hired, window))

    def dismiss(self, life: Any, window: Window, /) -> None:
        """Take the worker of *window* out, and count up what it has done."""
        counts = window.table.counts()
        self.delivered += counts["delivered"]
        self.buried += counts["dead_lettered"]
        self.restarts += window.restarts
        if window.worker is not None:
            life.dismiss(window.worker)

    def keep_measures(self, window: Window, /) -> None:
        """Have what was measured in *window*, which is going to be left."""
        with self.counting:  # so that nothing is seen twice, or not at all
            if window.partition is not None and not window.is_counted:
                window.is_counted, index = True, window.partition.index
                new = window.partition.measured(self.settings.clock.monotonic())
                past = {"rates": Rates(), "retry_in": None}
                self.measured[index] = together(self.measured.get(index), new | past)

    def pump_ended(self) -> None:
        """Report if all have, and the clerk has said so to the server."""
        if not self.is_stopping or not all(pump.ended for pump in self.pumps):
            return
        if self.pumps and self.clerk is not None and not self.clerk.has_left:
            self.clerk.look()  # it calls this again
        else:
            while self._ending:
                with suppress(IndexError):  # another one has come before
                    self._ending.pop().report()

    def leave(self, seconds: float) -> bool:
        """Give the leave that `close()` has begun so long; return whether it is taken."""
        clerk = self.clerk
        if clerk is not None and clerk.thread.ident is not None:
            clerk.thread.join(seconds)
            return not clerk.thread.is_alive()
        return True

    def _part(self, store: SharedStore) -> None:
        self.let_go()
        self._stop_listening()
        if self.clerk is not None:
            done = [each.producer for each in self.shippers if each.has_sent_all]
            self.clerk.close(store, done)
        else:
            store.close()


def _hired(window: Window, worker: Any) -> bool:
    """Have *worker* for *window*; return False if nobody is to work on that any more."""
    if window.gives_back:  # the pump has not waited for it
        return False
    window.worker = worker
    return True
