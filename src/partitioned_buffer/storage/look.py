"""
What a file was made for, for who does not know: a tool, not a buffer.

Through the lock and SQLite, as a buffer opens it: never by opening the file itself, which would
drop SQLite's locks on it when it is closed (see `sqlite/watch.py`). Nothing is made that was not
there, and nothing written.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import StorageError, StorageRefused
from .sqlite.faults import translated
from .sqlite.file import connected
from .sqlite.journal import Journal
from .sqlite.lock import Lock
from .sqlite.terms import terms_of


class Terms(NamedTuple):
    """
    What the file at *path* was made for.

    *moving*: the number of partitions that it had before, if it was being given another one, and
    the program ended meanwhile.
    """

    path: str
    kind: str
    codec: str
    format: int
    partitions: int
    moving: int | None


def look(path: "str | os.PathLike[str]") -> Terms:
    """
    Return what the file at *path* was made for.

    Raises `StorageBusy` if somebody has it, `StorageRefused` if no buffer has written it, and
    `StorageError` if it is not there, or cannot be read.
    """
    real = os.path.realpath(path)
    try:
        is_there = Path(real).exists()
    except OSError as error:
        raise translated(real, error) from error
    if not is_there:
        raise StorageError(
            f"{real}: there is no such file: expected the path of one that a buffer has written"
        )
    lock = Lock(real)
    try:
        return _read(real)
    finally:
        lock.let_go()


def open_as_made(terms: Terms) -> Journal:
    """Open the journal for what it was made for. Raises `StorageError`."""
    return Journal.open(terms.path, kind=terms.kind, codec=terms.codec, partitions=terms.partitions)


def set_aside(journal: Journal) -> int:
    """Return how many damaged rows were put away, for people. Raises `StorageError`."""
    with journal._file.view() as db:
        ((rows,),) = db.execute("select count(*) from damaged").fetchall()
        return int(rows)


def _read(path: str) -> Terms:
    try:
        with closing(connected(path, "rw")) as db:
            tables = {name for (name,) in db.execute("select name from sqlite_master")}
            if not tables:
                raise StorageRefused(
                    f"{path} is empty: expected the path of a file that a buffer has written"
                )
            return _terms(path, terms_of(path, db, tables))
    except (sqlite3.Error, OSError) as error:
        raise translated(path, error) from error


def _terms(path: str, found: dict[str, Any]) -> Terms:
    kind, codec, moving = found.get("kind"), found.get("codec"), found.get("moving")
    partitions = found.get("partitions")
    if not (isinstance(kind, str) and isinstance(codec, str) and isinstance(partitions, int)):
        raise StorageError(
            f"{path} is damaged: it says that it was made for {kind!r}, {codec!r} and "
            f"{partitions!r} partitions. Look with `sqlite3 {path} .recover` for what can be saved"
        )
    return Terms(path, kind, codec, found["format"], partitions, moving)
