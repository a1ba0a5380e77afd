"""What was given up, kept in the file until somebody has dealt with it."""

import time
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from .file import File

_INSERT = "insert into buried(p, n, crc, data, error, attempts, time) values(?, ?, ?, ?, ?, ?, ?)"
_ROWS = "select id, p, n, crc, data, error, attempts, time from buried"
_NEXT = f"{_ROWS} where id > ? order by id limit 1"
_LAST = f"{_ROWS} order by id desc limit ?"


class Buried(NamedTuple):
    """*count* records that were given up after *attempts*; *data* is None if they are lost."""

    id: int
    partition: int
    count: int  # type: ignore[assignment]  # instead of a tuple's method
    data: bytes | None
    error: str
    attempts: int
    time: float


class Dead:
    """What was given up, in the table of those."""

    def __init__(self, file: File) -> None:
        self._file = file

    def bury(  # a row
        self, partition: int, data: bytes, count: int, error: str, attempts: int
    ) -> int:
        """Keep it; return its id. Raises `StorageError`."""
        row = (partition, count, zlib.crc32(data), data, error, attempts, time.time())
        with self._file.transaction() as db:
            return db.execute(_INSERT, row).lastrowid or 0

    def __iter__(self) -> Iterator[Buried]:
        """Yield what is kept, the oldest first, one after the other from the disk."""
        last = 0
        while True:
            with self._file.view() as db:
                found = db.execute(_NEXT, (last,)).fetchall()
            if not found:
                return
            last = found[0][0]
            yield _buried(*found[0])

    def last(self, count: int) -> list[Buried]:
        """Return the last so many, the newest first."""
        with self._file.view() as db:
            return [_buried(*row) for row in db.execute(_LAST, (count,))]

    def forget(self, which: int) -> bool:
        """Delete one; return whether it was there. Raises `StorageError`."""
        with self._file.transaction() as db:
            return db.execute("delete from buried where id=?", (which,)).rowcount > 0


def _buried(*row: Any) -> Buried:
    """Return what a row says. A flipped bit may make a number of what was bytes."""
    which, partition, count, crc, data, error, attempts, when = row
    is_whole = isinstance(data, bytes) and zlib.crc32(data) == crc
    said = error.decode(errors="replace") if isinstance(error, bytes) else "damaged"
    return Buried(which, partition, count, data if is_whole else None, said, attempts, when)
