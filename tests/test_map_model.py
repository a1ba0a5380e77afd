"""A Map against dicts with versions, under rules that Hypothesis orders as it likes."""

import itertools
from typing import Any

import pytest

pytest.importorskip("hypothesis")
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from partitioned_buffer import BufferNotRunning, Entry, Map
from partitioned_buffer.testing import FakeClock, RecordingProcessor, assert_balanced

keys = st.sampled_from("abcdef")
versions = st.integers(-2, 9)
sizes = st.one_of(st.integers(1, 4), st.just("table"))
_numbers = itertools.count()


class Model:
    """What a Map of one partition should do, written the slow and obvious way."""

    def __init__(self) -> None:
        self.waiting: dict[str, Entry[str, int]] = {}
        self.in_flight: dict[str, Entry[str, int]] = {}
        self.seen: dict[str, int] = {}
        self.delivered: list[Entry[str, int]] = []
        self.accepted = self.coalesced = self.deleted = 0
        self.plain: set[str] = set()  # keys whose in-flight entry is a plain put

    def put(self, key: str, value: int) -> None:
        self.accepted += 1
        self.coalesced += key in self.waiting
        self.waiting[key] = Entry(key, value, 0, 0)

    def put_newer(self, key: str, value: int, version: int) -> None:
        self.accepted += 1
        if old := self.waiting.get(key):
            self.coalesced += 1
            if version > old.version:
                self.waiting[key] = Entry(key, value, version, old.updates + 1)
            return
        if key in self.in_flight:
            beat: int | None = self.in_flight[key].version
        else:
            beat = self.seen.get(key)
        if beat is not None and version <= beat:
            self.coalesced += 1
        else:
            self.waiting[key] = Entry(key, value, version, 0)

    def delete(self, key: str) -> None:
        self.seen.pop(key, None)
        self.deleted += (self.waiting.pop(key, None) is not None) + (
            self.in_flight.pop(key, None) is not None
        )

    def get(self, key: str) -> int | None:
        entry = self.waiting.get(key) or self.in_flight.get(key)
        return entry.value if entry else None

    def swap(self, versioned: set[int]) -> None:
        for key, new in self.waiting.items():
            old = self.in_flight.get(key)
            if old is not None:
                self.coalesced += 1
                if new.value in versioned:
                    new = new._replace(updates=old.updates + new.updates + 1)  # noqa: PLW2901
            self.in_flight[key] = new
        self.waiting = {}

    def deliver(self, count: int, versioned: set[int]) -> None:
        for entry in list(self.in_flight.values())[:count]:
            del self.in_flight[entry.key]
            self.delivered.append(entry)
            if entry.value in versioned:
                self.seen[entry.key] = entry.version
            else:
                self.seen.pop(entry.key, None)


class MapMachine(RuleBasedStateMachine):
    """One partition, so that the model knows when a cycle begins. Values are unique."""

    @initialize(size=sizes)
    def begin(self, size: Any) -> None:
        self.clock, self.processor, self.model = FakeClock(), RecordingProcessor(), Model()
        self.map = Map[str, int](
            f"model-{next(_numbers)}",
            self.processor,
            partitions=1,
            processing_batch_size=size,
            clock=self.clock,
        ).start()
        self.size: Any = size
        self.count = 0
        self.versioned: set[int] = set()  # values that came by put_newer

    def _value(self, *, versioned: bool = False) -> int:
        self.count += 1
        if versioned:
            self.versioned.add(self.count)
        return self.count

    @precondition(lambda self: self.map.running)
    @rule(chosen=st.lists(keys, min_size=1, max_size=5), many=st.booleans())
    def put(self, chosen: list[str], many: bool) -> None:
        pairs = [(key, self._value()) for key in chosen]
        if many:
            self.map.put_all(pairs)
        for key, value in pairs:
            if not many:
                self.map.put(key, value)
            self.model.put(key, value)

    @precondition(lambda self: self.map.running)
    @rule(chosen=st.lists(st.tuples(keys, versions), min_size=1, max_size=5), many=st.booleans())
    def put_newer(self, chosen: list[tuple[str, int]], many: bool) -> None:
        triples = [(key, self._value(versioned=True), version) for key, version in chosen]
        if many:
            self.map.put_all_newer(triples)
        for triple in triples:
            if not many:
                self.map.put_newer(*triple)
            self.model.put_newer(*triple)

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

    def _cycle(self, good_batches: int | None) -> None:
        """Let the model do what one cycle does; *good_batches* come before a failure."""
        self.model.swap(self.versioned)
        held = len(self.model.in_flight)
        size = held if self.size == "table" else self.size
        count = held if good_batches is None else good_batches * size
        self.model.deliver(count, self.versioned)

    @precondition(lambda self: self.map.running)
    @rule()
    def cycle(self) -> None:
        self.clock.advance(5.0)
        self._cycle(None)

    @precondition(lambda self: self.map.running)
    @rule()
    def failing_cycle(self) -> None:
        self.processor.fail(OSError())
        self.clock.advance(5.0)
        self._cycle(0)
        self.processor._errors.clear()  # there may have been nothing to process

    @precondition(lambda self: self.map.running)
    @rule()
    def flush(self) -> None:
        self.map.flush()
        self._cycle(None)

    @rule(size=sizes)
    def retune(self, size: Any) -> None:
        self.map.update_options(processing_batch_size=size)
        self.clock.settle()
        self.size = size

    @precondition(lambda self: self.map.running)
    @rule(failing=st.booleans())
    def stop(self, failing: bool) -> None:
        if failing:
            self.processor.fail(OSError())
        report = self.map.stop()
        self._cycle(0 if failing else None)
        self.processor._errors.clear()
        assert list(report.left) == list(self.model.in_flight.values())

    @precondition(lambda self: not self.map.running)
    @rule()
    def start(self) -> None:
        self.map.start()

    @invariant()
    def same_as_the_model(self) -> None:
        model, stats = self.model, self.map.stats()
        assert self.processor.items == model.delivered
        assert_balanced(stats)
        assert stats.restarts == 0
        assert stats.accepted == model.accepted
        assert stats.delivered == len(model.delivered)
        assert stats.coalesced == model.coalesced
        assert stats.deleted == model.deleted
        assert stats.waiting == len(model.waiting)
        assert stats.in_flight == len(model.in_flight)

    def teardown(self) -> None:
        self.map.stop()
        assert_balanced(self.map.stats())


MapMachine.TestCase.settings = settings(
    max_examples=200, stateful_step_count=40, deadline=None, print_blob=True
)
TestMapModel = MapMachine.TestCase
