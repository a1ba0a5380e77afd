"""
The statements of an `SQLiteTable`.
"""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Final

from .sql import listed, on_conflict, quoted

_TYPES: dict[type, str] = {
    int: "INTEGER",
    bool: "INTEGER",
    float: "REAL",
    str: "TEXT",
    bytes: "BLOB",
}


class Text:
    """Those of one table; its names are quoted, whatever they are."""

    _BATCHES = "partitioned_buffer_batches"
    _STORE = "WHERE buffer = ? AND store = ? AND partition = ?"
    CREATE_NOTES: Final = (
        f"CREATE TABLE IF NOT EXISTS {_BATCHES} (buffer TEXT, store TEXT, partition INTEGER, "
        "ending INTEGER, position INTEGER, gaps INTEGER, refused TEXT, at REAL, "
        "PRIMARY KEY (buffer, store, partition, ending, position, gaps)) WITHOUT ROWID"
    )
    NOTES: ClassVar[str] = (
        f"SELECT ending, position, gaps, refused FROM {_BATCHES} {_STORE} "
        "AND ending > ? AND position < ?"
    )
    NOTE: Final = f"INSERT OR REPLACE INTO {_BATCHES} VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
    FORGET: ClassVar[str] = f"DELETE FROM {_BATCHES} {_STORE} AND ending <= ?"
    FORGET_STORES: Final = (
        f"DELETE FROM {_BATCHES} WHERE store IN "
        f"(SELECT store FROM {_BATCHES} GROUP BY store HAVING max(at) < ?)"
    )

    def __init__(
        self, table: str, columns: Sequence[str], key: Sequence[str], version: str | None
    ) -> None:
        self.table, self.columns, self._key = table, columns, key
        values = ", ".join("?" * len(columns))
        self.insert = f"INSERT INTO {quoted(table)} ({listed(columns)}) VALUES ({values})"
        if key:
            self.insert += on_conflict(columns, key, version, quoted(table))

    def create(self, rows: Iterable[Sequence[Any]]) -> str:
        """Return what makes the table, with the types of the first values that there are."""
        first = [
            next((value for value in values if value is not None), None)
            for values in zip(*rows, strict=True)
        ]
        columns = [
            f"{quoted(name)} {_TYPES.get(type(value), '')}".rstrip()
            for name, value in zip(self.columns, first, strict=True)
        ]
        columns += [f"PRIMARY KEY ({listed(self._key)})"] if self._key else []
        return f"CREATE TABLE IF NOT EXISTS {quoted(self.table)} ({', '.join(columns)})"
