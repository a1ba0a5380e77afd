"""The contract of sinks, over a real PostgreSQL: each face, each way to a connection."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest
from postgres import Server
from psycopg_pool import ConnectionPool
from psycopg_pool.base import AttemptWithBackoff

from partitioned_buffer.sinks import AsyncPostgresTable, PostgresTable
from partitioned_buffer.testing.sinks import SinkContract

LARGE = """
CREATE FUNCTION {0}_few() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF (SELECT count(*) FROM fresh) > {1} THEN
        RAISE 'canceling statement due to statement timeout' USING ERRCODE = '57014';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER few AFTER INSERT ON {0} REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION {0}_few();
"""


class Contract(SinkContract):
    """What all have: a table for each test."""

    cannot: ClassVar[dict[str, str]] = {"throttled": "it never says when to come back"}
    reason = "violates check constraint"
    wrong_options = (
        {"timeout": -1},
        {"connect_timeout": 0},
        {"connections": 0},
        {"once": 1},
        {"version": "size"},
        {"key": "id"},
    )
    server: Server
    sink: ClassVar[Any] = PostgresTable
    options: ClassVar[dict[str, Any]] = {"once": True}

    @pytest.fixture(autouse=True)
    def _table(self, postgres: Server, tmp_path: Path) -> Iterator[None]:
        self.server = postgres
        with postgres.connect() as connection:
            connection.execute(
                f"CREATE TABLE {self.name(tmp_path)} (nr serial, id int, text text, version int,"
                " CHECK (text <> 'bad'))"
            )
            connection.execute("DROP TABLE IF EXISTS partitioned_buffer_batches")
        yield
        with postgres.connect() as connection:
            connection.execute(f"DROP TABLE {self.name(tmp_path)}")

    def name(self, tmp_path: Path) -> str:
        return f"t_{tmp_path.name.replace('-', '_').lower()}"[-50:]

    def made(self, database: Any, tmp_path: Path, **options: Any) -> Any:
        return self.sink(database, self.name(tmp_path), **options)

    def make(self, tmp_path: Path, **options: Any) -> Any:
        return self.made(
            self.server.conninfo(), tmp_path, **{"columns": ["id", "text"]} | self.options | options
        )

    def make_hasty(self, tmp_path: Path) -> Any:
        return self.make(tmp_path, timeout=0.4, connect_timeout=1.0)

    def make_for_map(self, tmp_path: Path) -> Any:
        self.run(f"CREATE UNIQUE INDEX ON {self.name(tmp_path)} (id)")
        return self.make(
            tmp_path,
            columns=["id", "text", "version"],
            row=lambda entry: {**entry.value, "version": entry.version},
            key=["id"],
            version="version",
            once=False,
        )

    def run(self, text: str) -> list[Any]:
        with self.server.connect() as connection:
            cursor = connection.execute(text)
            return cursor.fetchall() if cursor.description else []

    def found(self, tmp_path: Path) -> list[tuple[int, str]]:
        return self.run(f"SELECT id, text FROM {self.name(tmp_path)} ORDER BY nr")

    def bad_item(self, number: int) -> Any:
        return {"id": number, "text": "bad"}

    def outage(self, tmp_path: Path) -> Any:
        return self.server.away()

    def silence(self, tmp_path: Path) -> Any:
        return self.server.asleep()

    @contextmanager
    def too_large(self, tmp_path: Path) -> Iterator[None]:
        name = self.name(tmp_path)
        self.run(LARGE.format(name, self.most))
        yield
        self.run(f"DROP FUNCTION {name}_few CASCADE")


class TestThreads(Contract):
    pass


class TestTasks(Contract):
    sink = AsyncPostgresTable


class Keyed(Contract):
    """With a key: through a staging table."""

    options: ClassVar[dict[str, Any]] = {"key": ["id"]}

    @pytest.fixture(autouse=True)
    def _index(self, _table: None, tmp_path: Path) -> None:
        self.run(f"CREATE UNIQUE INDEX ON {self.name(tmp_path)} (id)")

    def make_for_map(self, tmp_path: Path) -> Any:
        self.run(f"DROP INDEX {self.name(tmp_path)}_id_idx")
        return super().make_for_map(tmp_path)


class TestKeyedThreads(Keyed):
    pass


class TestKeyedTasks(Keyed):
    sink = AsyncPostgresTable


class TestPool(Keyed):
    """Through a pool of the user's."""

    @pytest.fixture(autouse=True)
    def _pool(self, _index: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        # Each time twice as late, it would try again later than a connection is waited for.
        monkeypatch.setattr(AttemptWithBackoff, "DELAY_BACKOFF", 1.0)
        with ConnectionPool(self.server.conninfo(), min_size=1, max_size=4, open=True) as self.pool:
            yield

    def made(self, database: Any, tmp_path: Path, **options: Any) -> Any:
        return super().made(self.pool, tmp_path, **options)
