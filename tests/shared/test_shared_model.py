"""
Shared Queues in the hands of Hypothesis: processes that come, go and are cut off, and one server.

Each process has a buffer of its own: it writes, delivers, or both. Replies are lost, claims end,
the server is away, and dealt anew. What was accepted is delivered, in the order of its key; what
comes twice was in somebody's window when a claim ended.
"""

import itertools
from typing import Any

import pytest

pytest.importorskip("hypothesis")
from helpers import EVERY_5_S, rounds
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from partitioned_buffer import PartialFailure, Queue, StorageAway
from partitioned_buffer.testing import FakeClock, assert_balanced
from partitioned_buffer.testing.sharing import SharedDict

keys = st.integers(0, 4)
who = st.integers(0, 2)
_numbers = itertools.count()

Item = tuple[int, int, int]
"""A key, the process, and a number: processes have no order among them."""


class Destination:
    """What a process delivers to."""

    def __init__(self, everything: list[Item]) -> None:
        self.everything, self.errors = everything, list[Any]()

    def __call__(self, batch: list[Any]) -> None:
        items = [(key, process, number) for key, process, number in batch]
        error = self.errors.pop(0) if self.errors else None
        failed = {} if error is None else items[len(items) // 2 if error == "part" else 0 :]
        self.everything += [item for item in items if item not in failed]
        if error == "part":
            raise PartialFailure([list(item) for item in failed])
        if error is not None:
            raise OSError


class Process:
    """A buffer, and its way to the server."""

    def __init__(self, machine: "SharedMachine", number: int, **options: Any) -> None:
        self.sink = Destination(machine.everything)
        self.storage = machine.server.another(window=machine.window)
        self.queue: Queue[Any] = Queue(
            f"shared-{next(_numbers)}",
            self.sink if machine.delivers[number] else None,
            storage=self.storage,
            clock=machine.clock,
            retry=EVERY_5_S,
            partition_key=lambda item: item[0],
            **options,
        )


class SharedMachine(RuleBasedStateMachine):
    """The model: what was accepted, and what was delivered when."""

    @initialize(
        partitions=st.integers(1, 4),
        lanes=st.integers(1, 2),
        window=st.sampled_from([1, 3, 8, 1000]),
        size=st.one_of(st.integers(1, 4), st.just("table")),
        delivers=st.lists(st.booleans(), min_size=2, max_size=2),
        limit=st.none() | st.integers(5, 30),
    )
    def begin(
        self,
        partitions: int,
        lanes: int,
        window: int,
        size: Any,
        delivers: list[bool],
        limit: int | None,
    ) -> None:
        self.clock = FakeClock()
        self.window, self.delivers = window, [True, *delivers]
        self.server = SharedDict(
            partitions=partitions, lanes=lanes, lease=6.0, limit=limit, clock=self.clock
        )
        self.everything: list[Item] = []
        self.accepted: list[Item] = []
        self.spare = 0  # how many may come twice
        self.ends = 0
        options = {"processing_batch_size": size, "processing_interval": 1.0}
        self.processes = [Process(self, number, **options) for number in range(3)]
        for process in self.processes:
            process.queue.start()

    # --- what is done to it --------------------------------------------------------

    @rule(process=who, key=keys, count=st.integers(1, 6), together=st.booleans())
    def push(self, process: int, key: int, count: int, together: bool) -> None:
        queue = self.processes[process].queue
        if not queue.running:
            return
        first = len(self.accepted)
        items = [(key, process, first + number) for number in range(count)]
        if together:
            queue.push_all([list(item) for item in items])
        else:
            for item in items:
                queue.push(list(item))
        self.accepted += items

    @rule(process=who, calls=st.integers(1, 3))
    def lose_replies(self, process: int, calls: int) -> None:
        self.processes[process].storage.loses_replies = calls

    @rule(process=who)
    def cut_off(self, process: int) -> None:
        self.processes[process].storage.fails = StorageAway("cut off")
        self._claims_may_end()

    @rule(process=who, lane=st.integers(0, 1))
    def cut_off_a_lane(self, process: int, lane: int) -> None:
        self.processes[process].storage.down_lanes.add(lane)
        self._claims_may_end()

    @rule(process=who)
    def reach(self, process: int) -> None:
        self._reach(self.processes[process])

    @rule(partition=st.integers(0, 3))
    def expire(self, partition: int) -> None:
        self.server.expire(partition)
        self._claims_may_end()

    @precondition(lambda self: self.server._server.lanes == 1)
    @rule(partitions=st.integers(1, 4))
    def resize(self, partitions: int) -> None:
        self.server.resize(partitions)

    @rule(process=who, error=st.sampled_from(["all", "part"]))
    def fail(self, process: int, error: str) -> None:
        self.processes[process].sink.errors.append(error)

    @rule(seconds=st.sampled_from([0.3, 1.5, 8.0]))
    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(process=who, timeout=st.sampled_from([0.0, 1.0, 20.0]))
    def stop(self, process: int, timeout: float) -> None:
        stopped = self.processes[process]
        self._claims_may_end()  # whose farewell does not get through
        before = stopped.queue.size()
        left = stopped.queue.stop(timeout).left
        items = [tuple(item) for item in left]
        assert len(items) == len(left)
        assert set(items) <= set(self.accepted), before

    @rule(process=who)
    def start(self, process: int) -> None:
        begins = self.processes[process]
        if not begins.queue.running:
            self._reach(begins)
            begins.queue.start()

    @rule(process=who, timeout=st.sampled_from([1.0, 30.0]))
    def flush(self, process: int, timeout: float) -> None:
        queue = self.processes[process].queue
        if not queue.running:
            return
        accepted = [item for item in self.accepted if item[1] == process]
        try:
            queue.flush(timeout)
        except TimeoutError:
            return
        layouts = len(self.server._server.generations)
        assert layouts > 2 or set(accepted) <= set(self.everything)

    def _reach(self, process: Process) -> None:
        process.storage.fails, process.storage.loses_replies = None, 0
        process.storage.down_lanes.clear()

    def _claims_may_end(self) -> None:
        self.ends += 1

    # --- what holds ------------------------------------------------------------------

    @invariant()
    def each_is_on_the_server_once(self) -> None:
        """However many replies were lost: parcels are never appended twice."""
        appended = sum(h.end - h.start for h in self.server.history if h.what == "append")
        assert appended <= len(self.accepted)

    @invariant()
    def balanced(self) -> None:
        for process in self.processes:
            stats = process.queue.stats()
            assert_balanced(stats)
            assert stats.restarts == 0
            assert stats.shared is not None
            assert stats.shared.gaps == 0

    def teardown(self) -> None:
        if not hasattr(self, "processes"):
            return
        for process in self.processes:
            self._reach(process)
            process.sink.errors.clear()
            if not process.queue.running:
                process.queue.start()
        for _ in range(400):
            self.clock.settle()
            if self._shipped() and self.server.held() == 0:
                break
            self.clock.advance(0.5)
        assert self.server.held() == 0
        for process in self.processes:
            assert process.queue.stop().left == ()
        self.balanced()
        self.each_is_on_the_server_once()
        assert self.server.appended == len(self.accepted)
        assert set(self.everything) == set(self.accepted), "lost"
        twice = len(self.everything) - len(self.accepted)
        assert twice <= self.ends * self.window * 8, "too many twice"
        assert self.ends or not twice
        self._check_order()

    def _shipped(self) -> bool:
        shares = [process.queue.stats().shared for process in self.processes]
        return all(share is not None and share.front == 0 for share in shares)

    def _check_order(self) -> None:
        """Of each key and process, what comes for the first time comes in order."""
        for key, process in {item[:2] for item in self.accepted}:
            numbers = [item[2] for item in self.everything if item[:2] == (key, process)]
            firsts = list(dict.fromkeys(numbers))
            assert firsts == sorted(firsts), "out of order"


SharedMachine.TestCase.settings = settings(
    max_examples=rounds(100), stateful_step_count=25, deadline=None, print_blob=True
)
TestSharedModel = SharedMachine.TestCase
