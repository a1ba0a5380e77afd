"""A journal against a list of records per partition, and what of them is settled."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("hypothesis")
from helpers import rounds
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from journals import by_key, crashed, opened

from partitioned_buffer.abc import Cursor
from partitioned_buffer.storage.sqlite.chunks import MASK
from partitioned_buffer.storage.sqlite.parts import Depth

parts = st.integers(0, 3)
KEYS = 12  # a multiple of every number of partitions: a key is a partition of the largest


class JournalMachine(RuleBasedStateMachine):
    """The model: all records by position, the cursor, what is kept, and what is buried."""

    @initialize(partitions=st.integers(1, 4))
    def begin(self, partitions: int) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.copies = self.number = 0
        self.path = self.folder / "events.db"
        self.journal = opened(self.path, partitions=partitions)
        self.records: list[list[bytes]] = [[] for _ in range(partitions)]
        self.settled: list[Cursor] = [Cursor()] * partitions
        self.starts: list[int] = [0] * partitions  # the position of the first record of the list
        self.buried: list[bytes] = []

    def teardown(self) -> None:
        if hasattr(self, "journal"):
            self.journal.close()
            shutil.rmtree(self.folder)

    def _made(self, partition: int, count: int) -> list[bytes]:
        made = []
        for _ in range(count):
            self.number = (self.number + 1) % 256
            key = partition + len(self.records) * (self.number % (KEYS // len(self.records)))
            made.append(bytes([key, self.number]))
        return made

    @rule(pieces=st.lists(st.tuples(parts, st.integers(1, 30)), min_size=1, max_size=4))
    def append(self, pieces: list[tuple[int, int]]) -> None:
        named, expected = [], []
        for part, count in pieces:
            partition = part % len(self.records)
            made = self._made(partition, count)
            expected.append(self._end(partition))
            self.records[partition] += made
            named.append((partition, count, b"".join(made)))
        assert self.journal.append(named) == expected

    def _end(self, partition: int) -> int:
        return self.starts[partition] + len(self.records[partition])

    @rule(part=parts, step=st.floats(0, 1), keep=st.lists(st.floats(0, 1), max_size=25))
    def settle(self, part: int, step: float, keep: list[float]) -> None:
        partition = part % len(self.records)
        before = self.settled[partition]
        cursor = before.cursor + round(step * (self._end(partition) - before.cursor))
        open_ones = [*before.kept, *range(before.cursor, cursor)]
        kept = sorted({open_ones[int(each * (len(open_ones) - 1))] for each in keep if open_ones})
        hand = self._end(partition) - cursor
        self.journal.settle(partition, cursor, kept, hand)
        self.settled[partition] = Cursor(before.counter + 1, cursor, tuple(kept), hand)

    @rule()
    def reclaim(self) -> None:
        self.journal.reclaim()

    @rule(part=parts, counts=st.lists(st.integers(1, 9), max_size=3))
    def replace(self, part: int, counts: list[int]) -> None:
        partition = part % len(self.records)
        end, chunks = self._end(partition), []
        self.records[partition], self.starts[partition] = [], end
        for count in counts:
            made = self._made(partition, count)
            self.records[partition] += made
            chunks.append((count, b"".join(made)))
        self.journal.replace(partition, chunks)
        self.settled[partition] = Cursor(self.journal.cursor(partition).counter, end)

    @rule(part=parts)
    def bury(self, part: int) -> None:
        self.number = (self.number + 1) % 256
        self.buried.append(bytes([self.number]))
        self.journal.bury(part, self.buried[-1], 1, "error", 1)

    @rule()
    def forget(self) -> None:
        for each in list(self.journal.buried())[:1]:
            assert self.journal.forget_buried(each.id)
            self.buried.pop(0)

    @rule()
    def close_and_open(self) -> None:
        self.journal.close()
        self.journal = opened(self.path, partitions=len(self.records))

    @rule()
    def crash_and_open(self) -> None:
        """Go on with what is on the disk; kept lists that fit no slot may be older there."""
        self.copies += 1
        copy = crashed(self.path, self.folder / str(self.copies))
        overdue = self.journal.slots.overdue()
        self.journal.close()
        self.path = copy
        self.journal = opened(copy, partitions=len(self.records))
        for partition in overdue:
            found, told = self.journal.cursor(partition), self.settled[partition]
            assert found.counter <= told.counter
            if found != told:
                assert found.cursor <= told.cursor, "what is settled comes again"
                self.settled[partition] = found

    @rule(partitions=st.sampled_from([1, 2, 3, 4]))
    def relayout(self, partitions: int) -> None:
        if partitions == len(self.records):
            return
        held = [self._held(partition) for partition in range(len(self.records))]
        self.journal.relayout(partitions, by_key)
        assert self.journal.partitions == partitions
        self.settled = [Cursor()] * partitions
        self.starts = [0] * partitions
        self.records = [[] for _ in range(partitions)]
        for records in held:
            for record in records:
                self.records[record[0] % partitions].append(record)
        for partition in range(partitions):
            self.records[partition] = self._in_its_order(partition)

    def _in_its_order(self, partition: int) -> list[bytes]:
        """Return the records as they are there, if those of each key are in the model's order."""
        there = self._read_all(partition)
        for key in range(KEYS):
            ours = [each for each in self.records[partition] if each[0] == key]
            assert [each for each in there if each[0] == key] == ours
        assert len(there) == len(self.records[partition])
        return there

    def _held(self, partition: int) -> list[bytes]:
        now, start = self.settled[partition], self.starts[partition]
        records = self.records[partition]
        kept = [records[each - start] for each in now.kept if each >= start]
        return kept + records[max(0, now.cursor - start) :]

    def _read_all(self, partition: int) -> list[bytes]:
        now, found = self.journal.cursor(partition), []
        for chunk in self.journal.records(partition):
            assert chunk.data is not None
            found += [
                chunk.data[2 * place : 2 * place + 2]
                for place in range(chunk.count)
                if chunk.start + place >= now.cursor or chunk.start + place in now.kept
            ]
        return found

    @invariant()
    def agrees(self) -> None:
        for partition, now in enumerate(self.settled):
            end = self._end(partition)
            assert self.journal.cursor(partition) == now
            assert self.journal.depth(partition) == Depth(
                end, now.cursor, end - now.cursor + len(now.kept)
            )
            assert self._read_all(partition) == self._held(partition)
        assert [each.data for each in self.journal.buried()] == self.buried

    @invariant()
    def deletes_only_what_is_settled(self) -> None:
        rows: Any = self.journal._file.db.execute("select id, n from chunk").fetchall()
        assert all(count > 0 and key & MASK >= 0 for key, count in rows)


TestJournal = JournalMachine.TestCase
TestJournal.settings = settings(
    max_examples=rounds(60, least=8), stateful_step_count=30, deadline=None
)
