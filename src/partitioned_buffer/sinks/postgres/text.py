"""
The statements of a `PostgresTable`.
"""

from collections.abc import Sequence
from typing import ClassVar, Final
from zlib import crc32

from ..sql import listed, on_conflict, quoted


class Text:
    """Those of one table; its names are quoted, whatever they are."""

    COLUMNS: Final = (
        "SELECT a.attname, b.oid, format_type(b.oid, CASE WHEN b.oid = a.atttypid THEN a.atttypmod"
        " END) FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid JOIN pg_type b ON b.oid = "
        "CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END WHERE a.attrelid = "
        "to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped AND a.attname = ANY (%s)"
    )
    """The name of each column, and its type, by number and by name; of a domain, what it is of."""

    BATCHES: Final = "partitioned_buffer_batches"
    HAS_NOTES: Final = "SELECT to_regclass(%s) IS NOT NULL"
    _STORE = "WHERE buffer = %s AND store = %s AND partition = %s"
    CREATE_NOTES: Final = (
        f"CREATE TABLE IF NOT EXISTS {BATCHES} (buffer text, store text, partition int, "
        "ending bigint, position bigint, gaps bigint, refused text NOT NULL, "
        "at timestamptz NOT NULL DEFAULT now(), "
        "PRIMARY KEY (buffer, store, partition, ending, position, gaps))"
    )
    LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"
    NOTES: ClassVar[str] = (
        f"SELECT ending, position, gaps, refused FROM {BATCHES} {_STORE} "
        "AND ending > %s AND position < %s"
    )
    NOTE: Final = (
        f"INSERT INTO {BATCHES} VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (buffer, store, "
        "partition, ending, position, gaps) DO UPDATE SET refused = excluded.refused, at = now()"
    )
    FORGET: ClassVar[str] = f"DELETE FROM {BATCHES} {_STORE} AND ending <= %s"
    FORGET_STORES: Final = (
        f"DELETE FROM {BATCHES} WHERE store IN (SELECT store FROM {BATCHES} GROUP BY store "
        "HAVING max(at) < now() - make_interval(days => %s))"
    )

    def __init__(
        self, table: str, columns: Sequence[str], key: Sequence[str], version: str | None
    ) -> None:
        self.table = ".".join(map(quoted, table.split(".")))
        self.relation = table.rpartition(".")[2]
        self.columns, self.key, self.version = columns, key, version
        self._into = f"INSERT INTO {self.table} AS there ({listed(columns)})"
        self._on_conflict = on_conflict(columns, key, version, "there") if key else ""
        values = ", ".join(["%s"] * len(columns))
        self.insert = f"{_spared(self._into)} VALUES ({values}){_spared(self._on_conflict)}"
        """Of a row, with its values."""

    def copy(self, staging: str | None) -> str:
        """Return what copies rows to *staging*, or into the table itself."""
        return f"COPY {staging or self.table} ({listed(self.columns)}) FROM STDIN (FORMAT BINARY)"

    def staging(self, types: Sequence[str]) -> str:
        """Return a name that says, in a session, which columns of which types are there."""
        said = crc32(repr((self.table, self.columns, types)).encode())
        return f"partitioned_buffer_{said:08x}"

    def create_staging(self, name: str, types: Sequence[str]) -> str:
        """Return what makes it: kept for the session, and empty after each transaction."""
        columns = ", ".join(
            f"{quoted(column)} {type_}" for column, type_ in zip(self.columns, types, strict=True)
        )
        return f"CREATE TEMP TABLE IF NOT EXISTS {name} ({columns}) ON COMMIT DELETE ROWS"

    def insert_staged(self, staging: str, casts: Sequence[str]) -> str:
        """Return what takes the rows from *staging* to the table."""
        values = ", ".join(
            quoted(column) + cast for column, cast in zip(self.columns, casts, strict=True)
        )
        return f"{self._into} SELECT {values} FROM pg_temp.{staging}{self._on_conflict}"


def _spared(text: str) -> str:
    return text.replace("%", "%%")  # in a statement with values
