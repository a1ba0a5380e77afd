"""
A shared buffer's connection to its server, from a start to the end of its last worker.

    front ─► shipper, one per lane ─► server ─► pump, one per lane ─► windows ─► processor
                     clerk: beats, looks at depths, waits for flushes

All but the front, which is the buffer's own tables, is here. It is told of a life by its `Run`, as
one that attends it (see `run.Attendant`).
"""

import os
import socket
import threading
from collections.abc import Callable, Collection, Sequence
from typing import Any

from ...abc.sharing import Claim, Layout, Parcel, SharedStorage, SharedStore, SharedTerms
from ...errors import StorageError
from ..backing.queue.hashes import NO_KEY
from ..ledger import Stats
from ..measures import together
from ..options.settings import Settings
from ..policy.destination import Destination
from ..telemetry import warn
from ..writes.line import Face
from ..writes.routing import slot_numbers
from .attending import Attending
from .cargo import Cargo
from .front.left import Left
from .front.shipping import Shipper
from .numbers import Fresh, Here, held, whole
from .troubles import Troubles
from .work.duty import Duty
from .work.window import Window


class Sharing(Attending):
    """Of one buffer."""

    tables: Sequence[Any] = ()
    source: Any = None
    """The front's table, where that is stored: it knows the positions of records."""
    relaid: Callable[[Sequence[Any]], None]
    """What is to be told which tables there are now."""
    make_tables: Callable[[int], Sequence[Any]]
    """Has the buffer have so many tables."""

    def __init__(self, settings: Settings, face: Face, cargo: Cargo) -> None:
        self.settings, self.clock, self.face, self.cargo = settings, settings.clock, face, cargo
        self.storage: SharedStorage = settings.storage  # type: ignore[assignment]  # it shares
        self.delivers = self.storage.deliver
        self.delivered = self.buried = self.restarts = 0  # of this process
        self.measured: dict[int, dict[str, Any]] = {}
        self.counting = threading.RLock()
        self._first: Layout | None = None
        self.waiting: dict[int, Any] = {}  # the signals of writers that wait for the server
        self.troubles = Troubles(settings.name, settings.clock)
        self._forget()

    def _forget(self) -> None:
        self.retired = False
        self.store: SharedStore | None = None
        self.shippers: list[Shipper] = []
        self._identity = ""
        self.duty, self.fresh = Duty(""), Fresh()
        self.destination = Destination()
        self._slots: tuple[int, ...] = ()
        self._lanes: dict[int, int] = {}
        super()._forget()

    # --- the store ---------------------------------------------------------------

    def open(self) -> None:
        """Reach the server; once more does no harm."""
        if self.store is not None and not self.retired:
            return
        self.close()
        before = self._identity, [each for each in self.shippers if not each.has_sent_all]
        self._forget()
        settings = self.settings
        producer = f"{socket.gethostname()}:{os.getpid()}"
        pinned, remember = settings.partitions, settings.remember_versions
        terms = SharedTerms(settings.name, self.cargo.kind, pinned, producer, remember)
        store = self.storage.share(terms)
        for warning in store.warnings:
            warn("buffer %r: %s", settings.name, warning)
        self.duty = Duty(store.me)
        lanes = len(store.layout.lanes)
        self._identity, self.shippers = store.identity, self._shippers(lanes)
        if self.source is None and before[0] == store.identity and lanes == len(self.tables):
            for shipper in before[1]:  # what may be there goes again as it was
                self.shippers[shipper.lane or 0] = shipper
        if self._first is None or before[0] != store.identity or lanes != len(self.tables):
            self._first = store.layout
        if self.source is None and lanes != len(self.tables):
            self.tables = self.make_tables(lanes)
            self.relaid(self.tables)
        self.store = store

    def _shippers(self, lanes: int) -> list[Shipper]:
        if self.source is not None:
            return [Shipper(self, None, self.source)]
        return [Shipper(self, lane) for lane in range(lanes)]

    def close(self) -> None:
        """Let go of the server, whoever is still at it; once more does no harm."""
        store, self.store = self.store, None
        if store is not None:
            self._part(store)

    def forked(self) -> None:
        """Have nothing, in a forked child: it is the parent's."""
        self.delivered = self.buried = self.restarts = 0
        self.measured, self.counting = {}, threading.RLock()
        self._first, self.waiting = None, {}
        self._forget()

    def left(self, count: int) -> "Left":
        """Return what the front holds, which is *count* items at most."""
        return Left(self, self.cargo.folded(self.tables, count).held)

    @property
    def held(self) -> int:
        """How many items the server held when it was asked last."""
        return held(self.fresh.added_to(() if self.clerk is None else self.clerk.depths))

    @property
    def settled(self) -> tuple[int, int]:
        """How many items this process has delivered, and given up."""
        windows = [w for pump in self.pumps for w in list(pump.windows.values())]
        counts = [w.table.counts() for w in windows]
        delivered = sum(each["delivered"] for each in counts)
        buried = sum(each["dead_lettered"] for each in counts)
        return self.delivered + delivered, self.buried + buried

    def stats(self, own: Stats, overdue: Collection[int]) -> Stats:
        """Return the numbers of the whole, given those of the front, and who waits for too long."""
        clerk = self.clerk
        at = None if clerk is None else clerk.looked_at
        windows = [w for pump in self.pumps for w in list(pump.windows.values())]
        in_hand = {w.claim.partition: len(w.table) for w in windows if w.has_begun}
        also = {
            "workers": self.duty.workers if self.pumps else 0,
            "gaps": self.troubles.gaps,
            "lost": self.troubles.lost,
            "away": None if self.trouble is None else str(self.trouble),
            "age": None if at is None else self.clock.monotonic() - at,
        }
        restarts = self.restarts + sum(w.restarts for w in windows)
        depths = self.fresh.added_to(() if clerk is None else clerk.depths)
        here = Here(in_hand, overdue, restarts, self._measured(windows))
        return whole(own, self.cargo.folded(self.tables, own.held), depths, here, also)

    def _measured(self, windows: Sequence[Window]) -> dict[int, dict[str, Any]]:
        """Return what has been measured of each partition, under whichever claim."""
        now = self.clock.monotonic()
        with self.counting:
            measured = dict(self.measured)
            for window in windows:
                if window.partition is not None and not window.is_counted:
                    index = window.partition.index
                    measured[index] = together(measured.get(index), window.partition.measured(now))
        return measured

    @property
    def partitions(self) -> int:
        """How many partitions there are; 0 if that is not known."""
        return 0 if self.store is None else self.store.layout.partitions

    def partition_of(self, hashed: int) -> int | None:
        """Return the partition of a record whose key has this hash; None if it is in turn."""
        if hashed == NO_KEY or not self.partitions:
            return None
        slots = slot_numbers(self.partitions)
        return slots[hashed % len(slots)]

    def lane_of(self, hashed: int) -> int:
        """
        Return the lane of a record whose key has this hash.

        It is that of the layout that was there first: a key that changed its lane at a resize would
        overtake what waits of it in another. Who ships reaches any partition.
        """
        if self._first is None:
            return 0
        slots, lanes = slot_numbers(self._first.partitions), self._first.lanes
        partition = slots[hashed % len(slots)]
        return next(at for at, lane in enumerate(lanes) if partition in lane)

    # --- what the front does -----------------------------------------------------

    def ship(self, lane: int) -> Callable[[Any], None]:
        """Return the processor of the front of a lane."""

        def ship(batch: Any) -> None:
            self.shippers[lane](batch)

        return ship

    def items(self, batch: Sequence[Any]) -> list[Any]:
        """Return what a *batch* of the front was made of."""
        return self.cargo.items(batch)

    def window_of(self, claim: Claim, /) -> Window:
        """Return a window for what *claim* is of."""
        return self.cargo.window(claim, self.settings)

    @property
    def trouble(self) -> StorageError | None:
        """What keeps this process from the server."""
        return self.troubles.now

    def note_trouble(self, lane: int, error: StorageError | None, count: int) -> None:
        """Note what keeps so many records from the server; None: nothing does any more."""
        self.troubles.note(lane, error, count)

    def note_shipped(self, parcel: Parcel) -> None:
        """Note that this is on the server now."""
        self.fresh.add(parcel)

    def note_gap(self, lane: int, partition: int, lost: int) -> None:  # noqa: ARG002  # as asked
        """Note that the server has lost what it had acknowledged."""
        self.troubles.note_gap(partition, lost)
