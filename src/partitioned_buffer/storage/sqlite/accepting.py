"""
What is accepted gets its positions here, and is there, or is not, with one commit.

Nothing is accepted while the disk is full: see `ballast.py`. Positions are known from memory; who
was interrupted in the middle of a commit does not know them, and asks the database again.
"""

from collections.abc import Sequence

from ...abc import Cursor
from ...errors import StorageFull
from .chunks import INSERT, SHIFT, Row, end_in, row_of
from .file import File
from .parts import number_of, write_part
from .reclaiming import PAGES
from .slots import Slots


class Accepting:
    """
    Accepts for the layout of that number; for who holds the file's lock `writing`.

    *ends*: of each partition, the position that its next record gets, at least.
    """

    def __init__(self, file: File, slots: Slots, layout: int, ends: list[int]) -> None:
        self._file, self._slots, self._layout = file, slots, layout
        self.ends = ends
        self._are_known = False
        self.known_ends()

    def known_ends(self) -> list[int]:
        """Return the ends, from the database if need be: no position is ever given twice."""
        if not self._are_known:
            with self._file.question() as db:
                for partition, now in enumerate(self._slots.now):
                    end = end_in(db, number_of(self._layout, partition))
                    self.ends[partition] = max(end, now.cursor, self.ends[partition])
            self._are_known = True
        return self.ends

    def make_room(self) -> None:
        """Raise `StorageFull` unless what is accepted can be deleted again."""
        if self._file.is_full and not self._file.has_room():
            self._file.vacuum(PAGES)
            if not self._file.has_room():
                raise StorageFull(
                    f"{self._file.path}: the disk is full: make room. Nothing is accepted until "
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
        self._are_known = False  # who is interrupted in here does not know
        try:
            self._insert(made, ends, durable=durable)
        except StorageFull:
            if not self._file.has_room():  # what was the WAL's may be enough
                raise
            self._insert(made, ends, durable=durable)
        self.ends, self._are_known = ends, True
        return starts

    def _insert(self, made: Sequence[Row], ends: Sequence[int], *, durable: bool = True) -> None:
        overdue = self._slots.overdue()
        single = len(made) == 1 and not overdue
        with self._file.transaction(durable=durable, single=single) as db:
            if len(made) == 1:  # executemany() takes longer
                db.execute(INSERT, made[0])
            else:
                db.executemany(INSERT, made)
            for partition, now in overdue.items():
                write_part(db, number_of(self._layout, partition), now, ends[partition])
        self._slots.are_in_rows(overdue)

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
        self._are_known = False
        with self._file.transaction() as db:
            db.execute("delete from chunk where id between ? and ?", before)
            db.executemany(INSERT, made)
            write_part(db, number, now, end)
        self._slots.settle(partition, start, (), 0)
        self.ends[partition], self._are_known = end, True
        return starts

    def write_overdue(self) -> None:
        """Write the cursors that do not fit their slots."""
        if self._slots.overdue():
            self._insert((), self.ends)
