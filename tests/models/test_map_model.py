"""A Map against dicts with versions, under rules that Hypothesis orders as it likes."""

import itertools
import operator
from collections.abc import Iterable
from typing import Any, NamedTuple

import pytest

pytest.importorskip("hypothesis")
from helpers import EVERY_5_S, KINDS, Sink, rounds, unwoken
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from partitioned_buffer import BufferFull, BufferNotRunning, Entry, PartialFailure, Reject
from partitioned_buffer.testing import FakeClock, assert_balanced

keys = st.sampled_from("abcdef")
versions = st.integers(-2, 9)
sizes = st.one_of(st.integers(1, 4), st.just("table"))
bounds = st.none() | st.tuples(
    st.integers(2, 6), st.sampled_from(["raise", "block", "drop_newest", "drop_oldest"])
)
SLOW = 70.0
"""Seconds that a slow call takes: more than `processing_timeout`."""
_numbers = itertools.count()


class Held(NamedTuple):
    entry: Entry[str, int]
    versioned: bool


class Full(Exception):
    """The model's own BufferFull."""


class Model:
    """What a Map of one partition should do, written the slow and obvious way."""

    def __init__(self, bound: tuple[int, str] | None, merging: bool) -> None:
        self.bound, self.merging = bound, merging
        self.waiting: dict[str, Held] = {}
        self.in_flight: dict[str, Held] = {}
        self.left_over = False  # what is in flight was so when the cycle began
        self.hand: list[str] | None = None  # keys of a batch that failed
        self.seen: dict[str, int] = {}
        self.delivered: list[Entry[str, int]] = []
        self.dead: list[Entry[str, int]] = []
        self.accepted = self.coalesced = self.deleted = self.dropped = 0

    def _merged(self, old: Held, value: int) -> int:
        return old.entry.value + value if self.merging else value

    def put(self, key: str, value: int) -> None:
        if old := self.waiting.get(key):
            self.coalesced += 1
            value = self._merged(old, value)
        elif not self._let_in():
            return
        self.accepted += 1
        self.waiting[key] = Held(Entry(key, value, 0, 0), versioned=False)

    def put_newer(self, key: str, value: int, version: int) -> None:
        if old := self.waiting.get(key):
            self.accepted += 1
            self.coalesced += 1
            if version > old.entry.version:
                value = self._merged(old, value)
                new = Entry(key, value, version, old.entry.updates + 1)
                self.waiting[key] = Held(new, versioned=True)
            return
        beat = self.in_flight[key].entry.version if key in self.in_flight else self.seen.get(key)
        if beat is not None and version <= beat:
            self.accepted += 1
            self.coalesced += 1
        elif self._let_in():
            self.accepted += 1
            self.waiting[key] = Held(Entry(key, value, version, 0), versioned=True)

    def _let_in(self) -> bool:
        """Make room for one more key, or say that it is dropped, or raise."""
        if self.bound is None or len(self.waiting) + len(self.in_flight) < self.bound[0]:
            return True
        if self.bound[1] in ("raise", "block"):
            raise Full
        self.dropped += 1
        if self.bound[1] == "drop_oldest":
            in_line = [key for key in self.in_flight if key not in (self.hand or [])]
            if in_line:
                del self.in_flight[in_line[0]]
                return True
            if self.waiting:
                del self.waiting[next(iter(self.waiting))]
                return True
        self.accepted += 1
        return False

    def delete(self, key: str) -> None:
        self.seen.pop(key, None)
        for part in (self.waiting, self.in_flight):
            self.deleted += part.pop(key, None) is not None
        if self.hand and key in self.hand:
            self.hand.remove(key)

    def get(self, key: str) -> int | None:
        held = self.waiting.get(key) or self.in_flight.get(key)
        return held.entry.value if held else None

    def _put_over(self, key: str, new: Held) -> None:
        old = self.in_flight.get(key)
        entry = new.entry
        if old is not None:
            self.coalesced += 1
            entry = entry._replace(value=self._merged(old, entry.value))
            if new.versioned:
                entry = entry._replace(updates=old.entry.updates + entry.updates + 1)
        self.in_flight[key] = Held(entry, new.versioned)

    def swap(self) -> None:
        """Put in flight what waits; but what was left over goes first, as new as it is by then."""
        self.left_over = bool(self.in_flight)
        if not self.in_flight:
            self.in_flight, self.waiting = self.waiting, {}

    def freshen(self) -> None:
        """Put what waits over what was left over, batch by batch: here, over all of it."""
        for key in list(self.in_flight):
            if key in self.waiting:
                self._put_over(key, self.waiting.pop(key))

    def take(self, size: Any) -> None:
        """Have the next batch in hand, or the one that failed, with what is newer."""
        if self.hand is None:
            self.hand = list(self.in_flight)[: None if size == "table" else size]
        for key in self.hand:
            if key in self.waiting:
                self._put_over(key, self.waiting.pop(key))

    def settle(self, chosen: Iterable[str], to: list[Entry[str, int]]) -> None:
        for key in chosen:
            held = self.in_flight.pop(key)
            to.append(held.entry)
            if to is self.dead:  # what has never arrived may come again
                continue
            if held.versioned:
                self.seen[key] = held.entry.version
            else:
                self.seen.pop(key, None)

    def attempt(self, outcome: str, size: Any) -> list[str]:
        """Let the batch in hand come to its outcome; return the keys that failed."""
        self.take(size)
        assert self.hand is not None
        failed = {"good": [], "reject": [], "bad": self.hand, "partial": self.hand[::2]}[outcome]
        settled = [key for key in self.hand if key not in failed]
        self.settle(settled, self.dead if outcome == "reject" else self.delivered)
        self.hand = failed or None
        return list(failed)

    def deliver_all(self) -> None:
        self.hand = None
        if self.left_over:
            self.freshen()
        self.settle(list(self.in_flight), self.delivered)


class MapMachine(RuleBasedStateMachine):
    """One partition, so that the model knows when a cycle begins. Values are unique."""

    face = "threads"

    @initialize(size=sizes, bound=bounds, merging=st.booleans())
    def begin(self, size: Any, bound: tuple[int, str] | None, merging: bool) -> None:
        self.clock, self.model = FakeClock(), Model(bound, merging)
        self.sink = Sink(self.clock)
        more: dict[str, Any] = {"merge": operator.add if merging else None}
        if bound is not None:
            more |= {"max_size": bound[0], "when_full": bound[1]}
        self.map = KINDS[self.face]["map"](
            f"model-{next(_numbers)}",
            self.sink,
            partitions=1,
            processing_batch_size=size,
            retry=EVERY_5_S,
            dead_letter=self.sink.bury,
            clock=self.clock,
            **more,
        )
        self._start()
        self.size: Any = size
        self.count = 0

    def _start(self) -> None:
        self.map.start()
        if self.model.bound is not None and self.model.bound[1] != "block":
            unwoken(self.map)  # for the model knows of no cycle that a full buffer starts

    def _value(self) -> int:
        self.count += 1
        return 1 << self.count  # so that a sum tells its parts

    def _together(self, write: Any, items: list[Any], model: Any) -> None:
        """Write one by one: whether many fit together is another test's business."""
        for item in items:
            try:
                model(*item)
            except Full:
                self._write_when_full(write, item, model)
            else:
                write(*item)

    def _write_when_full(self, write: Any, item: Any, model: Any) -> None:
        assert self.model.bound is not None
        if self.model.bound[1] == "raise":
            with pytest.raises(BufferFull):
                write(*item)
        elif (
            self.model.hand is None and not self.model.in_flight
        ):  # blocked until the next cycle, to which the clock jumps
            write(*item)
            self.clock.settle()
            self.model.swap()
            self.model.deliver_all()
            model(*item)

    @precondition(lambda self: self.map.running)
    @rule(chosen=st.lists(keys, min_size=1, max_size=5), many=st.booleans())
    def put(self, chosen: list[str], many: bool) -> None:
        pairs = [(key, self._value()) for key in chosen]
        if many and self.model.bound is None:
            self.map.put_all(pairs)
            for pair in pairs:
                self.model.put(*pair)
        else:
            self._together(self.map.put, pairs, self.model.put)

    @precondition(lambda self: self.map.running)
    @rule(chosen=st.lists(st.tuples(keys, versions), min_size=1, max_size=5), many=st.booleans())
    def put_newer(self, chosen: list[tuple[str, int]], many: bool) -> None:
        triples = [(key, self._value(), version) for key, version in chosen]
        if many and self.model.bound is None:
            self.map.put_all_newer(triples)
            for triple in triples:
                self.model.put_newer(*triple)
        else:
            self._together(self.map.put_newer, triples, self.model.put_newer)

    @precondition(lambda self: self.map.running)
    @rule(key=keys)
    def delete(self, key: str) -> None:
        self.map.delete(key)
        self.model.delete(key)

    @rule(key=keys)
    def get(self, key: str) -> None:
        assert self.map.get(key) == self.model.get(key)

    @precondition(lambda self: not self.map.running)
    @rule(key=keys)
    def refused(self, key: str) -> None:
        with pytest.raises(BufferNotRunning):
            self.map.put(key, 0)
        with pytest.raises(BufferNotRunning):
            self.map.put_newer(key, 0, 10)
        with pytest.raises(BufferNotRunning):
            self.map.delete(key)

    @precondition(lambda self: self.map.running)
    @rule(outcome=st.sampled_from(["good", "good", "bad", "partial", "reject"]), slow=st.booleans())
    def cycle(self, outcome: str, slow: bool) -> None:
        """The next batch, or the one that failed, comes to *outcome*; then all goes well."""
        model = self.model
        self.sink.delays = [SLOW] * slow
        in_trouble = model.hand is not None
        if not in_trouble:
            model.swap()
        again = in_trouble or model.left_over  # for what waits has its own turn
        if model.hand == [] or not model.in_flight:
            outcome = "good"
        failed = model.attempt(outcome, self.size)
        if error := {"bad": OSError(), "partial": PartialFailure(failed), "reject": Reject()}.get(
            outcome
        ):
            self.sink.fail(error)
        if not failed:
            model.deliver_all()
            if again:
                model.swap()
                model.deliver_all()
        self.clock.advance(5.0)
        self.sink.delays = []  # it may have had nothing to do

    @precondition(lambda self: self.map.running and self.model.hand != [])
    @rule(timeout=st.sampled_from([0.5, 3.0]))
    def flush_in_vain(self, timeout: float) -> None:
        """What failed, or the next batch, fails again before the time is over."""
        if self.model.hand is None:
            self.model.swap()
        began = self.clock.monotonic()
        self.sink.fail_always(OSError())
        if self.model.in_flight:
            self.model.take(self.size)
            with pytest.raises(TimeoutError):
                self.map.flush(timeout)
            assert self.clock.monotonic() == began + timeout
        else:
            self.map.flush(timeout)
        self.sink.recover()

    @precondition(lambda self: self.map.running)
    @rule(timeout=st.none() | st.just(1.0))
    def flush(self, timeout: float | None) -> None:
        self.map.flush(timeout)
        if self.model.hand is None:
            self.model.swap()
        else:
            self.model.take(self.size)
        self.model.deliver_all()
        self.model.swap()
        self.model.deliver_all()

    @precondition(lambda self: self.map.running and self.model.hand is None)
    @rule(size=sizes)
    def retune(self, size: Any) -> None:
        self.map.update_options(processing_batch_size=size)
        self.clock.settle()
        self.size = size

    @precondition(lambda self: self.map.running)
    @rule(failing=st.booleans(), timeout=st.none() | st.sampled_from([1.0, 12.0]))
    def stop(self, failing: bool, timeout: float | None) -> None:
        model, began = self.model, self.clock.monotonic()
        in_trouble = model.hand is not None
        if failing:
            self.sink.fail_always(OSError())
        elif model.hand is not None:
            model.take(self.size)
            model.deliver_all()
        if model.hand is not None:
            model.take(self.size)
        report = self.map.stop(timeout)
        assert timeout is None or self.clock.monotonic() <= began + timeout
        self.sink.recover()
        model.hand = None
        model.swap()
        if failing and not in_trouble:  # the next batch was tried, as new as it is
            model.take(self.size)
            model.hand = None
        for _ in range(0 if failing else 2):
            model.deliver_all()
            model.swap()
        held = [*model.in_flight.values(), *model.waiting.values()]
        assert list(report.left) == [each.entry for each in held]

    @precondition(lambda self: not self.map.running)
    @rule()
    def start(self) -> None:
        self._start()

    @invariant()
    def same_as_the_model(self) -> None:
        model, stats = self.model, self.map.stats()
        assert self.sink.delivered == model.delivered
        assert self.sink.dead == model.dead
        assert_balanced(stats)
        assert stats.restarts == 0
        assert stats.accepted == model.accepted
        assert stats.delivered == len(model.delivered)
        assert stats.dead_lettered == len(model.dead)
        assert stats.coalesced == model.coalesced
        assert stats.deleted == model.deleted
        assert stats.dropped == model.dropped
        assert stats.waiting == len(model.waiting)
        assert stats.in_flight == len(model.in_flight)
        if model.bound is not None:
            room: Any = self.map._admission.room
            assert room.used == room.recount()[0] == stats.held, "room leaks"

    def teardown(self) -> None:
        self.map.stop()
        assert_balanced(self.map.stats())


class TaskMapMachine(MapMachine):
    """The same over tasks that await their processor."""

    face = "coroutines"


for machine, examples in ((MapMachine, rounds(300)), (TaskMapMachine, rounds(100))):
    machine.TestCase.settings = settings(
        max_examples=examples, stateful_step_count=40, deadline=None, print_blob=True
    )
TestMapModel = MapMachine.TestCase
TestTaskMapModel = TaskMapMachine.TestCase
