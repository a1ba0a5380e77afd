"""
The policy over real tables, in time that is only counted: a day of outages takes a second.

Partitions deliver to a scripted destination. What became of each item, and what that cost, is
in the simulation's lists; what no policy may do is asserted as it goes.
"""

import heapq
import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from partitioned_buffer import PartialFailure, Retry
from partitioned_buffer._core.policy.deliver import deliver
from partitioned_buffer._core.policy.destination import Destination
from partitioned_buffer._core.policy.effects import (
    FLUSH,
    FULL,
    NEWS,
    DeadLetter,
    End,
    Find,
    Process,
    Wait,
)
from partitioned_buffer._core.policy.front import Front
from partitioned_buffer._core.policy.trial import Trial
from partitioned_buffer._core.tables.implementation import QueueTable


@dataclass(eq=False)
class Item:
    number: int  # in its partition
    partition: int
    poison: BaseException | None = None  # what a call with it in raises
    shard: int = 0
    size: int = 1

    def __repr__(self) -> str:
        return f"<{self.partition}.{self.number}{'!' if self.poison else ''}>"


Answer = tuple[float, BaseException | None, bool]
"""What a call takes, what it raises, and whether that is an outage's."""
Script = Callable[[float, int, list[Item]], Answer]
"""Answers a call at a time, of a partition, with these items."""


@dataclass
class Call:
    at: float
    partition: int
    items: list[Item]
    error: BaseException | None
    down: bool


@dataclass
class Dead:
    at: float
    items: list[Item]
    error: BaseException
    attempts: int


class Lane:
    """One partition."""

    def __init__(self, index: int, destination: Destination) -> None:
        self.table = QueueTable()
        self.table.open(lambda: None, None)
        self.front = Front(destination, index)
        self.steps: Any = None
        self.rest: tuple[list[Any], Wait] | None = None
        self.called = -1e9  # when the last call ended
        self.last = -1  # number of what was delivered last
        self.waits = 0


class Simulation:
    """Runs until *until*, and checks as it goes."""

    def __init__(
        self,
        script: Script,
        pushes: Iterable[tuple[float, int, list[Item]]],
        *,
        partitions: int = 1,
        size: int | None = 10,
        retry: Retry | None = None,
        interval: float = 5.0,
        until: float = 5 * 3600.0,
        flushes: Iterable[float] = (),
        seed: int = 0,
        may_overtake: bool = False,
    ) -> None:
        random.seed(seed)
        self.now, self._script, self._size, self._until = 0.0, script, size, until
        self._retry, self._interval, self._may_overtake = retry or Retry(), interval, may_overtake
        self._heap: list[list[Any]] = []
        self._ticks = itertools.count()
        self.destination = Destination()
        self.lanes = [Lane(index, self.destination) for index in range(partitions)]
        self.calls: list[Call] = []
        self.dead: list[Dead] = []
        self.delivered: list[Item] = []
        self.drained: float | None = None  # when something was delivered last
        self.tried: Counter[Item] = Counter()
        self._done: set[Item] = set()
        self._pushed = 0
        for at, index, items in pushes:
            self._at(at, self._push, index, items)
        for at in flushes:
            self._at(at, self._flush)
        for index in range(partitions):
            self._at(interval * (index + 1) / partitions, self._cycle, index)
        self._run()

    # --- what came of it -----------------------------------------------------------------

    @property
    def down(self) -> int:
        """How many calls found it down."""
        return sum(call.down for call in self.calls)

    @property
    def given_up(self) -> list[Item]:
        return [item for dead in self.dead for item in dead.items]

    @property
    def innocent(self) -> list[Item]:
        return [item for item in self.given_up if not item.poison]

    @property
    def held(self) -> list[Item]:
        return [item for lane in self.lanes for item in lane.table.held()]

    # --- time ----------------------------------------------------------------------------

    def _at(self, when: float, function: Callable[..., None], *args: Any) -> list[Any]:
        handle = [when, next(self._ticks), function, args]
        heapq.heappush(self._heap, handle)
        return handle

    def _run(self) -> None:
        while self._heap and self._heap[0][0] <= self._until:
            self.now, _, function, args = heapq.heappop(self._heap)
            if function is not None:
                function(*args)
        assert len(self._done) + len(self.held) == self._pushed

    def _push(self, index: int, items: list[Item]) -> None:
        self.lanes[index].table.push_all(items)
        self._pushed += len(items)

    def _cycle(self, index: int) -> None:
        lane = self.lanes[index]
        if lane.steps is None and lane.table.swap():
            trial = Trial(lane.table, self._retry, lane.front, lambda: self.now)
            lane.steps = deliver(trial, lambda: lane.table.take(self._size), self._size)
            self._step(lane, None)
        self._at(self.now + self._interval, self._cycle, index)

    # --- the driver ------------------------------------------------------------------------

    def _step(self, lane: Lane, outcome: Any) -> None:
        news = self.destination.news
        while True:
            try:
                effect = lane.steps.send(outcome)
            except StopIteration:
                lane.steps = None
                break
            outcome = None
            if isinstance(effect, DeadLetter):
                self._bury(effect)
            elif isinstance(effect, Find):
                effect.names()
            elif isinstance(effect, Process):
                self._call(lane, list(effect.batch))
                break
            else:
                lane.waits += 1
                lane.rest = self._at(self.now + effect.seconds, self._rested, lane, FULL), effect
                break
        if news != self.destination.news:
            self._tell()

    def _call(self, lane: Lane, items: list[Item]) -> None:
        self.tried.update(items)
        assert self._may_overtake or all(item.number > lane.last for item in items), "overtaken"
        took, error, down = self._script(self.now, items[0].partition, items)
        self._at(self.now + took, self._called, lane, items, error, down)

    def _called(
        self, lane: Lane, items: list[Item], error: BaseException | None, down: bool
    ) -> None:
        lane.called = self.now
        self.calls.append(Call(self.now, items[0].partition, items, error, down))
        good = [] if error else items
        if isinstance(error, PartialFailure):
            named = {*(error.retry or ()), *(error.reject or ())}
            good = [item for item in items if item not in named]
        for item in good:
            assert item not in self._done, "twice"
            self._done.add(item)
            lane.last = max(lane.last, item.number)
            self.drained = self.now
        self.delivered += good
        self._step(lane, error)

    def _bury(self, effect: DeadLetter) -> None:
        for item in effect.items:
            assert item not in self._done, "twice"
            assert effect.attempts == self.tried[item], "its very own"
            self._done.add(item)
        self.dead.append(Dead(self.now, effect.items, effect.error, effect.attempts))

    def _rested(self, lane: Lane, end: End) -> None:
        lane.rest = None
        self._step(lane, end)

    def _tell(self) -> None:
        for lane in self.lanes:
            if lane.rest is not None and lane.rest[1].news not in (None, self.destination.news):
                self._cut(lane, NEWS, self.now)

    def _flush(self) -> None:
        for lane in self.lanes:
            if lane.rest is not None:
                self._cut(lane, FLUSH, max(self.now, lane.called + lane.rest[1].least))

    def _cut(self, lane: Lane, end: End, when: float) -> None:
        assert lane.rest is not None
        handle, wait = lane.rest
        if when < handle[0]:
            handle[2] = None
            lane.rest = self._at(when, self._rested, lane, end), wait


# --- destinations, and what is written to them ---------------------------------------------------

MS = 0.005


def is_never(_now: float, _partition: int, _item: Item) -> bool:
    return False


def destination(
    down: Callable[[float, int, Item], bool] = is_never,
    *,
    hang: float = MS,
    slow: float = 0.0,
    limit: int | None = None,
    bulk: bool = False,
    too_large: Callable[[], BaseException] = ValueError,
) -> Script:
    """Answer as real ones do: by *bulk* with what failed, else with the first error."""

    def script(now: float, partition: int, items: list[Item]) -> Answer:
        off = [item for item in items if down(now, partition, item)]
        if off and (not bulk or len(off) == len(items)):
            return hang, ConnectionError("down"), True
        if limit is not None and sum(item.size for item in items) > limit:
            return MS, too_large(), False
        took, bad = MS + slow * len(items), [item for item in items if item.poison]
        if not bad:
            return took, None, False
        return took, PartialFailure([*bad, *off]) if bulk else bad[0].poison, False

    return script


def load(
    count: int,
    partitions: int = 1,
    *,
    poison: Callable[[int], bool] = lambda _: False,
    every: float = 0.0,
    shards: int = 1,
    size: Callable[[int], int] = lambda _: 1,
) -> list[tuple[float, int, list[Item]]]:
    """Return pushes of *count* items, one *every* so many seconds, to the partitions in turn."""
    pushes = []
    for number in range(count):
        partition = number % partitions
        item = Item(
            number // partitions,
            partition,
            ValueError("bad") if poison(number) else None,
            (number if partitions == 1 else partition) % shards,
            size(number),
        )
        pushes.append((every * number, partition, [item]))
    return pushes


def between(begin: float, end: float) -> Callable[[float, int, Item], bool]:
    return lambda now, _partition, _item: begin <= now < end
