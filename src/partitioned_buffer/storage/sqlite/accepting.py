"""
What is accepted gets its positions here, and is there, or is not, with one commit.

Nothing is accepted while the disk is full: see `ballast.py`. Positions are known from memory; who
was interrupted in the middle of a commit does not know them, and asks the database again.

Or else a *single* one is made, in one step: CPython runs signal handlers, finalizers and other
threads between the instructions of Python code, and not in the middle of a call of what is written
in C. So the lock is taken, the row is written, and the lock is free again, in one such call: who is
interrupted has done all of it, or nothing.
"""

import sqlite3
from collections.abc import Sequence
from functools import partial
from operator import call
from typing import Any

from ...abc import Cursor
from ...errors import StorageFull
from .chunks import INSERT, SHIFT, Row, end_in, row_of
from .file import File
from .parts import number_of, write_part
from .reclaiming import PAGES
from .slots import Slots

_ACQUIRED = [True]


class Single:
    """Of *row*, written by *db*; it gives its *partition* another end."""

    def __init__(
        self, accepting: "Accepting", db: sqlite3.Connection, row: Row, partition: int
    ) -> None:
        self._accepting, self._file, self._partition = accepting, accepting.file, partition
        self._ends = accepting.ends
        self.start = self._ends[partition]
        self._end = self.start + row[1]
        self._made: list[Any] = []
        self._step = map(db.execute, (INSERT,), (row,))  # it goes once

    def make(self) -> bool:
        """Write it, unless somebody has tried; return whether it is written. Waits for others."""
        file, lock = self._file, self._file.writing
        held: list[Any] = []
        write = partial(self._made.extend, self._step)
        steps: Any = map(call, (lock.acquire, write, lock.release))  # type: ignore[arg-type]
        do = held.extend
        try:
            if file.why_not is None:  # or this is a fork's child, or it is closed
                do(steps)
        except BaseException as error:
            if held == _ACQUIRED:
                lock.release()
            if not isinstance(error, sqlite3.Error):
                raise
        if not self._made:
            self._accepting.are_known = False
            return False
        if self._ends[self._partition] < self._end:  # noqa: PLR1730  # a call may be parted
            self._ends[self._partition] = self._end
        return True

    def confirm(self) -> None:
        """Raise `StorageError` if it may have gone to a file that has lost its name."""
        if not self._file.watch.is_wal_there():
            with self._file.writing:
                if self._file.why_not is None:  # else it was closed since: all is in the database
                    self._file.look_again()


class Accepting:
    """
    Accepts for the layout of that number; for who holds the file's lock `writing`.

    *ends*: of each partition, the position that its next record gets, at least.
    """

    def __init__(self, file: File, slots: Slots, layout: int, ends: list[int]) -> None:
        self.file, self._slots, self._layout = file, slots, layout
        self.ends = ends
        self.are_known = False
        self.known_ends()

    def known_ends(self) -> list[int]:
        """Return the ends, from the database if need be: no position is ever given twice."""
        if not self.are_known:
            with self.file.question() as db:
                for partition, now in enumerate(self._slots.now):
                    end = end_in(db, number_of(self._layout, partition))
                    self.ends[partition] = max(end, now.cursor, self.ends[partition])
            self.are_known = True
        return self.ends

    def make_room(self) -> None:
        """Raise `StorageFull` unless what is accepted can be deleted again."""
        if self.file.is_full and not self.file.has_room():
            self.file.vacuum(PAGES)
            if not self.file.has_room():
                raise StorageFull(
                    f"{self.file.path}: the disk is full: make room. Nothing is accepted until "
                    "there is some; what was accepted before is safe"
                )

    def append(
        self, pieces: Sequence[tuple[int, int, bytes]], *, durable: bool = True
    ) -> list[int]:
        """Do as `Journal.append()`."""
        self.make_room()
        ends, starts = self.known_ends()[:], []
        made: list[Row] = []
        for partition, count, data in pieces:
            if count < 1:
                raise ValueError(f"{count} records: expected one at least")
            start = ends[partition]
            made.append(row_of(number_of(self._layout, partition), start, count, data))
            starts.append(start)
            ends[partition] = start + count
        self.are_known = False  # who is interrupted in here does not know
        try:
            self._insert(made, ends, durable=durable)
        except StorageFull:
            if not self.file.has_room():  # what was the WAL's may be enough
                raise
            self._insert(made, ends, durable=durable)
        self.ends, self.are_known = ends, True
        return starts

    def _insert(self, made: Sequence[Row], ends: Sequence[int], *, durable: bool = True) -> None:
        overdue = self._slots.overdue()
        single = len(made) == 1 and not overdue
        with self.file.transaction(durable=durable, single=single) as db:
            if len(made) == 1:  # executemany() takes longer
                db.execute(INSERT, made[0])
            else:
                db.executemany(INSERT, made)
            for partition, now in overdue.items():
                write_part(db, number_of(self._layout, partition), now, ends[partition])
        self._slots.are_in_rows(overdue)

    def single(self, partition: int, count: int, data: bytes) -> Single | None:
        """Return a commit of one piece, made once; None where `append` has to see to more."""
        if not self.are_known or self._slots.overdue() or (db := self.file.ready()) is None:
            return None
        row = row_of(number_of(self._layout, partition), self.ends[partition], count, data)
        return Single(self, db, row, partition)

    def replace(self, partition: int, chunks: Sequence[tuple[int, bytes]]) -> list[int]:
        """Do as `Journal.replace()`."""
        self.make_room()
        number, start = number_of(self._layout, partition), self.known_ends()[partition]
        end, made, starts = start, [], []
        for count, data in chunks:
            made.append(row_of(number, end, count, data))
            starts.append(end)
            end += count
        now = Cursor(self._slots.now[partition].counter + 1, start)
        before = (number << SHIFT, (number << SHIFT | start) - 1)
        self.are_known = False
        with self.file.transaction() as db:
            db.execute("delete from chunk where id between ? and ?", before)
            db.executemany(INSERT, made)
            write_part(db, number, now, end)
        self._slots.settle(partition, start, (), 0)
        self.ends[partition], self.are_known = end, True
        return starts

    def write_overdue(self) -> None:
        """Write the cursors that do not fit their slots."""
        if self._slots.overdue():
            self._insert((), self.ends)
