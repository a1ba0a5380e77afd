"""A Map's table: folds, reads without the lock, wakes, and writes that come too late."""

import itertools
from typing import Any

import pytest
from helpers import Buffers, values

from partitioned_buffer import Entry
from partitioned_buffer._core.tables.entry import DELETED, NEWER
from partitioned_buffer._core.tables.old_map import MapTable
from partitioned_buffer._core.tables.map_log import BACKLOG, PAUSE
from partitioned_buffer.testing import FakeClock, RecordingProcessor

pytestmark = pytest.mark.both_faces


def test_a_writer_pauses_when_it_is_far_ahead_of_the_one_who_folds(
    buffers: Buffers, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapped = buffers.map()
    table: Any = mapped._partitions[0].table
    pauses: list[float] = []
    monkeypatch.setattr("partitioned_buffer._core.tables.map_log.time.sleep", pauses.append)
    table._busy = True  # somebody folds, and takes long
    for number in range(BACKLOG):
        mapped.put(number, number)
    assert pauses == []

    mapped.put("one", "more")
    assert pauses == [PAUSE]
    table._busy = False
    mapped.put("and", "another")

    assert len(table.log) == 0
    assert mapped.size() == BACKLOG + 2


def test_a_late_write_is_not_folded_and_can_be_taken_back() -> None:
    table: MapTable[str, int] = MapTable()
    table.open(lambda: None, None, 0.0)
    table.log.append(("a", 1))
    table.close()
    table.swap(0.0, seal=True)
    late = ("b", 2)
    table.log.append(late)

    assert table.get("b", None) is None
    assert table.counts(0.0)["accepted"] == 1
    assert [entry.key for entry in table.held()] == ["a"]
    assert not table.attend((late,))
    assert table.log == []


def test_a_reader_without_the_lock_is_not_confused_by_the_first_version() -> None:
    """The table turns from plain values to tuples between the steps of a read."""
    table: MapTable[str, int] = MapTable()
    table.open(lambda: None, None, 0.0)
    table.log.append(("a", 1))
    assert table.get("a", None) == 1

    class Interrupted(list[Any]):
        armed = True

        def __len__(self) -> int:
            if self.armed:
                self.armed = False
                table.mixed = True
                table.log.append(("b", 2, 1, NEWER))
                assert table.get("b", None) == 2
            return super().__len__()

    table.log = Interrupted()

    assert table.get("a", None) == 1


class Table(MapTable[int, int]):
    """A table whose bell is heard, and whose writers find it busy in the middle of something."""

    def __init__(self, flush_at: int) -> None:
        super().__init__(merge=self._meanwhile)
        self.rung = 0
        self.late = list[tuple[int, int]]()
        self.open(self._ring, flush_at, 0.0)

    def _ring(self) -> None:
        self.rung += 1

    def _meanwhile(self, old: int, new: int) -> int:
        while self.late:
            self.write([self.late.pop()])
        return old + new


def test_writes_during_a_fold_are_not_slept_over() -> None:
    table = Table(flush_at=2)
    table.write([(0, 0)])
    table.late = [(1, 1), (2, 2), (3, 3)]
    table.write([(0, 1)])
    assert table.late == []

    assert table.rung == 1


def test_writes_during_a_swap_are_not_slept_over() -> None:
    table = Table(flush_at=3)
    table.write([(0, 0)])
    table.swap(0.0)
    assert table.take(1)
    table.keep(None)
    table.write([(0, 1), (4, 4), (5, 5)])
    assert table.rung == 1
    table.late = [(1, 1), (2, 2), (3, 3)]
    table.swap(0.0)  # puts what is newer over what failed
    assert table.late == []

    assert table.rung == 2


def test_writes_while_a_batch_is_settled_are_not_slept_over() -> None:
    table = Table(flush_at=3)
    table.write([(0, 0)])
    table.swap(0.0)
    assert table.take(1)
    table._busy = True
    table.write([(1, 1), (2, 2), (3, 3)])
    assert table.rung == 0
    table.acknowledge()

    assert table.rung == 1


@pytest.mark.parametrize("versioned", [True, False])
def test_a_read_takes_no_lock_when_all_writes_are_folded(
    versioned: bool, buffers: Buffers, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapped = buffers.map()
    mapped.put("a", 1)
    if versioned:
        mapped.put_newer("a", 2, 1)
    assert mapped.size() == 1
    with monkeypatch.context() as patch:
        patch.setattr(mapped._partitions[0].table, "_lock", None)  # whoever takes it raises

        assert mapped.get("a") == 1 + versioned
    assert mapped.stats().accepted == 1 + versioned


def test_a_late_write_that_the_last_swap_took_stands() -> None:
    table: MapTable[str, int] = MapTable()
    table.open(lambda: None, None, 0.0)
    write = ("a", 1)
    table.log.append(write)
    table.close()
    table.swap(0.0, seal=True)

    assert table.attend((write,))
    assert [entry.key for entry in table.held()] == ["a"]


def test_late_writes_are_taken_back_in_any_order() -> None:
    table: MapTable[str, int] = MapTable()
    table.open(lambda: None, None, 0.0)
    table.close()
    table.swap(0.0, seal=True)
    first, second, third = [("a", 1), ("b", 2)], [("a", 3)], [("c", 4)]
    table.log += first + second + third

    assert not table.attend(first)
    assert table.log == second + third
    assert not table.attend(second)
    assert table.log == third
    assert not table.attend(third)
    assert table.log == []


def test_flush_at_wakes_the_worker_once_for_each_cycle() -> None:
    table = Table(flush_at=2)
    for number in range(5):
        table.write([(number, number)])
    assert table.rung == 1

    table.swap(0.0)
    table.write([(5, 5)])
    assert table.rung == 1
    table.write([(6, 6)])
    table.write([(7, 7)])
    assert table.rung == 2
    assert table.counts(0.0)["accepted"] == 8


def write_while_settling(table: MapTable[int, int], first: int, last: int) -> None:
    table._busy = True
    for number in range(first, last):
        table.write([(number, number)])
    table.acknowledge()


def test_writes_while_batches_are_settled_wake_the_worker_once_for_each_cycle() -> None:
    table = Table(flush_at=3)
    write_while_settling(table, 0, 3)
    assert table.rung == 1
    write_while_settling(table, 3, 1000)
    assert table.rung == 1

    table.swap(0.0)
    write_while_settling(table, 1000, 1003)
    assert table.rung == 2
    assert table.counts(0.0)["accepted"] == 1003


def test_nothing_wakes_the_worker_of_a_table_without_flush_at() -> None:
    table: MapTable[int, int] = MapTable()
    wakes: list[None] = []
    table.open(lambda: wakes.append(None), None, 0.0)
    write_while_settling(table, 0, 1000)

    assert wakes == []
    assert table.counts(0.0)["accepted"] == 1000


def test_a_write_in_the_middle_of_a_fold_is_folded_once() -> None:
    table = Table(flush_at=2)
    table.write([(0, 0)])
    table.late = [(0, 10), (1, 1)]
    table.write([(0, 100)])
    assert table.late == []

    assert {entry.key: entry.value for entry in table.held()} == {0: 110, 1: 1}
    counts = table.counts(0.0)
    assert (counts["accepted"], counts["coalesced"], counts["waiting"]) == (4, 2, 2)


@pytest.mark.parametrize("interrupted", [1, 2, 3])
def test_an_interrupt_in_the_middle_of_a_fold_loses_nothing_and_repeats_nothing(
    interrupted: int, buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    merges = itertools.count(1)

    def merge(old: str, new: str) -> str:
        if next(merges) == interrupted:
            raise KeyboardInterrupt
        return old + new

    mapped = buffers.map(merge=merge)
    mapped.put_all([("a", "1"), ("b", "1")])
    assert mapped.size() == 2
    mapped.put_all([("a", "2"), ("b", "2"), ("c", "1"), ("c", "2"), ("d", "1")])
    with pytest.raises(KeyboardInterrupt):
        mapped.size()

    clock.advance(5.0)

    assert values(processor) == {"a": "12", "b": "12", "c": "12", "d": "1"}
    stats = mapped.stats()
    assert (stats.accepted, stats.delivered, stats.coalesced) == (7, 4, 3)


def test_what_is_in_line_can_be_deleted_between_two_batches() -> None:
    table = Table(flush_at=9)
    table.write([(0, 0), (1, 1), (2, 2)])
    table.swap(0.0)
    table.take(1)
    table.acknowledge()
    table.write([(1, None, 0, DELETED)])
    assert table.get(1, "gone") == "gone"

    assert table.take(2) == [Entry(2, 2, 0, 0)]
    counts = table.counts(0.0)
    assert (counts["deleted"], counts["delivered"], counts["in_flight"]) == (1, 1, 1)


def test_a_write_before_the_first_start_is_not_folded_and_can_be_taken_back() -> None:
    table: MapTable[str, int] = MapTable()
    early = ("a", 1)
    table.log.append(early)

    assert table.get("a", None) is None
    assert table.counts(0.0)["accepted"] == len(table) == 0
    assert not table.attend((early,))
    assert table.log == []
