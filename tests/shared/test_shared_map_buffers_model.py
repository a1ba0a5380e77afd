"""
Shared Maps in the hands of Hypothesis: processes that come, go and are cut off, and one server.

Each process has a buffer of its own: it writes, delivers, or both. Keys that all of them write to
have versions, or are summed up; each process has keys of its own besides. No key goes back at the
processors, no increment comes twice, unless a claim has ended in the middle; nothing is lost ever.
"""

import itertools
import operator
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

pytest.importorskip("hypothesis")
from helpers import EVERY_5_S, rounds
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from map_lines import kept

from partitioned_buffer import Entry, Map, PartialFailure, Reject, StorageAway
from partitioned_buffer.testing import FakeClock, assert_balanced
from partitioned_buffer.testing.sharing import SharedDict

keys = st.integers(0, 2)
who = st.integers(0, 2)
later = st.sampled_from([0.0, 0.0, 0.3, 1.5])
"""Seconds that pass after a write."""
_numbers = itertools.count()


class Given(NamedTuple):
    """What was put, or came to a processor."""

    key: str
    value: int
    """Of its write: a number that grows; of sums, bits, one for each."""


class Destination:
    """What a process delivers to."""

    def __init__(self, everything: list[Given]) -> None:
        self.everything, self.errors = everything, list[str]()

    def __call__(self, batch: Any) -> None:
        entries: list[Entry[str, int]] = list(batch.values()) if type(batch) is dict else batch
        error = self.errors.pop(0) if self.errors else ""
        good = {"": len(entries), "part": len(entries) // 2}.get(error, 0)
        self.everything += [Given(each.key, each.value) for each in entries[:good]]
        if error == "part":
            raise PartialFailure([each.key for each in entries[good:]])
        if error:
            raise Reject if error == "reject" else OSError


class Process:
    """A buffer, and its way to the server."""

    def __init__(self, machine: "SharedMapMachine", number: int, **options: Any) -> None:
        self.sink = Destination(machine.everything)
        self.storage = machine.server.another(window=machine.window)
        self.map: Map[str, int] = Map(
            f"shared-{next(_numbers)}",
            self.sink if machine.delivers[number] else None,
            storage=self.storage,
            clock=machine.clock,
            retry=EVERY_5_S,
            merge=operator.add if machine.adds else None,
            **options,
        )


class SharedMapMachine(RuleBasedStateMachine):
    """The model: what was accepted, and what was delivered when."""

    @initialize(
        partitions=st.integers(1, 4),
        lanes=st.integers(1, 2),
        window=st.sampled_from([1, 3, 8, 1000]),
        size=st.one_of(st.integers(1, 4), st.just("table")),
        delivers=st.lists(st.booleans(), min_size=2, max_size=2),
        limit=st.none() | st.integers(5, 30),
        adds=st.booleans(),
        calm=st.booleans(),
    )
    def begin(  # what there may be
        self,
        partitions: int,
        lanes: int,
        window: int,
        size: Any,
        delivers: list[bool],
        limit: int | None,
        adds: bool,
        calm: bool,
    ) -> None:
        """If it is *calm* no claim ends but by being given back."""
        self.clock = FakeClock()
        self.window, self.delivers, self.adds, self.calm = window, [True, *delivers], adds, calm
        self.server = SharedDict(
            partitions=partitions, lanes=lanes, lease=6.0, limit=limit, clock=self.clock
        )
        self.everything: list[Given] = []
        self.accepted: list[tuple[Given, int]] = []
        self.last: dict[str, int] = {}  # what each key should come to; of shared ones the newest
        self.deleted = set[str]()  # ever
        self.count = self.ends = 0
        options = {"processing_batch_size": size, "processing_interval": 1.0}
        self.processes = [Process(self, number, **options) for number in range(3)]
        for process in self.processes:
            process.map.start()

    # --- what is written -----------------------------------------------------------

    def _value(self) -> int:
        self.count += 1
        return 1 << self.count if self.adds else self.count

    def _accept(self, process: int, given: Given) -> None:
        self.accepted.append((given, process))
        self.last[given.key] = max(self.last.get(given.key, given.value), given.value)

    @rule(
        process=who,
        chosen=st.lists(keys, min_size=1, max_size=4),
        together=st.booleans(),
        seconds=later,
    )
    def put(self, process: int, chosen: list[int], together: bool, seconds: float) -> None:
        """Write to keys of its own; where they are summed up, to those of all, too."""
        written = self.processes[process].map
        if not written.running:
            return
        names = [f"all-{key}" if self.adds and key else f"{process}-{key}" for key in chosen]
        pairs = [Given(name, self._value()) for name in names]
        if together:
            written.put_all(pairs)
        for pair in pairs:
            self._accept(process, pair)
            if not together:
                written.put(*pair)
        self.clock.advance(seconds)

    @rule(
        process=who,
        chosen=st.lists(st.tuples(keys, st.integers(0, 3)), min_size=1, max_size=4),
        together=st.booleans(),
        seconds=later,
    )
    def put_newer(
        self, process: int, chosen: list[tuple[int, int]], together: bool, seconds: float
    ) -> None:
        """Write to keys of all, some of it older than what others have written."""
        written = self.processes[process].map
        if not written.running or self.adds:
            return
        triples = []
        for key, back in chosen:
            version = 4 * self._value() - 9 * back  # of each there is one
            triples.append((f"all-{key}", version, version))
            self._accept(process, Given(f"all-{key}", version))
        if together:
            written.put_all_newer(triples)
        for triple in () if together else triples:
            written.put_newer(*triple)
        self.clock.advance(seconds)

    @rule(process=who, key=keys, seconds=later)
    def put_own_newer(self, process: int, key: int, seconds: float) -> None:
        written = self.processes[process].map
        if written.running and not self.adds:
            given = Given(f"{process}-{key}", self._value())
            written.put_newer(*given, given.value)
            self._accept(process, given)
            self.clock.advance(seconds)

    @rule(process=who, key=keys)
    def delete(self, process: int, key: int) -> None:
        if self.processes[process].map.running:
            name = f"{process}-{key}"
            self.processes[process].map.delete(name)
            self.deleted.add(name)
            self.last.pop(name, None)

    # --- what else is done to it ---------------------------------------------------

    @rule(process=who, calls=st.integers(1, 3))
    def lose_replies(self, process: int, calls: int) -> None:
        self.processes[process].storage.loses_replies = calls

    @precondition(lambda self: not self.calm)
    @rule(process=who)
    def cut_off(self, process: int) -> None:
        self.processes[process].storage.fails = StorageAway("cut off")
        self._claims_may_end()

    @precondition(lambda self: not self.calm)
    @rule(process=who, lane=st.integers(0, 1))
    def cut_off_a_lane(self, process: int, lane: int) -> None:
        self.processes[process].storage.down_lanes.add(lane)
        self._claims_may_end()

    @rule(process=who)
    def reach(self, process: int) -> None:
        self._reach(self.processes[process])

    @precondition(lambda self: not self.calm)
    @rule(partition=st.integers(0, 3))
    def expire(self, partition: int) -> None:
        self.server.expire(partition)
        self._claims_may_end()

    @rule(process=who, error=st.sampled_from(["all", "part", "reject"]))
    def fail(self, process: int, error: str) -> None:
        self.processes[process].sink.errors.append(error)

    @rule(seconds=st.sampled_from([0.3, 1.5, 8.0]))
    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(process=who, timeout=st.sampled_from([0.0, 1.0, 20.0]))
    def stop(self, process: int, timeout: float) -> None:
        if self.calm:  # it has the time to finish, and to say so
            self.processes[process].sink.errors.clear()
            timeout = 60.0
        else:
            self._claims_may_end()
        left = self.processes[process].map.stop(timeout).left
        assert len(list(left)) == len(left)
        for entry in left:
            assert self._was_put(entry)

    def _was_put(self, entry: Any) -> bool:
        values = [given.value for given, _ in self.accepted if given.key == entry.key]
        return entry.value in values or (self.adds and not entry.value & ~sum(values))

    @rule(process=who)
    def start(self, process: int) -> None:
        begins = self.processes[process]
        if not begins.map.running:
            self._reach(begins)
            begins.map.start()

    @rule(process=who, timeout=st.sampled_from([1.0, 30.0]))
    def flush(self, process: int, timeout: float) -> None:
        flushed = self.processes[process].map
        if not flushed.running:
            return
        try:
            flushed.flush(timeout)
        except TimeoutError:
            return
        own = {key for (key, _), _ in self.accepted if key.startswith(str(process))}
        self._check_arrived(own)

    def _reach(self, process: Process) -> None:
        process.storage.fails, process.storage.loses_replies = None, 0
        process.storage.down_lanes.clear()

    def _claims_may_end(self) -> None:
        self.ends += 1

    # --- what holds ------------------------------------------------------------------

    def _dead(self) -> Iterator[Given]:
        for line in self.server._server.lines():
            for letter in line.dead:
                for key, value, _ in kept(letter.data, self.server):
                    yield Given(key, value)

    @invariant()
    def no_key_goes_back(self) -> None:
        """Nor comes twice, as long as no claim has ended."""
        if self.adds:
            return
        seen, twice = defaultdict[str, set[int]](set), 0
        for key, value in self.everything:
            twice += value in seen[key]
            if value not in seen[key] and not (self.ends and key in self.deleted):
                assert value > max(seen[key], default=-99), f"{key} went back to {value}"
            seen[key].add(value)
        assert twice <= self.ends * self.window * 8, "too many twice"

    @invariant()
    def no_increment_comes_twice(self) -> None:
        if not self.adds or self.ends:
            return
        seen = defaultdict[str, int](int)
        for key, value in self.everything:
            assert not seen[key] & value, "twice"
            seen[key] |= value

    @invariant()
    def balanced(self) -> None:
        for process in self.processes:
            stats = process.map.stats()
            assert_balanced(stats)
            for name in ("delivered", "coalesced", "deleted", "dead_lettered", "waiting"):
                assert getattr(stats, name) >= 0, name
            assert stats.restarts == 0
            assert stats.shared is not None
            assert stats.shared.gaps == 0

    def teardown(self) -> None:
        if not hasattr(self, "processes"):
            return
        for process in self.processes:
            self._reach(process)
            process.sink.errors.clear()
            if not process.map.running:
                process.map.start()
        for _ in range(400):
            self.clock.settle()
            if self._shipped() and self.server.held() == 0:
                break
            self.clock.advance(0.5)
        assert self.server.held() == 0
        for process in self.processes:
            assert process.map.stop().left == ()
        self.balanced()
        self.no_key_goes_back()
        self.no_increment_comes_twice()
        self._check_arrived({given.key for given, _ in self.accepted})
        self._check_numbers()

    def _shipped(self) -> bool:
        return all(len(p.table) == 0 for process in self.processes for p in process.map._partitions)

    def _check_arrived(self, those: set[str]) -> None:
        """Of each of *those* keys the last write was delivered last, or given up."""
        dead = set(self._dead())
        for key in those & self.last.keys():
            values = [given.value for given in self.everything if given.key == key]
            if self.adds:
                self._check_sum(key, [*values, *(each.value for each in dead if each.key == key)])
            elif Given(key, self.last[key]) not in dead:
                assert self.last[key] in values, f"{key}: lost, or replaced by what was older"
                assert self.ends or values[-1] == self.last[key], f"{key}: something came later"

    def _check_sum(self, key: str, values: list[int]) -> None:
        if key in self.deleted:
            return
        whole = sum(given.value for given, _ in self.accepted if given.key == key)
        union = 0
        for value in values:
            union |= value
        assert union == whole, f"{key}: lost"
        assert self.ends or sum(values) == whole, f"{key}: twice"

    def _check_numbers(self) -> None:
        """What the server has counted is what was done."""
        depths = self.server._server.depth(0)
        assert self.server.appended == len(self.accepted)
        given_up, letters = sum(depth.dead for depth in depths), len(list(self._dead()))
        assert given_up == letters or (self.ends and given_up < letters)
        gone = sum(depth.coalesced + depth.deleted for depth in depths)
        if not self.ends:
            more = len(self.everything) - (len(self.accepted) - given_up - gone)
            assert more == 0 or (more > 0 and self.deleted)  # with the processor when deleted


SharedMapMachine.TestCase.settings = settings(
    max_examples=rounds(300), stateful_step_count=40, deadline=None, print_blob=True
)
TestSharedMapModel = SharedMapMachine.TestCase
