"""A stored Map's table: what is landed, what is noted for its log, and what it gives back."""

import operator
import random
import threading
import time
from collections import deque
from typing import Any

import pytest
from helpers import often_switched
from implementations import COUNTED, SECONDS
from maplogs import BURIED, DELETE, NEWER, PUT, SETTLED, VOID, Log, opened

from partitioned_buffer import Entry
from partitioned_buffer._core.backing.map.table import StoredMapTable
from partitioned_buffer._core.tables.step import CLOSED, MADE


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def table(made: Any) -> Any:
    return opened(StoredMapTable, made=made)


def filled(log: Log, table: Any) -> Any:
    log.land(table, (PUT, "a", 1), (NEWER, "b", 2, 5), (NEWER, "b", 3, 6), (NEWER, "b", 4, 6))
    table.swap()
    return table


def test_entries_are_as_of_any_map(log: Log, table: Any) -> None:
    assert filled(log, table).take() == [Entry("a", 1, 0, 0), Entry("b", 3, 6, 1)]
    assert table.positions() == [0, 2]
    assert table.take() is None
    assert table.positions() == []


def test_what_is_delivered_is_noted_with_its_version(log: Log, table: Any) -> None:
    filled(log, table).take(1)
    assert table.settled() == []
    table.take(1)
    assert table.settled() == [(SETTLED, "a", 0, None, 0)]
    table.acknowledge()
    assert table.settled() == [(SETTLED, "b", 2, 6, 0)]
    assert table.settled() == []


def test_what_is_buried_is_noted_and_what_is_kept_is_not(log: Log, table: Any) -> None:
    filled(log, table).take()
    assert table.bury([1]) == 1
    assert table.settled() == [(BURIED, "b", 2, None, 0)]
    table.again()
    assert table.keep(None) == 1
    assert table.settled() == []


def test_what_could_not_be_written_is_noted_again_first(log: Log, table: Any) -> None:
    filled(log, table).take(1)
    table.acknowledge()
    settled = table.settled()
    table.take()
    table.acknowledge()
    table.unsettle(settled)
    assert [op[1] for op in table.settled()] == ["a", "b"]


def test_a_newer_value_put_over_one_in_hand_is_settled_with_it(log: Log, table: Any) -> None:
    filled(log, table).take()
    table.keep(None)
    log.land(table, (PUT, "a", 9))
    assert table.again(1, True) == [Entry("a", 9, 0, 0)]
    assert table.positions() == [4]
    table.acknowledge()
    assert table.settled() == [(SETTLED, "a", 4, None, 0)]


def test_keys_and_values_are_the_same_objects_each_time(table: Any) -> None:
    key, value = object(), object()
    table.land(0, [(PUT, key, value, None, 0)])
    table.swap()
    for entries in (table.take(), table.again(), table.again(1, False)):
        assert entries[0].key is key
        assert entries[0].value is value


def test_tables_are_given_in_one(log: Log, table: Any) -> None:
    assert filled(log, table).take_table() == {
        "a": Entry("a", 1, 0, 0),
        "b": Entry("b", 3, 6, 1),
    }
    assert table.take_table() is None
    assert len(table.settled()) == 2


def test_what_merge_raises_is_the_writers_and_the_log_is_told(log: Log, made: Any) -> None:
    table = opened(StoredMapTable, merge=operator.add, made=made)
    at, (one, two, three) = log.land(table, (PUT, "a", 1), (PUT, "a", "x"), (PUT, "a", 2))

    assert (one, type(two), three) == (None, TypeError, None)
    assert table.get("a") == 3
    assert log.settle(table) == [(VOID, "a", at + 1, None, 0)]
    assert [value for _, value, _ in log.replay(merge=True).entries()] == [1, 2]
    assert table.counts()["accepted"] == 2


def test_what_merge_refuses_at_recovery_is_counted_and_told(log: Log, made: Any) -> None:
    for value in (1, "x", 2):
        log.append(log.op(PUT, "a", value))
    table = opened(StoredMapTable, merge=operator.add, made=made)
    table.recover(log.replay(merge=True))

    assert (table.get("a"), table.unmerged, table.recovered) == (3, 1, 1)
    assert table.settled() == [(VOID, "a", 1, None, 0)]
    assert table.counts() == dict.fromkeys(COUNTED, 0) | {"accepted": 1, "waiting": 1}


def test_it_wakes_at_flush_at_and_lands_when_closed(log: Log, table: Any) -> None:
    woken = list[int]()
    table.open(lambda: woken.append(1), 2)
    log.land(table, (PUT, "a", 1), (PUT, "b", 1), (PUT, "c", 1))
    assert woken == [1]
    table.swap()
    table.rewire(lambda: woken.append(2))
    log.land(table, (PUT, "a", 1))
    table.retune(1)
    assert woken == [1, 2]
    table.close()
    assert table.closed
    log.land(table, (PUT, "d", 1))
    assert table.get("d") == 1
    assert table.has("d")
    assert table.drop(1) == CLOSED


def test_what_is_dropped_before_it_is_committed_is_counted(table: Any) -> None:
    assert table.drop(2) == MADE
    assert not table.drop_oldest()
    assert table.counts() == dict.fromkeys(COUNTED, 0) | {"accepted": 2, "dropped": 2}


def test_it_begins_anew(log: Log, table: Any) -> None:
    filled(log, table).take()
    table.acknowledge()
    table.reset()

    assert table.closed
    assert (len(table), table.settled(), table.held(), table.positions()) == (0, [], [], [])
    table.open(lambda: None, None)
    log.land(table, (NEWER, "b", 1, 0))
    assert table.get("b") == 1


def test_versions_are_remembered_after_a_crash(log: Log, made: Any, table: Any) -> None:
    filled(log, table).take()
    table.acknowledge()
    log.settle(table)
    again = opened(StoredMapTable, made=made)
    again.recover(log.replay())
    log.land(again, (NEWER, "b", 9, 6), (NEWER, "b", 10, 7))

    assert again.held() == [Entry("b", 10, 7, 0)]
    assert again.counts()["coalesced"] == 1


def test_a_snapshot_holds_what_is_settled_and_not_noted_yet(
    log: Log, made: Any, table: Any
) -> None:
    filled(log, table).take()
    table.acknowledge()
    settled = table.settled()
    log.compact(table.snapshot())
    log.land(table, *settled)
    log.land(table, (NEWER, "b", 9, 6))

    again = opened(StoredMapTable, made=made)
    again.recover(log.replay())
    assert again.held() == table.held() == []
    assert table.snapshot() == again.snapshot()


def test_a_snapshot_does_not_hold_what_was_deleted_while_it_was_out(log: Log, made: Any) -> None:
    table = opened(StoredMapTable, merge=operator.add, made=made)
    log.land(table, (PUT, "a", 1))
    table.swap()
    table.take()
    log.land(table, (DELETE, "a"), (PUT, "a", 2))
    log.compact(table.snapshot())

    assert [value for _, value, _ in log.replay(merge=True).entries()] == [2]


# --- room ------------------------------------------------------------------------------


class Bound:
    def __init__(self) -> None:
        self.lock, self.used, self.used_bytes = threading.Lock(), 0, 0

    def take(self, *weights: int) -> None:
        with self.lock:
            self.used += len(weights)
            self.used_bytes += sum(weights)

    def give_back(self, size: int, weight: int) -> None:
        with self.lock:
            self.used -= size
            self.used_bytes -= weight


def bounded(made: Any, log: Log, merge: Any = None) -> tuple[Any, Bound]:
    """Return a table that holds 2 for "a" and 3 for "b", which weigh 4 and 9."""
    bound = Bound()
    table = opened(
        StoredMapTable, merge=merge, weigh=lambda value: value**2, bound=bound, made=made
    )
    bound.take(4, 9)
    log.land(table, (PUT, "a", 2, None, 4), (NEWER, "b", 3, 5, 9))
    assert (bound.used, bound.used_bytes) == table.load() == (2, 13)
    return table, bound


def test_what_is_written_over_or_not_newer_gives_room_back(log: Log, made: Any) -> None:
    table, bound = bounded(made, log)
    bound.take(1, 16)
    log.land(table, (PUT, "a", 1, None, 1), (NEWER, "b", 4, 5, 16))

    assert (bound.used, bound.used_bytes) == table.load() == (2, 10)


def test_what_merge_makes_larger_takes_room(log: Log, made: Any) -> None:
    table, bound = bounded(made, log, operator.add)
    bound.take(4)
    log.land(table, (PUT, "a", 2, None, 4))

    assert (bound.used, bound.used_bytes) == table.load() == (2, 25)


def test_what_is_settled_or_deleted_gives_room_back(log: Log, made: Any) -> None:
    table, bound = bounded(made, log)
    table.swap()
    table.take(1)
    table.acknowledge()
    assert (bound.used, bound.used_bytes) == (1, 9)
    log.land(table, (DELETE, "b"))
    assert (bound.used, bound.used_bytes) == (0, 0)


def test_what_was_deleted_while_it_was_out_gives_room_back_at_last(log: Log, made: Any) -> None:
    for end in ("swap", "release"):
        table, bound = bounded(made, log)
        table.swap()
        table.take()
        log.land(table, (DELETE, "a"))
        assert (bound.used, bound.used_bytes) == (2, 13)
        getattr(table, end)()
        assert (bound.used, bound.used_bytes) == table.load() == (1, 9)


def test_what_is_put_over_one_in_flight_gives_room_back(log: Log, made: Any) -> None:
    table, bound = bounded(made, log)
    table.swap()
    bound.take(1)
    log.land(table, (PUT, "a", 1, None, 1))
    table.swap()
    table.take()

    assert (bound.used, bound.used_bytes) == table.load() == (2, 10)


# --- with threads ----------------------------------------------------------------------


class Meeting:
    """A committer, which writes, lands and compacts; and a worker, with batches and their fates."""

    def __init__(self, made: Any, merge: Any) -> None:
        self.random, self.merge = random.Random(7), merge
        self.bound, self.log = Bound(), Log()
        self.table = opened(
            StoredMapTable, merge=merge, weigh=int, bound=self.bound, made=made, remember=5
        )
        self.to_write = deque[list[Any]]()
        self.errors, self.done = list[BaseException](), False

    def write(self) -> None:
        """Land some writes, and what was settled; now and then compact."""
        ops, pick = list[Any](), self.random.random
        for _ in range(self.random.randrange(1, 5)):
            key, value = f"key {int(pick() * 12)}", int(pick() * 5)
            kind = self.random.choice((PUT, NEWER, NEWER, DELETE))
            if kind == DELETE:
                ops.append((DELETE, key))
            else:
                version = self.log.end - int(pick() * 9) if kind == NEWER else None
                ops.append((kind, key, value, version, value))
        self.bound.take(*(op[4] for op in ops if op[0] != DELETE))
        assert not any(self.log.land(self.table, *ops)[1])
        self.journal()
        if pick() < 0.1:
            self.compact()

    def journal(self) -> None:
        while self.to_write:
            self.log.land(self.table, *self.to_write.popleft())

    def compact(self) -> None:
        self.log.compact(self.table.snapshot())
        again, marks = self.log.replay(merge=self.merge is not None).marks, self.table._marks
        latest = {key: mark[:2] for key, mark in marks.held.items()}
        assert {key: mark[:2] for key, mark in again.held.items()} == latest
        assert (again.recent, again.older) == (marks.recent, marks.older)

    def work(self) -> None:
        pick, table = random.Random(8), self.table
        try:
            while not self.done or len(table):
                table.swap()
                batch = table.take(pick.choice((1, 3, None)))
                fate = 9 if self.done or not batch else pick.randrange(6)
                if fate == 0:
                    table.keep([0])
                    table.again()
                elif fate == 1:
                    table.keep(None)
                    table.again(1, False)
                    table.bury([0])
                elif fate == 2:
                    table.reach(2)
                    table.bury()
                table.acknowledge()
                if pick.random() < 0.8 and (settled := table.settled()):
                    self.to_write.append(settled)
        except BaseException as error:
            self.errors.append(error)


@pytest.mark.parametrize("merge", [None, operator.add], ids=["plain", "merged"])
def test_a_committer_and_a_worker_lose_nothing(made: Any, merge: Any) -> None:
    meeting = Meeting(made, merge)
    table, end = meeting.table, time.monotonic() + SECONDS
    worker = threading.Thread(target=meeting.work)
    with often_switched():
        worker.start()
        try:
            while time.monotonic() < end and not meeting.errors:
                meeting.write()
        finally:
            meeting.done = True
            worker.join(30)
    meeting.journal()
    meeting.log.settle(table)

    assert meeting.errors == []
    counts = table.counts()
    assert counts["accepted"] == sum(counts[name] for name in COUNTED)
    assert counts["delivered"] > 0
    assert len(table) == 0
    assert not list(meeting.log.replay(merge=merge is not None).entries())
    assert table._marks.held == table._leaving == {}
    assert (meeting.bound.used, meeting.bound.used_bytes) == (0, 0)
