"""
Room is given back: first rows, then the pages that they were on, a little at a time.

Rows that are settled are deleted in the transaction that writes the cursor which says so. It need
not wait for the disk: if a power failure undoes it, both are back. Pages are given to the system
when many are free, or when there is nothing else to do; 480 MB in one go would take 8 seconds, and
on a full disk moving many pages at once runs out of room itself.
"""

import sqlite3
from collections.abc import Sequence

from ...abc import Cursor
from ...errors import StorageError
from .chunks import MASK, SHIFT, behind_damage
from .faults import is_damage
from .file import File
from .parts import number_of, write_part
from .slots import Slots

ROWS = 200
"""How many rows are deleted in one step."""

PAGES = 64
"""How many pages are given back in one step."""

SPARE = 1000
"""How many free pages are no reason to give any back while there is something else to do."""

_INSERT = "insert into damaged(chunk, n, crc, data) select id, n, crc, data from chunk where id=?"


class Reclaiming:
    """Deletes what is settled of *partitions*, of the layout with that number."""

    def __init__(self, file: File, slots: Slots, layout: int, partitions: int) -> None:
        self._file, self._slots, self._layout = file, slots, layout
        self._done = [-1] * partitions  # the counter of the cursor up to which all is deleted
        self._from = [number_of(layout, each) << SHIFT for each in range(partitions)]
        self._stuck: set[int] = set()  # rows that cannot be deleted
        self._turn = 0

    def step(self, ends: Sequence[int]) -> bool:
        """Do a part of it; return whether there is more to do. Raises `StorageError`."""
        worked, more = self._delete(ends)
        if (free := self._file.free_pages()) > (SPARE if worked else 0):
            free = self._file.vacuum(PAGES)
        return more or free > 0

    def _delete(self, ends: Sequence[int]) -> tuple[bool, bool]:
        """Delete rows; return whether there were any, and whether there are more."""
        doomed: list[int] = []
        written: dict[int, Cursor] = {}
        behind: dict[int, int] = {}
        for each in range(len(self._done)):
            partition = (self._turn + each) % len(self._done)
            now = self._slots.now[partition]
            if now.counter == self._done[partition]:
                continue
            if len(doomed) >= ROWS:
                self._turn = partition
                break
            found, is_all = self._doomed(partition, now, ROWS - len(doomed))
            doomed += found
            written[partition] = now
            if is_all:
                behind[partition] = now.counter
        if not written:
            return False, False
        try:
            self._write(doomed, written, ends)
        except StorageError as error:
            if not isinstance(error.__cause__, sqlite3.Error) or not is_damage(error.__cause__):
                raise
            self._delete_singly(doomed)  # and the cursors the next time
            return True, True
        for partition, counter in behind.items():
            self._done[partition] = counter
        return True, len(behind) < len(written) or len(doomed) >= ROWS

    def _doomed(self, partition: int, now: Cursor, most: int) -> tuple[list[int], bool]:
        """Return rows that hold nothing unsettled, and whether these are all."""
        first = self._from[partition]
        last = number_of(self._layout, partition) << SHIFT | now.cursor
        limit = most + len(now.kept) + len(self._stuck)
        query = "select id, n from chunk where id >= ? and id < ? order by id limit ?"
        with self._file.question() as db:
            try:
                found = db.execute(query, (first, last, limit)).fetchall()
            except sqlite3.DatabaseError as error:
                if not is_damage(error):
                    raise
                self._from[partition] = behind_damage(db, first, last)
                return [], False
        doomed = [
            key
            for key, count in found
            if (key & MASK) + count <= now.cursor
            and key not in self._stuck
            and not any(0 <= each - (key & MASK) < count for each in now.kept)
        ]
        return doomed, len(found) < limit

    def _write(
        self, doomed: Sequence[int], written: dict[int, Cursor], ends: Sequence[int]
    ) -> None:
        with self._file.transaction(durable=False) as db:
            db.executemany("delete from chunk where id=?", ((key,) for key in doomed))
            for partition, now in written.items():
                write_part(db, number_of(self._layout, partition), now, ends[partition])
        self._slots.are_in_rows(written)

    def _delete_singly(self, doomed: Sequence[int]) -> None:
        """Delete what can be; leave the rest where it is: nobody reads it again."""
        for key in doomed:
            try:
                with self._file.transaction(durable=False) as db:
                    db.execute("delete from chunk where id=?", (key,))
            except StorageError as error:
                if not isinstance(error.__cause__, sqlite3.Error) or not is_damage(error.__cause__):
                    raise
                self._stuck.add(key)

    def set_aside(self, damaged: int) -> None:
        """Move a row that is not as it was written to the table of those."""
        if damaged in self._stuck:
            return
        try:
            with self._file.transaction(durable=False) as db:
                db.execute(_INSERT, (damaged,))
                db.execute("delete from chunk where id=?", (damaged,))
        except StorageError as error:
            if not isinstance(error.__cause__, sqlite3.Error) or not is_damage(error.__cause__):
                raise
            self._stuck.add(damaged)
