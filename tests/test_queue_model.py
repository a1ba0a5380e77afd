"""A Queue against a list per partition, under rules that Hypothesis orders as it likes."""

import itertools
from typing import Any

import pytest

pytest.importorskip("hypothesis")
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from partitioned_buffer import BufferNotRunning, Queue
from partitioned_buffer.testing import FakeClock, RecordingProcessor, assert_balanced

keys = st.integers(0, 5)
sizes = st.one_of(st.integers(1, 4), st.just("table"))
_numbers = itertools.count()


class QueueMachine(RuleBasedStateMachine):
    """The model: what was accepted under each key, in order."""

    @initialize(partitions=st.integers(1, 4), size=sizes, flush_at=st.none() | st.integers(1, 6))
    def begin(self, partitions: int, size: Any, flush_at: int | None) -> None:
        self.clock, self.processor = FakeClock(), RecordingProcessor()
        self.queue = Queue[tuple[int, int]](
            f"model-{next(_numbers)}",
            self.processor,
            partitions=partitions,
            processing_batch_size=size,
            flush_at=flush_at,
            partition_key=lambda item: item[0],
            clock=self.clock,
        ).start()
        self.accepted: dict[int, list[int]] = {}
        self.count = 0
        self.failing = False

    def _new(self, key: int) -> tuple[int, int]:
        self.count += 1
        return key, self.count

    def _accept(self, *items: tuple[int, int]) -> None:
        for key, number in items:
            self.accepted.setdefault(key, []).append(number)

    @precondition(lambda self: self.queue.running)
    @rule(key=keys)
    def push(self, key: int) -> None:
        item = self._new(key)
        self.queue.push(item)
        self._accept(item)

    @precondition(lambda self: self.queue.running)
    @rule(chosen=st.lists(keys, max_size=8))
    def push_all(self, chosen: list[int]) -> None:
        items = [self._new(key) for key in chosen]
        self.queue.push_all(items)
        self._accept(*items)

    @precondition(lambda self: not self.queue.running)
    @rule(key=keys)
    def push_refused(self, key: int) -> None:
        with pytest.raises(BufferNotRunning):
            self.queue.push(self._new(key))
        with pytest.raises(BufferNotRunning):
            self.queue.push_all([self._new(key), self._new(key)])

    @rule(seconds=st.sampled_from([0.5, 5.0, 12.0]))
    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(failures=st.integers(1, 3))
    def fail(self, failures: int) -> None:
        self.processor.fail(*[OSError()] * failures)

    @precondition(lambda self: self.queue.running and not self.processor._errors)
    @rule()
    def flush(self) -> None:
        self.queue.flush(timeout=60.0)
        assert self._delivered() == self.accepted
        assert self.queue.size() == 0

    @rule(size=sizes, flush_at=st.none() | st.integers(1, 6))
    def retune(self, size: Any, flush_at: int | None) -> None:
        self.queue.update_options(processing_batch_size=size, flush_at=flush_at)

    @precondition(lambda self: self.queue.running)
    @rule()
    def stop(self) -> None:
        before = len(self.processor.items)
        report = self.queue.stop()
        assert report.delivered == len(self.processor.items) - before
        assert len(report.left) == self.queue.size()
        delivered = self._delivered()
        for key, numbers in self.accepted.items():
            left = [number for other, number in report.left if other == key]
            assert delivered.get(key, []) + left == numbers

    @precondition(lambda self: not self.queue.running)
    @rule()
    def start(self) -> None:
        self.queue.start()

    def _delivered(self) -> dict[int, list[int]]:
        delivered: dict[int, list[int]] = {}
        for key, number in self.processor.items:
            delivered.setdefault(key, []).append(number)
        return delivered

    @invariant()
    def ordered_and_counted(self) -> None:
        self.clock.settle()
        for key, numbers in self._delivered().items():
            assert numbers == self.accepted[key][: len(numbers)], "lost, doubled or out of order"
        stats = self.queue.stats()
        assert_balanced(stats)
        assert stats.restarts == 0
        assert stats.accepted == sum(map(len, self.accepted.values()))
        assert stats.delivered == len(self.processor.items)
        assert self.queue.size() == stats.held

    def teardown(self) -> None:
        self.processor._errors.clear()
        if not self.queue.running:
            self.queue.start()
        assert self.queue.stop().left == ()
        assert self._delivered() == self.accepted


QueueMachine.TestCase.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, print_blob=True
)
TestQueueModel = QueueMachine.TestCase
