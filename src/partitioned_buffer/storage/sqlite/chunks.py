"""
Rows of what was accepted: one per commit and partition, by the position of its first record.

A position counts the records of a partition from 0. A row's id is the partition, shifted, and the
position, so a partition is a range of ids, its end is its last row, and none of it is an index. The
checksum is over id, number and data: SQLite does not notice a flipped bit.

Positions have no gaps from the cursor on. So what cannot be read is not kept account of: whatever
is missing between two rows, or before the end, is lost, and is reported each time it is read over.
"""

import sqlite3
import struct
import zlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from typing import Any, Protocol

from ...abc import Chunk, Cursor
from .faults import is_damage

SHIFT = 48
MASK = (1 << SHIFT) - 1
PARTITIONS = 1 << 14
"""More partitions than a file can have; each has two numbers, see `relayout.py`."""

INSERT = "insert into chunk(id, n, crc, data) values(?, ?, ?, ?)"

_KEYS = struct.Struct("<qq")


Row = tuple[int, int, int, bytes]
"""id, number of records, checksum, data"""


def row_of(number: int, start: int, count: int, data: bytes) -> Row:
    """Return the row of *count* records from *start* on; *number* is their partition's."""
    row = number << SHIFT | start
    return row, count, zlib.crc32(data, zlib.crc32(_KEYS.pack(row, count))), data


def is_whole(row: Sequence[object]) -> bool:
    """Return whether *row* is as it was written."""
    key, count, crc, data = row
    if not (isinstance(key, int) and isinstance(count, int) and isinstance(data, bytes)):
        return False
    return zlib.crc32(data, zlib.crc32(_KEYS.pack(key, count))) == crc


def first_at(db: sqlite3.Connection, number: int, position: int) -> int:
    """Return the id of the row that holds *position*, or could: of the last one up to there."""
    row = number << SHIFT | position
    try:
        query = "select max(id) from chunk where id between ? and ?"
        ((found,),) = db.execute(query, (number << SHIFT, row)).fetchall()
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        found = None
    return row if found is None else int(found)


def rows(db: sqlite3.Connection, first: int, last: int) -> Generator[Sequence[object]]:
    """Yield what can be read of the rows *first* to *last*, in order."""
    query = "select id, n, crc, data from chunk where id between ? and ? order by id"
    while first <= last:
        try:
            # Closed, however little of it is read: an open query keeps the WAL from beginning anew.
            with closing(db.execute(query, (first, last))) as found:
                for row in found:
                    yield row
                    first = row[0] + 1
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            first = behind_damage(db, first, last)
        else:
            return


def behind_damage(db: sqlite3.Connection, first: int, last: int) -> int:
    """Return from which id on something can be read again, with 48 questions or so, twice."""
    step = 1
    while first + step <= last and not _is_readable(db, first + step, last):
        step *= 2
    # The latter is readable, or there is no more behind it; the former is not.
    low, high = first + step // 2, min(first + step, last + 1)
    while high - low > 1:
        middle = (low + high) // 2
        if _is_readable(db, middle, last):
            high = middle
        else:
            low = middle
    return high


def _is_readable(db: sqlite3.Connection, first: int, last: int) -> bool:
    query = "select id, n, crc, data from chunk where id between ? and ? order by id limit 1"
    try:
        db.execute(query, (first, last)).fetchall()
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        return False
    return True


def end_in(db: sqlite3.Connection, number: int) -> int:
    """
    Return the position behind the last row of a partition.

    Raises SQLite's error if its page cannot be read: nothing could be appended, either.
    """
    low, high = number << SHIFT, number << SHIFT | MASK
    query = "select {} from chunk where id between ? and ? order by id desc limit 1"
    try:
        found = db.execute(query.format("id, n, crc, data"), (low, high)).fetchall()
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        found = db.execute(query.format("id, n, 0, x''"), (low, high)).fetchall()
    if not found:
        return 0
    key, count, _, data = found[0]
    if not is_whole(found[0]):
        # Its number may be what is damaged: not more than can be, and nobody's position again.
        most = max(1, len(data) if isinstance(data, bytes) else 1)
        count = count if isinstance(count, int) and 0 < count <= most else most
    return int((key & MASK) + count)


STREAMED = 1 << 20
"""Bytes that are read at once of all that is there."""


def read_chunks(
    db: sqlite3.Connection, number: int, position: int, end: int, max_bytes: int
) -> tuple[list[Chunk], int, list[int]]:
    """
    Return chunks from the one that holds *position* on, until they have *max_bytes*.

    And up to where that is all that is there; and rows that are not as they were written.
    """
    found: list[Chunk] = []
    damaged: list[int] = []
    size, first = 0, first_at(db, number, position)
    with closing(rows(db, first, (number << SHIFT | end) - 1)) as held:
        for row in held:
            chunk = _chunk(row)
            if chunk is None:
                damaged.append(row[0])  # type: ignore[arg-type]  # an id is nothing else
            elif chunk.start + chunk.count > position:
                found.append(chunk)
                size += len(row[3])  # type: ignore[arg-type]  # it is whole
                if size >= max_bytes:
                    end = chunk.start + chunk.count
                    break
    return found, end, damaged


def _chunk(row: Any) -> Chunk | None:
    """Return *row* as it was written; None if it is not."""
    if not is_whole(row):
        return None
    key, count, _, data = row
    return Chunk(key & MASK, count, data)


def with_losses(found: Sequence[Chunk], position: int, end: int, now: Cursor) -> list[Chunk]:
    """Return *found*, and what is missing between *position* and *end* that is not settled."""
    whole: list[Chunk] = []
    for chunk in (*found, Chunk(end, 0, None)):
        if chunk.start > position:
            whole += [Chunk(each, 1, None) for each in now.kept if position <= each < chunk.start]
            if chunk.start > (first := max(position, now.cursor)):
                whole.append(Chunk(first, chunk.start - first, None))
        if chunk.count:
            whole.append(chunk)
        position = max(position, chunk.start + chunk.count)
    return whole


class Readable(Protocol):
    """What can be streamed from."""

    def read(self, partition: int, position: int, max_bytes: int) -> list[Chunk]: ...  # noqa: D102
    def cursor(self, partition: int) -> Cursor: ...  # noqa: D102
    def end(self, partition: int) -> int: ...  # noqa: D102


def streamed(journal: Readable, partition: int) -> Iterator[Chunk]:
    """Yield all chunks that hold something unsettled now."""
    now, end = journal.cursor(partition), journal.end(partition)
    at = 0
    for kept in now.kept:
        if kept >= at:  # else it was in the chunk before
            for chunk in journal.read(partition, kept, 1):
                if chunk.start <= kept:
                    yield chunk
                    at = chunk.start + chunk.count
    at = max(at, now.cursor)
    while at < end and (chunks := journal.read(partition, at, STREAMED)):
        yield from chunks
        at = chunks[-1].start + chunks[-1].count


def weight_from(db: sqlite3.Connection, number: int, position: int) -> int:
    """Return how many bytes of data a partition has in the rows from *position* on."""
    first, last, at = first_at(db, number, position), number << SHIFT | MASK, number << SHIFT
    query = "select total(length(data)) from chunk where id between ? and ? and id + n > ?"
    ((size,),) = db.execute(query, (first, last, at | position)).fetchall()
    return int(size)
