"""
Calls of the processor, and what they make of the first of the line. Both policies are built of it.

    call ─► judge ─► delivered: acknowledged, or all but what is named is
              │  └─► rejected: buried
              └────► failed: kept in hand, and returned
"""

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

from ..options.retry import Retry
from .effects import Asks, CutShort, DeadLetter, Effects, Find, InFlight, Process, Wait
from .front import Front, Tried, runs
from .names import Names
from .reading import BUSY, FAILED, NEVER, OUTAGE, PARTIAL, REJECT, SPLIT, Said, leaves, read

ALL = 1 << 40
"""More than any table holds."""


class Trial:
    """One partition's, for a cycle."""

    def __init__(
        self,
        in_flight: InFlight[Any],
        retry: Retry,
        front: Front,
        monotonic: Callable[[], float],
    ) -> None:
        self.in_flight, self.retry, self.front = in_flight, retry, front
        self.destination, self.partition = front.destination, front.partition
        self.now = monotonic
        self.error: BaseException
        self.said: Said = FAILED  # by the last call
        self.seconds = 0.0  # to wait at least, as it said
        self.through = False  # whether the last call delivered anything
        self.progress = False  # whether anything was delivered since this was last set back
        self.splitting = False  # whether the hand is too large, or was
        self._passed = 0  # how much went through at once, since

    # --- calls -------------------------------------------------------------------------

    def call_hand(self) -> Asks[list[Tried]]:
        """Try the hand; return what of it has failed."""
        front = self.front
        while front.hand:
            count = len(front.hand)
            met = front.meet(self._first(count), count)
            if front.hand and len(met) == len(front.hand):
                failed = yield from self._call(met, 0)
                if failed is not None:
                    return failed
        self.in_flight.keep(None)  # what stands there now
        return []

    def call(self, start: int, size: int | None) -> Asks[list[Tried] | None]:
        """Try so many in line, without the first; return what has failed. None: nobody is there."""
        while True:
            met = self.front.meet(self._first(start + (size or ALL), reach=start > 0))
            if len(met) <= start:
                self.in_flight.keep(None)
                return None
            failed = yield from self._call(met, start)
            if failed is not None:
                return failed

    def _first(self, count: int, *, reach: bool = False) -> list[Any]:
        """Return the first so many of what is in hand or in flight, or even waits."""
        in_flight = self.in_flight
        items = in_flight.again(count, False) or []
        if len(items) < count:
            in_flight.keep(None)  # so that taking does not acknowledge it
            items = in_flight.take(count) or []
            if reach and len(items) < count and in_flight.reach(count - len(items)):
                in_flight.keep(None)
                items = in_flight.take(count) or []
        return items

    def _newest(self, met: list[Tried]) -> list[Any]:
        """Return the items again: of a Map with the newest values, where they were tried before."""
        in_flight = self.in_flight
        before = sum(tried.calls > 0 for tried in met) if self.front.keyed else 0
        if before:
            in_flight.again(before, True)
        return in_flight.again(len(met), False) or []

    def _call(self, met: list[Tried], start: int) -> Asks[list[Tried] | None]:
        """Give what follows *start* to the processor; return what failed. None: try anew."""
        items = self._newest(met)
        if len(items) < len(met):  # some were deleted in between
            return None
        tail, given = met[start:], items[start:]
        self.front.call(tail, given)
        error = yield Process(given, tail[0].calls)
        if isinstance(error, CutShort):
            self.front.recall(tail)
            self.in_flight.keep(None)
            return None
        return (yield from self.judge(tail, start, error))

    # --- what came of them -------------------------------------------------------------

    def judge(
        self, items: list[Tried], start: int, error: BaseException | None
    ) -> Asks[list[Tried]]:
        """Settle what *error* says is settled of *items*; return what has failed, and stays."""
        self.through, self.said, self.seconds = False, FAILED, 0.0
        if error is None:
            self._keep(items, start, [])
            return []
        self.error, now = error, self.now()
        self.destination.failed(now)
        reading = read(error, self.retry)
        self.said, self.seconds = reading.said, reading.seconds
        if reading.everyone:
            self.destination.until, self.destination.busy = now + reading.seconds, error
        if reading.said == SPLIT and not self.splitting:
            self.splitting, self._passed = True, 0
        if reading.said == PARTIAL:
            given = [item.given for item in items]
            names = Names(list(leaves(error)), given, keyed=self.front.keyed)
            cut = yield Find(names)
            if cut is None and names.found is not None:
                return (yield from self._judge_each(items, start, names.found))
            self.said = FAILED
        kept = self.in_flight.keep(None)
        final = self.said in (REJECT, NEVER, SPLIT)
        self.front.fail(items, error, now, final=final)
        self._drop_deleted(items, start, kept)
        if self.said == REJECT:
            yield from self.bury(items)
        return [item for item in items if item.held]

    def _judge_each(
        self, items: list[Tried], start: int, found: dict[int, tuple[BaseException, bool]]
    ) -> Asks[list[Tried]]:
        says: set[Said] = set()
        for place, (error, rejected) in found.items():
            reading = read(error, self.retry)
            final = rejected or reading.said in (REJECT, NEVER, SPLIT)
            self.front.fail([items[place]], error, self.now(), final=final)
            self.seconds = max(self.seconds, reading.seconds)
            if not final:
                says.add(reading.said)
        self.said = OUTAGE if says and says <= {BUSY, OUTAGE} else FAILED
        kept = self._keep(items, start, list(found))
        failed = [item for place, item in enumerate(items) if place in found]
        self._drop_deleted(failed, start, kept)
        yield from self.bury([item for item in failed if item.final])
        return [item for item in failed if item.held]

    @property
    def least(self) -> float:
        """How many seconds to wait at least, as the last call said, or everyone was told."""
        return max(self.seconds, self.destination.until - self.now())

    def _drop_deleted(self, failed: list[Tried], start: int, kept: int) -> None:
        """Forget what of *failed*, which follow *start* others, was deleted during the call."""
        count = start + len(failed)
        if kept < count:
            met = self.front.meet(self.in_flight.again(count, False) or [])
            self.in_flight.keep(None)
            held = set(map(id, met))
            self.front.settle([tried for tried in failed if id(tried) not in held])

    def _keep(self, items: list[Tried], start: int, places: list[int]) -> int:
        """Deliver *items*, which follow *start* others, but for *places*; return how many stay."""
        kept = 0
        if start or places:
            kept = self.in_flight.keep([*range(start), *(start + place for place in places)])
        else:
            self.in_flight.acknowledge()
        named = set(places)
        delivered = [item for place, item in enumerate(items) if place not in named]
        if delivered:
            self.front.settle(delivered)
            self.through = self.progress = True
            self.destination.success()
        if self.splitting and delivered and not places:
            self.front.cap = self._passed = max(self._passed, len(delivered))
        return kept

    # --- giving up ---------------------------------------------------------------------

    def bury(self, items: Sequence[Tried]) -> Effects:
        """Hand *items* over, what has one error and number of calls together, and let them go."""
        for run in runs([item for item in items if item.held]):
            yield from self._bury(run)

    def _bury(self, run: list[Tried]) -> Effects:
        front, attempt = self.front, 0
        while places := self._places(run):
            buried = [front.tried[place] for place in places]
            error = buried[0].error or self.error
            cut = yield DeadLetter([item.given for item in buried], error, buried[0].calls)
            if cut is None:
                self.in_flight.bury(places)
                front.settle(buried)
                return
            if not isinstance(cut, CutShort):
                attempt += 1
                yield Wait(self.retry.wait(attempt), cut, attempt, by_handler=True)
        self.in_flight.keep(None)

    def _places(self, run: list[Tried]) -> list[int]:
        """Return where *run* is in line: what is deleted, or another value now, is not."""
        front, wanted = self.front, set(map(id, run))
        mine = (n for n, tried in enumerate(front.tried, 1) if id(tried) in wanted)
        count = max(islice(mine, len(wanted)), default=0)  # looks no further than at the last
        items = self._first(count)
        places: list[int] = []
        met = front.meet(items, count)
        for place, (tried, item) in enumerate(zip(met, items, strict=True)):
            if id(tried) in wanted:
                if front.is_as_tried(tried, item):
                    places.append(place)
                else:
                    front.renew(tried)
        return places
