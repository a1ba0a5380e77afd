"""`SQLiteTable`, beside what is written by hand."""

import itertools
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from partitioned_buffer import Queue
from partitioned_buffer.sinks import SQLiteTable

from ..speed.measure import Timed
from .subjects import COLUMNS, Row, each_batch, rows, timed

TITLE = "SQLiteTable: batches of 100 rows into a file (WAL)"
FLOOR = "executemany, a commit per batch"

INSERT = "INSERT INTO rows VALUES (:id, :at, :who, :text)"
UPSERT = (
    f"{INSERT} ON CONFLICT (id) DO UPDATE SET at = excluded.at, who = excluded.who, "
    "text = excluded.text"
)

_numbers = itertools.count()


@contextmanager
def subjects(folder: Path, quick: bool) -> Iterator[dict[str, Timed]]:
    some = rows(5_000 if quick else 50_000)
    few = some[: len(some) // 20]  # a commit per row takes long
    yield {
        FLOOR: lambda: _by_hand(folder, some, _many(INSERT)),
        "INSERT and commit, row by row": lambda: _by_hand(folder, few, _row_by_row),
        "SQLiteTable": lambda: _sink(folder, some),
        "SQLiteTable, once": lambda: _sink(folder, some, once=True),
        "executemany, upsert": lambda: _by_hand(folder, some, _many(UPSERT)),
        "SQLiteTable, key": lambda: _sink(folder, some, key=["id"]),
        "Queue, executemany": lambda: _queue(folder, some),
        "Queue, SQLiteTable": lambda: _queue(folder, some, by_hand=False),
    }


def _new(folder: Path) -> Path:
    path = folder / f"{next(_numbers)}.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(
            "CREATE TABLE rows (id INTEGER PRIMARY KEY, at REAL, who TEXT, text TEXT)"
        )
    return path


def _many(statement: str) -> Callable[[sqlite3.Connection, list[Row]], None]:
    def insert(connection: sqlite3.Connection, batch: list[Row]) -> None:
        with connection:
            connection.executemany(statement, batch)

    return insert


def _row_by_row(connection: sqlite3.Connection, batch: list[Row]) -> None:
    for row in batch:
        with connection:
            connection.execute(INSERT, row)


def _by_hand(folder: Path, items: list[Row], insert: Callable[..., None]) -> float:
    with closing(sqlite3.connect(_new(folder))) as connection:
        return each_batch(items, lambda batch: insert(connection, batch))


def _sink(folder: Path, items: list[Row], **options: Any) -> float:
    with SQLiteTable(_new(folder), "rows", COLUMNS, **options) as table:
        return each_batch(items, table)


def _queue(folder: Path, items: list[Row], *, by_hand: bool = True) -> float:
    path = _new(folder)
    insert = _many(INSERT)
    with (
        closing(sqlite3.connect(path, check_same_thread=False)) as connection,
        SQLiteTable(path, "rows", COLUMNS) as table,
    ):
        processor: Any = (lambda batch: insert(connection, batch)) if by_hand else table
        queue = Queue[Row]("bench", processor, partitions=1, processing_batch_size=100)

        def run() -> None:
            with queue:
                for item in items:
                    queue.push(item)

        return timed(run, len(items))
