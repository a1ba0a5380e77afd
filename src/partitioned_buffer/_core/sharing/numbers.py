"""
The numbers of a shared buffer: of the whole, as far as this process knows it.

What is on the server is counted there, what is not yet, here; so each number is true of its
moment, and the law holds of the sum.
"""

import threading
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from ...abc.sharing import Depth, Parcel, Tally
from ..ledger import PartitionStats, SharedStats, Stats, total
from ..measures import Rates

Where = tuple[int, int]
"""A generation, and a partition."""


class Fresh:
    """What this process has brought to the server since that was asked how much it has."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = Counter[tuple[Where, int]]()  # each number of a `Tally`

    def add(self, parcel: Parcel) -> None:
        """Note that this is there now."""
        tally = parcel.tally if parcel.ops else Tally(parcel.count)
        with self._lock:
            for number, count in enumerate(tally):
                self._counts[(parcel.generation, parcel.partition), number] += count

    def now(self) -> Counter[tuple[Where, int]]:
        """Return how much that is."""
        with self._lock:
            return Counter(self._counts)

    def known(self, counts: Counter[tuple[Where, int]]) -> None:
        """Note that so much is in the server's own numbers."""
        with self._lock:
            self._counts -= counts

    def added_to(self, depths: Sequence[Depth]) -> list[Depth]:
        """Return *depths* with it: as if nothing of it had replaced, or deleted, what was there."""
        counts = self.now()
        places = {(depth.generation, depth.partition): depth for depth in depths}
        for where, _ in counts:
            places.setdefault(where, Depth(*where, 0, 0, 0, 0, oldest=None, owner=None))
        made: list[Depth] = []
        for where, depth in places.items():
            accepted, coalesced, deleted = (counts[where, number] for number in range(3))
            made.append(
                depth._replace(
                    appended=depth.appended + accepted,
                    settled=depth.settled + coalesced + deleted,
                    coalesced=depth.coalesced + coalesced,
                    deleted=depth.deleted + deleted,
                )
            )
        return made


class Here(NamedTuple):
    """What of the server's partitions is known in this process alone."""

    in_hand: Mapping[int, int] = {}
    """How many records of which."""
    overdue: Collection[int] = ()
    """Which wait for a call of the processor that takes too long."""
    restarts: int = 0
    """How often workers of theirs died."""
    measured: Mapping[int, Mapping[str, Any]] = {}
    """What workers have measured of which, as a `Recorder` says it."""


def whole(own: Stats, front: Tally, depths: Sequence[Depth], here: Here, also: Any) -> Stats:
    """Return the numbers of the whole, given those of the front, and *also* about the server."""
    partitions = [_partition(depth, here) for depth in _newest(depths)]
    older = [_partition(depth, Here()) for depth in depths if depth not in _newest(depths)]
    made = total(
        [*partitions, *older],
        hook_errors=own.hook_errors,
        dead_letter_errors=own.dead_letter_errors,
        blocked=own.blocked,
    )
    return replace(
        _with_front(made, own, front),
        restarts=own.restarts + here.restarts,
        rates=_rates(own.rates, made.rates),
        overdue=len(here.overdue),
        partitions=tuple(partitions),
        shared=SharedStats(
            shipped=own.delivered,
            front=front.held,
            owners={d.partition: d.owner for d in _newest(depths) if d.owner is not None},
            **also,
        ),
    )


def _with_front(made: Stats, own: Stats, front: Tally) -> Stats:
    """Return *made* with what the front has, too."""
    ages = [age for age in (made.oldest_age, own.oldest_age) if age is not None]
    in_flight = min(front.held, own.in_flight)
    return replace(
        made,
        accepted=made.accepted + front.accepted + own.dropped + own.dead_lettered,
        coalesced=made.coalesced + front.coalesced,
        deleted=made.deleted + front.deleted,
        recovered=own.recovered,
        dropped=own.dropped,
        drop_reasons=own.drop_reasons,
        dead_lettered=made.dead_lettered + own.dead_lettered,
        waiting=made.waiting + front.held - in_flight,
        in_flight=made.in_flight + in_flight,
        oldest_age=max(ages, default=None),
    )


def _rates(front: Rates, work: Rates) -> Rates:
    """Return what came into this process, and what it has made of anybody's."""
    return replace(work, in_10s=front.in_10s, in_60s=front.in_60s)


def held(depths: Iterable[Depth]) -> int:
    """Return how many records the server holds."""
    return sum(depth.appended - depth.settled for depth in depths)


def _newest(depths: Sequence[Depth]) -> list[Depth]:
    """Return those of the layout that is written to."""
    newest = max((depth.generation for depth in depths), default=0)
    return [depth for depth in depths if depth.generation == newest]


def _partition(depth: Depth, here: Here) -> PartitionStats:
    waiting = depth.appended - depth.settled
    in_flight = min(waiting, here.in_hand.get(depth.partition, 0))
    return PartitionStats(
        partition=depth.partition,
        accepted=depth.appended,
        recovered=0,
        delivered=depth.settled - depth.dead - depth.coalesced - depth.deleted,
        dead_lettered=depth.dead,
        dropped=0,
        drop_reasons={},
        coalesced=depth.coalesced,
        deleted=depth.deleted,
        waiting=waiting - in_flight,
        in_flight=in_flight,
        oldest_age=depth.oldest,
        restarts=0,
        overdue=int(depth.partition in here.overdue),
        **here.measured.get(depth.partition, {}),
    )
