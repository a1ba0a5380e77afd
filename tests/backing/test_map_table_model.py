"""
A stored Map's table against a Map's table, and against its log read as plainly as can be.
"""

from typing import Any

import pytest
from maplogs import BURIED, DELETE, KEPT, KNOWN, NEWER, PUT, SETTLED, VOID, Log, opened

pytest.importorskip("hypothesis")
from helpers import rounds
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from implementations import COUNTED

from partitioned_buffer._core.backing.map.snapshot import compacted
from partitioned_buffer._core.backing.map.table import StoredMapTable

keys = st.sampled_from(["a", "b", 1, (1, "x")])
versions = st.integers(-2, 9) | st.just(2**70) | st.just(-(2**63))
values = st.integers(0, 99)
places = st.none() | st.sets(st.integers(0, 3))
sizes = st.sampled_from([1, 2, None])


def joined(old: Any, new: Any) -> Any:
    """Return both as one: the same, however they are put together."""
    return sum((each if isinstance(each, tuple) else (each,) for each in (old, new)), ())


def united(old: Any, new: Any) -> Any:
    if new == 13:
        raise ValueError(new)
    return joined(old, new)


class Bound:
    def __init__(self) -> None:
        self.used = self.used_bytes = 0

    def give_back(self, size: int, weight: int) -> None:
        self.used -= size
        self.used_bytes -= weight


def weigh(value: Any) -> int:
    return sum(map(weigh, value)) if isinstance(value, tuple) else int(value) % 9


# --- as a Map's table does -----------------------------------------------------------

steps = st.lists(
    st.one_of(
        st.tuples(st.just(PUT), keys, values),
        st.tuples(st.just(NEWER), keys, values, versions),
        st.tuples(st.just(NEWER), keys, values, versions),
        st.tuples(st.just(DELETE), keys),
        st.tuples(st.just("swap")),
        st.tuples(st.sampled_from(["take", "again"]), sizes),
        st.tuples(st.sampled_from(["acknowledge", "release", "take_table"])),
        st.tuples(st.sampled_from(["keep", "bury"]), places),
        st.tuples(st.just("reach"), st.integers(0, 3)),
    ),
    max_size=60,
)


@settings(
    max_examples=rounds(200, least=50),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=steps, remember=st.sampled_from([0, 1, 2, 100]), merge=st.sampled_from([None, united]))
def test_it_does_what_a_maps_table_does(made: Any, steps: Any, remember: int, merge: Any) -> None:
    log, stored = Log(), opened(StoredMapTable, merge=merge, remember=remember, made=made)
    plain = made.MapTable(None, merge, remember)
    plain.open(lambda: None, None)
    for name, *args in steps:
        if isinstance(name, int):
            _, (raised,) = log.land(stored, (name, *args))
            expected = None
            try:
                plain.delete(*args) if name == DELETE else plain.put(*args)
            except ValueError as error:
                expected = error
            assert repr(raised) == repr(expected)
        else:
            assert getattr(stored, name)(*args) == getattr(plain, name)(*args), name
        log.settle(stored)
        assert stored.held() == plain.held()
        assert stored.counts() == plain.counts()
        assert (len(stored), stored.load()[0], stored.delivered) == (
            len(plain),
            plain.load()[0],
            plain.delivered,
        )
        for key in ("a", "b", 1, (1, "x")):
            assert stored.get(key, "none") == plain.get(key, "none")
            assert stored.has(key) == plain.has(key)
    assert list(map(repr, stored.faults())) == list(map(repr, plain.faults()))


# --- and its log says the same after a crash -----------------------------------------


GONE = object()


class Reading:
    """A log as it was meant: for each key all that is not settled, and what was delivered last."""

    def __init__(self, log: list[tuple[Any, ...]], refused: frozenset[int] = frozenset()) -> None:
        self.open: dict[Any, list[tuple[int, Any, Any]]] = {}
        self.last: dict[Any, int] = {}
        voids = refused | {op[3] for op in log if op[1] == VOID}
        for at, kind, key, value, version in log:
            if at in voids or kind == VOID:
                continue
            held = self.open.setdefault(key, [])
            if kind in (SETTLED, BURIED):
                self.settle(held, key, value, version if kind == SETTLED else GONE)
            elif kind == PUT:
                held.append((at, value, None))
            elif kind == NEWER:
                floor = (held[-1][2] or 0) if held else self.last.get(key)
                if floor is None or version > floor:
                    held.append((at, value, version))
            elif kind == KEPT:
                held.append((at, value, version))
            elif kind == KNOWN:
                self.last[key] = version
            elif kind == DELETE:
                held.clear()
                self.last.pop(key, None)

    def settle(self, held: list[Any], key: Any, upto: int, version: Any) -> None:
        settled = [each for each in held if each[0] <= upto]
        held[:] = held[len(settled) :]
        if settled and version is None:
            self.last.pop(key, None)
        elif settled and version is not GONE:
            self.last[key] = version

    def expected(self, merge: Any) -> dict[Any, tuple[Any, int]]:
        """Return for each key its value and version."""
        found: dict[Any, tuple[Any, int]] = {}
        for key, held in self.open.items():
            for _, value, version in held:
                try:
                    whole = merge(found[key][0], value) if merge and key in found else value
                except ValueError:
                    continue
                found[key] = whole, version or 0
        return found


class Crashes(RuleBasedStateMachine):
    """Writes, batches and their fates; and the table is forgotten, and made of the log anew."""

    made: Any

    @initialize(merge=st.sampled_from([None, joined, united]))
    def begin(self, merge: Any) -> None:
        self.merge = merge
        self.log, self.ops = Log(), list[tuple[Any, ...]]()
        self.make()

    def make(self) -> None:
        self.bound, self.refused = Bound(), frozenset[int]()
        self.table: Any = opened(
            StoredMapTable,
            merge=self.merge,
            weigh=weigh,
            bound=self.bound,
            made=self.made,
        )

    def land(self, *ops: tuple[Any, ...]) -> list[Any]:
        whole = [(*op, *(None, None, 0)[len(op) - 2 :]) for op in ops]
        writes = [op for op in whole if op[0] in (PUT, NEWER)]
        self.bound.used += len(writes)
        self.bound.used_bytes += sum(op[4] for op in writes)
        start, raised = self.log.land(self.table, *whole)
        self.ops += [(at, *op[:4]) for at, op in enumerate(whole, start)]
        self.refused |= {at for at, error in enumerate(raised, start) if error}
        return raised

    @rule(
        ops=st.lists(
            st.one_of(
                st.tuples(st.just(PUT), keys, values),
                st.tuples(st.just(NEWER), keys, values, versions),
                st.tuples(st.just(DELETE), keys),
            ),
            min_size=1,
            max_size=4,
        )
    )
    def write(self, ops: list[Any]) -> None:
        raised = self.land(
            *((*op, *(None,) * (4 - len(op)), weigh(op[2]) if op[0] != DELETE else 0) for op in ops)
        )
        for op, error in zip(ops, raised, strict=True):
            assert error is None or (self.merge is united and op[2] == 13)

    @rule()
    def swap(self) -> None:
        self.table.swap()

    @rule(size=sizes)
    def take(self, size: int | None) -> None:
        self.table.take(size)
        assert len(self.table.positions()) <= len(self.table)

    @rule(size=sizes, newest=st.booleans())
    def again(self, size: int | None, newest: bool) -> None:
        self.table.again(size, newest)

    @rule(places=places)
    def keep(self, places: Any) -> None:
        self.table.keep(places)

    @rule(places=places)
    def bury(self, places: Any) -> None:
        self.table.bury(places)

    @rule(name=st.sampled_from(["acknowledge", "release", "take_table"]))
    def call(self, name: str) -> None:
        getattr(self.table, name)()

    @rule(count=st.integers(0, 3))
    def reach(self, count: int) -> None:
        self.table.reach(count)

    @rule()
    def journal(self) -> None:
        settled = self.table.settled()
        if settled:
            self.land(*settled)

    @rule()
    def disk_is_full(self) -> None:
        settled = self.table.settled()
        self.table.unsettle(settled)
        assert self.table.settled() == settled
        self.table.unsettle(settled)

    @precondition(lambda self: self.merge is not united)  # what it refuses depends on what is one
    @rule()
    def snapshot(self) -> None:
        self.log.compact(self.table.snapshot())

    @rule(compacts=st.booleans())
    def crash(self, compacts: bool) -> None:
        if compacts:  # as before records are moved to other partitions
            self.compact()
        replayed = self.log.replay(merge=self.merge is not None)
        assert replayed.lost == 0
        expected = Reading(self.ops).expected(self.merge)
        self.make()
        self.table.recover(replayed)
        self.bound.used, self.bound.used_bytes = self.table.load()
        assert {e.key: (e.value, e.version) for e in self.table.held()} == expected
        self.refused = frozenset(op[2] for op in self.table._settled)
        assert self.table.recovered == self.table.counts()["accepted"] == len(expected)

    def compact(self) -> None:
        kept = compacted(self.log.replay(merge=self.merge is not None))
        ops = [(kind, key, value, version) for kind, key, value, version, _ in kept]
        self.ops = [(at, *op) for at, op in enumerate(ops, self.log.end)]
        self.log.compact(kept)

    @invariant()
    def it_says_of_the_log_what_that_says_when_it_is_read(self) -> None:
        if not hasattr(self, "table"):
            return
        table, reading = self.table, Reading(self.ops, self.refused)
        marks = table._marks
        held = {key: each for key, each in reading.open.items() if each}
        assert {key: (mark[1], mark[0]) for key, mark in marks.held.items()} == {
            key: (each[-1][0], each[-1][2]) for key, each in held.items()
        }
        assert marks.older | marks.recent == reading.last

    @invariant()
    def nothing_is_lost_and_nothing_is_counted_twice(self) -> None:
        if hasattr(self, "table"):
            counts = self.table.counts()
            assert counts["accepted"] == sum(counts[name] for name in COUNTED), counts
            assert (self.bound.used, self.bound.used_bytes) == self.table.load()


def test_what_crashes_goes_on_where_it_was(made: Any) -> None:
    machine = type("Machine", (Crashes,), {"made": made})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=rounds(150, least=30), stateful_step_count=40, deadline=None
        ),
    )
