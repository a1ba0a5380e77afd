"""
A partition's row in the database: its cursor as of a commit that depends on it, and its end.

Two layouts take turns (see `relayout.py`), so a partition's number is its own and the layout's.
"""

import sqlite3
import struct
from contextlib import closing
from typing import NamedTuple

from ...abc import Cursor
from .chunks import PARTITIONS

_WRITE = """
insert into part(p, counter, cursor, kept, hand, stop) values(?, ?, ?, ?, ?, ?)
on conflict(p) do update set counter=excluded.counter, cursor=excluded.cursor, kept=excluded.kept,
hand=excluded.hand, stop=max(stop, excluded.stop)
"""


class Part(NamedTuple):
    """A cursor, and a position that no record was given yet."""

    cursor: Cursor
    stop: int


def number_of(layout: int, partition: int) -> int:
    """Return the number of *partition* in the *layout* of that number."""
    return layout % 2 * PARTITIONS + partition


def read_parts(db: sqlite3.Connection, layout: int) -> dict[int, Part]:
    """Return the rows of a layout, by partition."""
    first = number_of(layout, 0)
    query = "select p, counter, cursor, kept, hand, stop from part where p between ? and ?"
    with closing(db.execute(query, (first, first + PARTITIONS - 1))) as found:
        return {
            p - first: Part(Cursor(counter, cursor, _unpacked(kept), hand), stop)
            for p, counter, cursor, kept, hand, stop in found
        }


def write_part(db: sqlite3.Connection, number: int, now: Cursor, stop: int) -> None:
    """Write the row of a partition, within a transaction."""
    packed = struct.pack(f"<{len(now.kept)}Q", *now.kept)
    db.execute(_WRITE, (number, now.counter, now.cursor, packed, now.hand, stop))


def _unpacked(kept: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(kept) // 8}Q", kept)


class Depth(NamedTuple):
    """The position that the next record gets, the cursor, and how many are not settled."""

    end: int
    cursor: int
    held: int
