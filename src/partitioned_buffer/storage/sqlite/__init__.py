"""
A journal of what was accepted, and how much of it is settled, in one SQLite file. `SQLite(path)` is
what a buffer is given as its `storage`.

    journal.py      what a buffer stands on: append, read, settle, reclaim
    accepting.py    positions, and commits
    file.py         the database: its two connections, its commits, what it was made for
    terms.py        what a file was made for
    watch.py        whether the files are still those that were opened
    faults.py       what an error of SQLite, or of the system, means
    lock.py         one process per file
    chunks.py       rows: what was accepted, read back whole or said to be lost
    slots.py        cursors: what is settled, without a commit
    parts.py        cursors in the database
    reclaiming.py   room is given back
    ballast.py      room to give room back in, when the disk is full
    dead.py         what was given up, kept in the file
    relayout.py     another number of partitions than before

    PATH            the database            PATH-ack        cursors, two slots per partition
    PATH-wal, -shm  SQLite's own            PATH-lock       whose it is
    PATH-ballast    room, nothing in it
"""

import os
from collections.abc import Callable
from typing import Any, Literal

from ...abc import Codec, Terms
from ...errors import InvalidOption
from ..codec import make_codec
from ..keys import make_keys
from ..stable_hash import stable_hash
from .journal import Journal

WINDOW = 8 << 20


__all__ = ["Journal", "SQLite", "SQLiteStore"]


class SQLite:
    """
    Keeps what a buffer accepts in the SQLite file at *path*, so that it survives the process.

    *fsync*: `"commit"`, a write that has returned survives power failures; or `"os"`, it survives
    `kill -9`, and takes a fraction of the time. *codec*: how items become bytes. None:
    MessagePack, by msgspec (`pip install 'partitioned-buffer[sqlite]'`); a type (a dataclass, a
    `msgspec.Struct`, a TypedDict), so that items come back as that; a pair of functions to bytes
    and back; or `"pickle"`, which takes nearly anything, and lets whoever can write to the file
    run code. *window*: how many bytes of what waits stay in memory, too.

    A file belongs to one buffer at a time, of one process, and to one kind and codec.

    Raises `InvalidOption`.
    """

    def __init__(
        self,
        path: "str | os.PathLike[str]",
        *,
        fsync: Literal["commit", "os"] = "commit",
        codec: Any = None,
        window: int = WINDOW,
    ) -> None:
        _check(path, fsync, window)
        self.path, self.window = os.fspath(path), window
        self.fsync: Literal["commit", "os"] = fsync
        self.codec = make_codec(codec)
        self.keys = make_keys(self.codec)

    def __repr__(self) -> str:
        return f"SQLite({self.path!r}, fsync={self.fsync!r})"

    def hash(self, key: Any, /) -> int:
        """Return the hash of *key*, the same in every process; raise `TypeError`."""
        return stable_hash(key)

    def open(self, terms: Terms, /) -> "SQLiteStore":
        """Open the file, or make it; move what is in it to as many partitions as are wanted."""
        journal = Journal.open(
            self.path,
            fsync=self.fsync,
            kind=terms.kind,
            codec=self.codec.name,
            partitions=terms.partitions,
        )
        try:
            if journal.needs_relayout:
                journal.relayout(terms.partitions, terms.route, _preparing(self, terms))
        except BaseException:
            journal.close()
            raise
        return SQLiteStore(journal, self)


def _preparing(storage: SQLite, terms: Terms) -> Callable[[Journal], None] | None:
    if (prepare := terms.prepare) is None:
        return None
    return lambda journal: prepare(SQLiteStore(journal, storage), journal.partitions)


def _check(path: object, fsync: object, window: object) -> None:
    """Raise `InvalidOption` if one of them is not what it has to be."""
    if not isinstance(path, str | os.PathLike) or not str(path):
        raise InvalidOption(f"path={path!r}: expected the path of a file")
    if fsync not in ("commit", "os"):
        raise InvalidOption(f'fsync={fsync!r}: expected "commit" or "os"')
    if isinstance(window, bool) or not isinstance(window, int) or window < 0:
        raise InvalidOption(f"window={window!r}: expected a number of bytes from 0")


class SQLiteStore:
    """A `Store`: a journal that is open."""

    def __init__(self, journal: Journal, storage: SQLite) -> None:
        self.where = journal.path
        # Positions begin anew when records are moved to other partitions.
        self.identity = f"{journal.id.hex()}-{journal.layout}"
        self.codec: Codec = storage.codec
        self.window = storage.window
        self.append, self.read = journal.append, journal.read
        # After each batch: what has to be refused, the slots refuse by themselves.
        self.settle = journal.settle if journal.needs_relayout else journal.slots.settle
        self.single = journal.single
        self.cursor, self.end, self.weight = journal.cursor, journal.end, journal.weight
        self.replace, self.reclaim, self.bury = journal.replace, journal.reclaim, journal.bury
        self.records, self.close = journal.records, journal.close
        self.journal = journal
