"""
Rows of a table in a file of SQLite.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from operator import length_hint
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from .. import batch_id
from ..errors import Outage
from .base import Closing, expect, expect_flag, expect_name, expect_seconds
from .once import DAYS, REMEMBERED, Note, known, note
from .rows import Maker, Refused, RowOf, bare, expect_columns
from .sql import expect_key
from .sqlite_text import Text

_OF_ROWS = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    OverflowError,
    TypeError,
    ValueError,
)
"""Errors of an INSERT, once its transaction has begun, that are a row's: what it is, or has."""

_TURNS: WeakValueDictionary[tuple[int, str], threading.Lock] = WeakValueDictionary()
"""
By process and path, whose turn it is to write to a file: that of one of all its tables.

SQLite itself has those who wait look again now and then, so that the file is always taken by who
has just had it, if that has much to write, and the others give up.
"""


class SQLiteTable(Closing):
    """
    Inserts rows into a table, a batch in a transaction.

    *database*: the path of a file, or a connection, which is its user's to close; it has to be one
    that any thread may use (`check_same_thread=False`), and nobody else's while a buffer has it.

    *columns*: those of a row, in its order if it is a tuple.

    *key*: columns that tell rows apart, as a primary key or unique index of the table does. A row
    whose key is there replaces it, so a batch that comes twice does no harm.

    *version*: a column; a row replaces only what has no greater one. For a Map's `put_newer`.

    *row*: a function that makes a dict or tuple of an item, or of a Map's entry.

    *create*: make the table, if it is not there, when the first rows come: with the types of their
    values, and the key as its primary key.

    *once*: without a key, note which batches are there, in a table beside it
    (`partitioned_buffer_batches`), in the same transaction: so each row gets there exactly once.

    *timeout*: how many seconds to wait for others who write to the file.

    A row that the table refuses is rejected with what SQLite says, and the others go in. All else,
    a file that is locked, full or gone, a table that is missing, is an outage. Raises
    `InvalidOption`.
    """

    def __init__(
        self,
        database: str | os.PathLike[str] | sqlite3.Connection,
        table: str,
        columns: Sequence[str],
        *,
        key: Sequence[str] = (),
        version: str | None = None,
        row: RowOf | None = None,
        create: bool = False,
        once: bool = False,
        timeout: float = 5.0,
    ) -> None:
        names = expect_columns(columns)
        expect_name("table", table)
        expect_key(names, key, version)
        expect_flag("create", create)
        expect_flag("once", once)
        expect(not (once and key), "once", once, "no key: a row that comes twice replaces itself")
        expect_seconds("timeout", timeout)
        self._path, self._given = _expect_database(database)
        self._text = Text(table, names, tuple(key), version)
        self._make_rows = Maker(names, row)
        self._create, self._once, self._timeout = create, once, timeout
        self._own: dict[int, _Own] = {}

    def __repr__(self) -> str:
        return f"SQLiteTable({self._path or self._given!r}, {self._text.table!r})"

    def __call__(self, batch: Any, /) -> None:
        """Insert the rows of *batch*. Raises `Outage`, and `PartialFailure` for those refused."""
        made = self._make_rows(batch)
        own = self._ours()
        if not own.lock.acquire(timeout=self._timeout):
            raise Outage(f"{self._path}: another batch was being written for {self._timeout} s")
        try:
            bad = self._written(own, made.rows, made.places)
        except sqlite3.Error as error:
            self._shut(own)
            raise Outage(f"{self._path or 'the connection'}: {error}") from error
        finally:
            own.lock.release()
        if failure := made.rejected(bad):
            raise failure

    def close(self) -> None:
        """Close the file, unless the connection was given."""
        own = self._ours()
        with own.lock:
            self._shut(own)

    def _ours(self) -> "_Own":
        """Return what this process has: a child must not use its parent's."""
        process = os.getpid()
        if process not in self._own:
            lock = threading.Lock()
            if self._path not in ("", ":memory:"):  # which no other table has
                lock = _TURNS.setdefault((process, self._path), lock)
            self._own.setdefault(process, _Own(lock))
        return self._own[process]

    # --- with the lock held ------------------------------------------------------------------

    def _written(self, own: "_Own", rows: list[Any], places: Sequence[int]) -> Refused:
        """Write *rows* in a transaction; return those that were refused, by their number."""
        connection = self._opened(own)
        bad: Refused | None = None if rows else {}
        known_bad = Refused()
        while bad is None:
            connection.execute("BEGIN IMMEDIATE")
            try:
                self._prepare(own, connection, rows)
                bad = self._put(connection, rows, places, known_bad)
                if bad is not None:
                    connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    with suppress(sqlite3.Error):
                        connection.execute("ROLLBACK")
        own.prepared = own.prepared or bool(rows)
        return bad

    def _put(
        self, connection: sqlite3.Connection, rows: list[Any], places: Sequence[int], bad: Refused
    ) -> Refused | None:
        """Insert all but what is *bad*, or there; None: a row has ended the transaction: anew."""
        if not self._once:
            return self._insert(connection, rows, bad)
        batch = batch_id()
        where = (batch.buffer, batch.store, batch.partition)
        notes = connection.cursor()
        notes.row_factory = None
        notes.execute(self._text.NOTES, (*where, batch.position, batch.position + batch.size))
        had, refused = known(batch, map(Note._make, notes))
        new = [number for number, place in enumerate(places) if place not in had]
        found = self._insert(connection, [rows[number] for number in new], bad)
        if found is None:
            return None
        found = {new[number]: error for number, error in found.items()}
        said = note(batch, {places[number]: error for number, error in found.items()})
        if new:
            connection.execute(self._text.NOTE, (*where, *said, time.time()))
            connection.execute(self._text.FORGET, (*where, batch.position - REMEMBERED))
        return found | {n: refused[place] for n, place in enumerate(places) if place in refused}

    def _insert(
        self, connection: sqlite3.Connection, rows: list[Any], bad: Refused
    ) -> Refused | None:
        """Insert all *rows* but what is *bad*, or becomes it; None: anew."""
        todo = [number for number in range(len(rows)) if number not in bad] if bad else None
        left = iter(rows if todo is None else [rows[number] for number in todo])
        count = length_hint(left)
        while length_hint(left):
            try:
                connection.executemany(self._text.insert, left)
            except (*_OF_ROWS, sqlite3.OperationalError) as error:
                # It takes row by row, and what was before the one that is refused has gone in.
                number = count - length_hint(left) - 1
                if number < 0 or not self._is_of_row(connection, error):
                    raise
                bad[number if todo is None else todo[number]] = bare(error)
                if not connection.in_transaction:  # ON CONFLICT ROLLBACK
                    return None
        return bad

    def _is_of_row(self, connection: sqlite3.Connection, error: Exception) -> bool:
        """Return whether it is the row that is refused."""
        if not isinstance(error, sqlite3.OperationalError):
            return True
        if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
            return False  # locked, full, damaged
        # An expression of the table has failed on a value, if the statement itself compiles.
        with suppress(sqlite3.Error):
            connection.execute(f"EXPLAIN {self._text.insert}", [None] * len(self._text.columns))
            return True
        return False

    def _prepare(self, own: "_Own", connection: sqlite3.Connection, rows: list[Any]) -> None:
        if own.prepared:
            return
        if self._create and rows:
            connection.execute(self._text.create(rows))
        if self._once:
            connection.execute(self._text.CREATE_NOTES)
            connection.execute(self._text.FORGET_STORES, (time.time() - DAYS * 86_400,))

    def _opened(self, own: "_Own") -> sqlite3.Connection:
        """Return the connection; open it again if the file that it is of is not there any more."""
        if self._given is not None:
            return self._given
        if own.connection is not None and own.file != _file_at(self._path):
            self._shut(own)
        if own.connection is None:
            own.connection = sqlite3.connect(
                self._path,
                timeout=self._timeout,
                isolation_level=None,
                check_same_thread=False,
                uri=self._path.startswith("file:"),
            )
            own.file = _file_at(self._path)
        return own.connection

    def _shut(self, own: "_Own") -> None:
        connection, own.connection, own.prepared = own.connection, None, False
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()


class _Own:
    """What a process has of a sink."""

    def __init__(self, lock: threading.Lock) -> None:
        self.lock = lock  # held while it writes
        self.connection: sqlite3.Connection | None = None
        self.file: tuple[int, int] | None = None
        self.prepared = False  # whether its tables are known to be there


def _file_at(path: str) -> tuple[int, int] | None:
    with suppress(OSError, ValueError):
        found = Path(path).stat()
        return found.st_dev, found.st_ino
    return None


def _expect_database(database: Any) -> tuple[str, sqlite3.Connection | None]:
    if isinstance(database, sqlite3.Connection):
        _expect_shareable(database)
        return "", database
    name = os.fspath(database) if isinstance(database, os.PathLike) else database
    is_path = isinstance(name, str) and name != "" and "\0" not in name
    expect(is_path, "database", database, "the path of a file, or a sqlite3.Connection")
    is_file = name != ":memory:" and not name.startswith("file:")
    return str(Path(name).absolute()) if is_file else name, None  # a daemon may change directories


def _expect_shareable(connection: sqlite3.Connection) -> None:
    errors: list[Exception] = []

    def use() -> None:
        try:
            connection.cursor().close()
        except sqlite3.Error as error:
            errors.append(error)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    words = "an open connection that any thread may use: check_same_thread=False"
    expect(not errors, "database", connection, words)
    begins = getattr(connection, "autocommit", -1) is not False
    expect(begins, "database", connection, "a connection without autocommit=False")
