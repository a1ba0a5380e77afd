"""Tables in files of SQLite, and what a sink does to them."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from partitioned_buffer.testing.contract.sinks.using import Use

COLUMNS = ["id", "text"]


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


def run(path: Path, *statements: str) -> None:
    with opened(path) as connection:
        for statement in statements:
            connection.execute(statement)


def read(path: Path, what: str = "id, text FROM rows ORDER BY rowid") -> list[Any]:
    with opened(path) as connection:
        return list(connection.execute(f"SELECT {what}"))


def given(sink: Any, *rows: Any, **where: Any) -> BaseException | None:
    with Use(sink) as use:
        return use.give(list(rows), **where)
