"""
What a file was made for: it is written there when it is made, and what differs is refused.
"""

import os
import sqlite3
import uuid
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from ...errors import StorageRefused

FORMAT = 1
"""What this version writes, and the newest that it reads."""

_SCHEMA = """
create table meta(k text primary key, v) without rowid;
create table chunk(id integer primary key, n integer not null, crc integer not null, data blob not null);
create table part(p integer primary key, counter integer, cursor integer, kept blob, hand integer, stop integer);
create table damaged(id integer primary key, chunk integer, n, crc, data);
create table buried(id integer primary key autoincrement, p integer, n integer, crc integer, data blob, error text, attempts integer, time real);
"""  # noqa: E501  # a table a line


def read_terms(db: sqlite3.Connection) -> dict[str, Any]:
    """Return what the file was made for, by name."""
    with closing(db.execute("select k, v from meta")) as found:
        return {key.decode(): _text(key, value) for key, value in found}


def _text(key: bytes, value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) and key != b"id" else value


def create_tables(db: sqlite3.Connection, terms: Mapping[str, Any]) -> None:
    """Have a new file made for *terms*, in one commit."""
    db.execute("begin immediate")
    for statement in _SCHEMA.strip().splitlines():
        db.execute(statement)
    pinned = {"format": FORMAT, "id": uuid.uuid4().bytes, "layout": 0, **terms}
    db.executemany("insert into meta values(?, ?)", pinned.items())
    db.execute("commit")


def terms_of(path: str, db: sqlite3.Connection, tables: set[bytes]) -> dict[str, Any]:
    """Return what the file was made for; raise `StorageRefused` unless it is one that we know."""
    found: dict[str, Any] = {}
    if {b"meta", b"chunk"} <= tables:
        with suppress(sqlite3.OperationalError):  # a table of that name, and of other columns
            found = read_terms(db)
    if not isinstance(made_by := found.get("format"), int):
        raise StorageRefused(f"{path} is another program's database: give the buffer another path")
    if made_by > FORMAT:
        raise StorageRefused(
            f"{path} has format {made_by}, and this version of partitioned-buffer knows formats "
            f"up to {FORMAT}: upgrade it, or deliver what is in the file with what wrote it"
        )
    return found


def check_terms(
    path: str, db: sqlite3.Connection, tables: set[bytes], terms: Mapping[str, Any]
) -> None:
    """Raise `StorageRefused` if the file was made for something else."""
    found = terms_of(path, db, tables)
    for term in ("kind", "codec"):
        if (held := found[term]) != terms[term]:
            more = _if_moved(held) if term == "codec" else ""
            raise StorageRefused(
                f"{path} was made for {term} {held!r}, and is opened for {terms[term]!r}: open it "
                f"for {held!r}, or give the buffer another path{more}"
            )


def _if_moved(name: str) -> str:
    return (
        ". One that only was in another module then, or in `__main__`, is given its old name: "
        f"codec=storage.codec.make_codec(..., name={name!r})"
    )


def sync_folder(path: str) -> None:
    """Make the name *path* survive a power failure, where the system lets us."""
    with suppress(OSError):
        fd = os.open(Path(path).parent, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
