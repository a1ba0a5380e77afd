"""A Queue against a list per key, under rules that Hypothesis orders as it likes."""

import itertools
from typing import Any

import pytest

pytest.importorskip("hypothesis")
from helpers import KINDS, Sink, rounds, wait_until
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from partitioned_buffer import (
    BufferFull,
    BufferNotRunning,
    PartialFailure,
    Reject,
    Retry,
    RetryAfter,
)
from partitioned_buffer.testing import FakeClock, assert_balanced

keys = st.integers(0, 5)
sizes = st.one_of(st.integers(1, 4), st.just("table"))
bounds = st.none() | st.tuples(
    st.sampled_from(["max_size", "max_bytes"]),
    st.integers(3, 12),
    st.sampled_from(["block", "raise", "drop_newest", "drop_oldest"]),
)
errors: st.SearchStrategy[Any] = st.sampled_from(
    [OSError(), PartialFailure, Reject(), RetryAfter(1), ValueError("permanent"), SystemExit()]
)
SLOW = 100.0
"""Seconds that a slow call takes: more than `processing_timeout`."""
_numbers = itertools.count()

Item = tuple[int, int]


class QueueMachine(RuleBasedStateMachine):
    """The model: what was accepted under each key, in order, and where each item can have gone."""

    face = "threads"

    @initialize(
        partitions=st.integers(1, 4),
        size=sizes,
        flush_at=st.none() | st.integers(1, 6),
        bound=bounds,
        attempts=st.none() | st.integers(1, 3),
        patience=st.sampled_from([1.0, 20.0]),  # seconds: below, and above, the interval
    )
    def begin(
        self,
        partitions: int,
        size: Any,
        flush_at: int | None,
        bound: tuple[str, int, str] | None,
        attempts: int | None,
        patience: float,
    ) -> None:
        self.clock = FakeClock()
        self.sink = Sink(self.clock)
        self.bound = bound
        more: dict[str, Any] = {}
        if bound is not None:
            more = {bound[0]: bound[1], "when_full": bound[2]}
            more |= {"block_timeout": patience} if bound[2] == "block" else {}
            more |= {"size_of": lambda item: 1 + item[0] % 2} if bound[0] == "max_bytes" else {}
        self.queue = KINDS[self.face]["queue"](
            f"model-{next(_numbers)}",
            self.sink,
            partitions=partitions,
            processing_batch_size=size,
            flush_at=flush_at,
            partition_key=lambda item: item[0],
            retry=Retry(attempts=attempts, wait_initial=2.0, jitter=0.0, never=ValueError),
            dead_letter=self.sink.bury,
            clock=self.clock,
            **more,
        ).start()
        self.accepted: list[Item] = []
        self.count = 0

    def _new(self, key: int) -> Item:
        self.count += 1
        return key, self.count

    @precondition(lambda self: self.queue.running)
    @rule(key=keys)
    def push(self, key: int) -> None:
        item = self._new(key)
        try:
            self.queue.push(item)
        except BufferFull:
            assert self._may_raise()
        else:
            self.accepted.append(item)

    @precondition(lambda self: self.queue.running)
    @rule(chosen=st.lists(keys, max_size=8))
    def push_all(self, chosen: list[int]) -> None:
        items = [self._new(key) for key in chosen]
        before = self.queue.stats().accepted
        try:
            self.queue.push_all(items)
        except BufferFull:
            assert self._may_raise()
            if self.queue.stats().accepted != before:  # more than fits at once: by parts
                self._accept_some(items)
        else:
            self.accepted += items

    def _accept_some(self, items: list[Item]) -> None:
        held = {
            item for table in (p.table for p in self.queue._partitions) for item in table.held()
        }
        known = held.union(self.sink.delivered, self.sink.dead)
        self.accepted += [item for item in items if item in known]

    def _may_raise(self) -> bool:
        return self.bound is not None and self.bound[2] in ("block", "raise")

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

    @rule(chosen=st.lists(errors, min_size=1, max_size=4))
    def fail(self, chosen: list[BaseException]) -> None:
        self.sink.fail(*chosen)

    @rule(error=st.sampled_from([OSError(), PartialFailure, KeyboardInterrupt()]))
    def fail_always(self, error: Any) -> None:
        self.sink.fail_always(error)

    @rule(seconds=st.sampled_from([1.0, SLOW]), calls=st.integers(1, 2))
    def be_slow(self, seconds: float, calls: int) -> None:
        self.sink.delays += [seconds] * calls

    @rule(down=st.booleans())
    def lose_dead_letters(self, down: bool) -> None:
        self.sink.bury_down = down

    @rule()
    def recover(self) -> None:
        self.sink.recover()

    @precondition(lambda self: self.queue.running)
    @rule(timeout=st.sampled_from([0.0, 3.0, 60.0]))
    def flush(self, timeout: float) -> None:
        began, slow = self.clock.monotonic(), sum(self.sink.delays)
        failing = self.sink.down is not None or self.sink.errors != [] or self.sink.bury_down
        try:
            self.queue.flush(timeout)
        except TimeoutError:
            assert failing or slow or timeout == 0
            assert began + timeout <= self.clock.monotonic() <= began + timeout + slow
        else:
            assert self.queue.size() == 0

    @rule(size=sizes, flush_at=st.none() | st.integers(1, 6))
    def retune(self, size: Any, flush_at: int | None) -> None:
        self.queue.update_options(processing_batch_size=size, flush_at=flush_at)

    @precondition(lambda self: self.queue.running)
    @rule(timeout=st.none() | st.sampled_from([0.0, 3.0, 30.0]))
    def stop(self, timeout: float | None) -> None:
        delivered, dead = len(self.sink.delivered), len(self.sink.dead)
        began, slow = self.clock.monotonic(), sum(self.sink.delays)
        report = self.queue.stop(timeout)
        wait_until(lambda: all(worker.ended for worker in self.queue._run.workers))
        assert timeout is None or self.clock.monotonic() <= began + timeout + slow
        assert report.delivered + report.dead_lettered + len(report.left) <= self.count
        assert report.delivered <= len(self.sink.delivered) - delivered
        assert report.dead_lettered <= len(self.sink.dead) - dead
        assert len(report.left) >= self.queue.size()
        if timeout is None and not slow:  # no call can have been left behind
            assert report.delivered == len(self.sink.delivered) - delivered
            assert report.dead_lettered == len(self.sink.dead) - dead
            assert len(report.left) == self.queue.size()

    @precondition(lambda self: not self.queue.running)
    @rule()
    def start(self) -> None:
        self.queue.start()

    @invariant()
    def ordered_and_counted(self) -> None:
        if self.queue.running:
            self.clock.settle()
        stats = self.queue.stats()
        assert_balanced(stats)
        assert stats.restarts == stats.overdue == 0
        assert stats.dead_letter_errors == self.sink.bury_errors
        assert stats.accepted == len(self.accepted)
        assert stats.delivered == len(self.sink.delivered)
        assert stats.dead_lettered == len(self.sink.dead)
        assert self.queue.size() == stats.held
        held = [
            item for table in (p.table for p in self.queue._partitions) for item in table.held()
        ]
        everywhere = self.sink.delivered + self.sink.dead + held
        assert len(set(everywhere)) == len(everywhere) == stats.accepted - stats.dropped
        assert set(everywhere) <= set(self.accepted)
        for one in (self.sink.delivered, held):
            for key in range(6):
                numbers = [number for other, number in one if other == key]
                assert numbers == sorted(numbers), "out of order"
        self._check_bound(held)

    def _check_bound(self, held: list[Item]) -> None:
        if self.bound is None:
            return
        weighed = self.bound[0] == "max_bytes"
        load = sum(1 + key % 2 for key, _ in held) if weighed else len(held)
        room: Any = self.queue._admission.room
        used = room.used_bytes if weighed else room.used
        assert load == used <= self.bound[1], "room leaks"
        assert (room.used, room.used_bytes) == room.recount()

    def teardown(self) -> None:
        self.sink.recover()
        self.sink.delays.clear()
        if not self.queue.running:
            self.queue.start()
        assert self.queue.stop().left == ()
        assert_balanced(self.queue.stats())


class TaskQueueMachine(QueueMachine):
    """The same over tasks that await their processor."""

    face = "coroutines"


for machine, examples in ((QueueMachine, rounds(300)), (TaskQueueMachine, rounds(100))):
    machine.TestCase.settings = settings(
        max_examples=examples, stateful_step_count=40, deadline=None, print_blob=True
    )
TestQueueModel = QueueMachine.TestCase
TestTaskQueueModel = TaskQueueMachine.TestCase
