"""
Another number of partitions than the file was written with: what is held is routed anew.

Two layouts take turns, each with partitions, rows and slots of its own, so what is moved and what
is not yet is told apart by its id. First one commit begins the new layout, with the cursors of the
old one in their rows. Then each row goes, in one commit, to where its records belong, and the
cursor behind it; whoever is killed in between goes on at the next open. The records of a key are in
one partition before, and are moved in their order, so they keep it.
"""

from collections.abc import Sequence
from contextlib import closing, suppress
from typing import Any, NamedTuple

from ...abc import Cursor, Route
from ...errors import StorageError
from .chunks import INSERT, MASK, SHIFT, Row, end_in, is_whole, row_of, rows
from .file import File
from .parts import Part, number_of, read_parts, write_part

_SET = "insert into meta(k, v) values(?, ?) on conflict(k) do update set v=excluded.v"
_ASIDE = "insert into damaged(chunk, n, crc, data) values(?, ?, ?, ?)"


class Moved(NamedTuple):
    """How many records were moved, and how many could not be read, and are lost."""

    records: int
    lost: int


def begin_layout(file: File, partitions: int, now: Sequence[Part]) -> None:
    """Begin a layout of so many partitions; *now*: where those of the present one are."""
    layout = file.meta["layout"]
    meta = {"moving": len(now), "layout": layout + 1, "partitions": partitions}
    with file.transaction() as db:
        for partition, part in enumerate(now):
            write_part(db, number_of(layout, partition), part.cursor, part.stop)
        db.executemany(_SET, meta.items())
    file.meta.update(meta)


def move_layout(file: File, route: Route) -> Moved:
    """Move what is left in the layout before the present one. Raises `StorageError`."""
    layout, old = file.meta["layout"] - 1, file.meta["moving"]
    target = _Target(file, route)
    with file.question() as db:
        before = read_parts(db, layout)
    moved = lost = 0
    for partition in range(old):
        part = before.get(partition, Part(Cursor(), 0))
        done = _move_partition(target, number_of(layout, partition), part)
        moved, lost = moved + done.records, lost + done.lost
    first = number_of(layout, 0)
    with suppress(StorageError), file.transaction(durable=False) as db:  # what could not be read
        query = "delete from chunk where id between ? and ?"
        db.execute(query, (first << SHIFT, (first + old) << SHIFT))
    with file.transaction() as db:
        db.execute("delete from part where p between ? and ?", (first, first + old))
        db.execute("delete from meta where k='moving'")
    del file.meta["moving"]
    return Moved(moved, lost)


class _Target:
    """The new layout: what has been put there, and where the next goes."""

    def __init__(self, file: File, route: Route) -> None:
        self.file, self._route = file, route
        self._layout, self._partitions = file.meta["layout"], file.meta["partitions"]
        numbers = [number_of(self._layout, each) for each in range(self._partitions)]
        with file.question() as db:
            self._ends = [end_in(db, number) for number in numbers]

    def take(self, data: bytes, places: Sequence[int]) -> list[Row]:
        """Return the rows that a chunk is parted into."""
        pieces = self._route(data, places, self._partitions) if places else {}
        if sum(count for count, _ in pieces.values()) != len(places):
            raise StorageError(
                f"{self.file.path}: route() returned other than the {len(places)} records it was "
                "given: nothing of them was moved"
            )
        made = []
        for partition, (count, data_there) in pieces.items():
            if not 0 <= partition < self._partitions:
                raise StorageError(f"{self.file.path}: route() named partition {partition}")
            number = number_of(self._layout, partition)
            made.append(row_of(number, self._ends[partition], count, data_there))
        return made

    def have(self, made: Sequence[Row]) -> None:
        """Take note of what was put there."""
        for key, count, _, _ in made:
            partition = number_of(self._layout, 0) ^ key >> SHIFT
            self._ends[partition] = (key & MASK) + count


def _move_partition(target: _Target, number: int, part: Part) -> Moved:
    """Move a partition, row by row."""
    (counter, cursor, kept, _), stop = part
    moved = lost = 0
    at = number << SHIFT
    while (row := _next(target.file, at, number << SHIFT | MASK)) is not None:
        key, count, _, data = row
        at, start = key + 1, key & MASK
        if not is_whole(row):
            _set_aside(target.file, row)
            continue
        lost += _missing(cursor, kept, start)
        behind = start + count
        places = [each for each in range(count) if start + each >= cursor or start + each in kept]
        made = target.take(data, places)
        # As if all up to here were settled: it is elsewhere.
        counter, cursor = counter + 1, max(cursor, behind)
        kept = tuple(each for each in kept if each >= behind)
        with target.file.transaction(durable=False) as db:
            db.execute("delete from chunk where id=?", (key,))
            db.executemany(INSERT, made)
            write_part(db, number, Cursor(counter, cursor, kept), stop)
        target.have(made)
        moved += len(places)
    return Moved(moved, lost + _missing(cursor, kept, stop))


def _missing(cursor: int, kept: Sequence[int], start: int) -> int:
    """Return how many records before *start* were to be delivered, and were not there."""
    return max(0, start - cursor) + sum(each < start for each in kept)


def _next(file: File, first: int, last: int) -> Any:
    with file.question() as db, closing(rows(db, first, last)) as found:
        return next(iter(found), None)


def _set_aside(file: File, row: Sequence[Any]) -> None:
    with file.transaction(durable=False) as db:
        db.execute(_ASIDE, row)
        db.execute("delete from chunk where id=?", (row[0],))
