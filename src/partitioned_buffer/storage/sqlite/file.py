"""
The database: what it was made for, its two connections, and its commits.

One connection writes, one thread at a time; the other only reads, and so waits for no commit. Both
stay open until the end: SQLite's locks are the process's, and whoever closes the file drops them
(see `watch.py`). For the same reason a forked child closes neither, not even when it ends.

`secure_delete` is off, which some systems have on: it would write every deleted page once more.
"""

import functools
import os
import sqlite3
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ...errors import StorageError, StorageFull
from .ballast import Ballast
from .faults import translated, undo
from .terms import check_terms, create_tables, read_terms, sync_folder
from .watch import Watch

PATIENCE = 5.0
"""Seconds that a commit waits for another program's; there should be none."""

_LONGEST_WAL = 16 << 20
"""Bytes that a WAL keeps when it begins anew, however large a commit was."""


def connected(path: str, mode: str) -> sqlite3.Connection:
    """Return a connection; *mode* as a URI has it: "rw" makes no file."""
    db = sqlite3.connect(
        f"{Path(path).as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=PATIENCE,
    )
    db.text_factory = bytes  # a flipped bit may call data text
    # It is held by a function that it holds itself, where no collector looks: only `close()` closes
    # it, so not the end of a forked child, where its mutex may be locked for ever.
    db.create_function("itself", 0, functools.partial(id, db))
    return db


class File:
    """
    The database at *path*, made for *terms*: its kind, its codec, and the number of partitions.

    *durable*: commits survive a power failure. Raises `StorageError`.
    """

    def __init__(self, path: str, *, durable: bool, terms: Mapping[str, Any]) -> None:
        self.path, self._durable = path, durable
        self.writing, self.reading = threading.RLock(), threading.RLock()
        self.why_not: str | None = None
        self._db: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None
        self._ballast = Ballast(path)
        try:
            self.meta = self._opened(terms)
        except StorageFull:
            self._ballast.give_up()
            self.meta = self._opened(terms)
        self._ballast.take()

    def _opened(self, terms: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return self._made(terms)
        except (sqlite3.Error, OSError) as error:
            self._disconnect()
            raise translated(self.path, error) from error
        except BaseException:
            self._disconnect()
            raise

    def _made(self, terms: Mapping[str, Any]) -> dict[str, Any]:
        is_new = not Path(self.path).exists()
        if is_new:  # for its owner alone, as SQLite's own files will be
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        self._connect(terms)
        if is_new:
            sync_folder(self.path)
        return read_terms(self.db)

    def _connect(self, terms: Mapping[str, Any]) -> None:
        self._db = db = connected(self.path, "rw")
        if tables := {name for (name,) in db.execute("select name from sqlite_master")}:
            check_terms(self.path, db, tables, terms)
        for pragma in ("page_size=8192", "auto_vacuum=incremental"):  # of a new one
            db.execute(f"pragma {pragma}")
        ((mode,),) = db.execute("pragma journal_mode=wal").fetchall()
        if mode != b"wal":
            raise StorageError(
                f"{self.path}: SQLite cannot use a write-ahead log there (it says "
                f"{mode.decode()!r}): put the file on a local disk, not on a network"
            )
        db.execute("pragma secure_delete=off").fetchall()
        for pragma in (
            "wal_autocheckpoint=1000",
            f"journal_size_limit={_LONGEST_WAL}",
            "cell_size_check=on",
        ):
            db.execute(f"pragma {pragma}").fetchall()
        self._syncs(now=True)
        if not tables:
            create_tables(db, terms)
        self._reader = connected(self.path, "ro")
        self._reader.execute("select count(*) from meta").fetchall()
        self.watch = Watch(self.path)

    def _syncs(self, *, now: bool) -> None:
        """Have commits wait for the disk, or not; it costs 3 us to say so."""
        level = "full" if now and self._durable else "normal"
        self.db.execute(f"pragma synchronous={level}")
        self.is_durable = now

    def check(self) -> None:
        """Raise `StorageError` if the file is closed, or is the parent's."""
        if self.why_not is not None:
            raise StorageError(f"{self.path}: {self.why_not}")

    @property
    def db(self) -> sqlite3.Connection:
        """The connection that writes, for who holds `writing`."""
        return self._there(self._db)

    def _there(self, connection: sqlite3.Connection | None) -> sqlite3.Connection:
        self.check()
        if connection is None:
            raise StorageError(f"{self.path}: it is not open")
        return connection

    @contextmanager
    def question(self) -> Generator[sqlite3.Connection]:
        """Ask what has been written, as who writes sees it. Raises `StorageError`."""
        with self.writing:
            try:
                yield self.db
            except sqlite3.Error as error:
                raise self.failed(error) from error

    # --- what is written

    @contextmanager
    def transaction(
        self, *, durable: bool = True, single: bool = False
    ) -> Generator[sqlite3.Connection]:
        """
        Write all of it, or nothing; not *durable*: what a power failure may undo. A *single*
        statement is a transaction by itself. Raises `StorageError`, having written nothing.
        """
        with self.writing:
            self.check()
            self._look()
            db = self.db
            try:
                if durable is not self.is_durable:
                    self._syncs(now=durable)
                if not single:
                    db.execute("begin immediate")
                yield db
                if not single:
                    db.execute("commit")
            except sqlite3.Error as error:
                undo(db)
                raise self.failed(error) from error
            except BaseException:
                undo(db)
                raise
            self.look_again()

    def failed(self, error: sqlite3.Error) -> StorageError:
        """Return what *error* means, and give up the ballast if it means that the disk is full."""
        said = translated(self.path, error)
        if isinstance(said, StorageFull):
            self._ballast.give_up()
            self.shorten_wal()
        return said

    def has_room(self) -> bool:
        """Return whether something can be accepted, and still be deleted afterwards."""
        return self._ballast.is_there or self._ballast.take()

    @property
    def is_full(self) -> bool:
        """Whether the disk was full, and nothing is accepted until it is not."""
        return not self._ballast.is_there

    def ready(self) -> sqlite3.Connection | None:
        """Return what takes a row now, with nothing to be done before; None if nothing does."""
        db, fine = self._db, self.why_not is None and self._ballast.is_there and self.is_durable
        is_free = db is not None and fine and not db.in_transaction
        return db if is_free and self.watch.is_as_left() else None

    def shorten_wal(self) -> None:
        """Bring all of the WAL to the file, and give its room back, if nobody is reading it."""
        with suppress(sqlite3.Error):
            self.db.execute("pragma wal_checkpoint(truncate)").fetchall()
        self._note()

    def vacuum(self, pages: int) -> int:
        """Give back up to so many free pages; return how many are left."""
        with self.question() as db:
            self._look()
            db.execute(f"pragma incremental_vacuum({pages})").fetchall()
            if self.is_full:
                self.shorten_wal()
            self._note()
            return self.free_pages()

    def free_pages(self) -> int:
        """Return how many pages of the file hold nothing."""
        with self.question() as db:
            ((free,),) = db.execute("pragma freelist_count").fetchall()
            return int(free)

    # --- what is read

    @contextmanager
    def view(self) -> Generator[sqlite3.Connection]:
        """Read what has been committed. Raises `StorageError`."""
        with self.reading:
            try:
                yield self._there(self._reader)
            except sqlite3.Error as error:
                raise translated(self.path, error) from error

    # --- whether it is still there

    def _note(self) -> None:
        self.watch.trouble()
        self.watch.note()

    def _look(self) -> None:
        """Raise `StorageError` if the files are not those that were opened, before it matters."""
        if trouble := self.watch.trouble():
            if self.watch.has_lost_wal and self._reconnect():
                trouble += ". What was in it is safe, and there is a new one"
            raise StorageError(f"{self.path}: {trouble}. Nothing of this write was accepted")
        if self.watch.has_shrunk:
            if not self._is_whole():
                raise StorageError(
                    f"{self.path}: it, or its -wal, was cut short by another program: move both "
                    "away, and look with `sqlite3` and `.recover` for what can be saved. Nothing "
                    "of this write was accepted"
                )
            self._note()

    def look_again(self) -> None:
        """Raise `StorageError` if a commit may have gone to a file that has lost its name."""
        if trouble := self.watch.trouble():
            if self.watch.has_lost_wal:
                self._reconnect()
            raise StorageError(f"{self.path}: {trouble}. This write may have been made, or not")
        self.watch.note()

    def _is_whole(self) -> bool:
        """Read all of it, as another process would, to know why it is shorter."""
        with suppress(sqlite3.Error), self.reading:
            reader = self._there(self._reader)
            reader.execute("pragma shrink_memory").fetchall()  # not from its memory
            said = reader.execute("pragma quick_check(1)").fetchall()
            ((busy, *_),) = self.db.execute("pragma wal_checkpoint(truncate)").fetchall()
            return said == [(b"ok",)] and not busy
        return False

    def _reconnect(self) -> bool:
        """Bring what is in a WAL without a name to the file, and open both anew."""
        with suppress(sqlite3.Error), self.reading:
            ((busy, pages, done),) = self.db.execute("pragma wal_checkpoint(full)").fetchall()
            if busy or done < pages:
                return False
            self._disconnect()
            try:
                self._connect(self.meta)
            except (sqlite3.Error, StorageError):
                self._disconnect()
                self.why_not = "its write-ahead log was removed, and it could not be opened anew"
            return self.why_not is None
        return False

    # --- ends

    def _disconnect(self) -> None:
        # The one that only reads goes first: the last one brings the WAL to the file.
        for db in (self._reader, self._db):
            if db is not None:
                db.close()
        self._reader = self._db = None

    def close(self) -> None:
        """Bring all of the WAL to the file, and let go of it. To be called once."""
        with self.writing, self.reading:
            self.why_not = "it is closed"
            self._disconnect()
