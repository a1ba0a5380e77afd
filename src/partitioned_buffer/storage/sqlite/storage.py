"""
`SQLite(path)`: what a buffer is given as its `storage`.
"""

import os
from typing import Any, Literal

from ...abc import Terms
from ...errors import InvalidOption
from ..codec import make_codec
from ..keys import make_keys
from ..stable_hash import stable_hash
from .journal import Journal

WINDOW = 8 << 20


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
        if not isinstance(path, str | os.PathLike) or not str(path):
            raise InvalidOption(f"path={path!r}: expected the path of a file")
        if fsync not in ("commit", "os"):
            raise InvalidOption(f'fsync={fsync!r}: expected "commit" or "os"')
        if isinstance(window, bool) or not isinstance(window, int) or window < 0:
            raise InvalidOption(f"window={window!r}: expected a number of bytes from 0")
        self.path, self.fsync, self.window = os.fspath(path), fsync, window
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
                journal.relayout(terms.partitions, terms.route)
        except BaseException:
            journal.close()
            raise
        return SQLiteStore(journal, self)


class SQLiteStore:
    """A `Store`: a journal that is open."""

    def __init__(self, journal: Journal, storage: SQLite) -> None:
        self.where, self.identity = journal.path, journal.id.hex()
        self.codec, self.window = storage.codec, storage.window
        self.append, self.read, self.settle = journal.append, journal.read, journal.settle
        self.cursor, self.end, self.weight = journal.cursor, journal.end, journal.weight
        self.replace, self.reclaim, self.bury = journal.replace, journal.reclaim, journal.bury
        self.records, self.close = journal.records, journal.close
        self.journal = journal
