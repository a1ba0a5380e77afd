"""Rows of a table in a file: the contract, and what SQLite alone can do to them."""

import gc
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from tables_in_files import COLUMNS, given, opened, read, run

from partitioned_buffer import (
    Entry,
    InvalidOption,
    Map,
    Outage,
    PartialFailure,
)
from partitioned_buffer.sinks import SQLiteTable
from partitioned_buffer.sinks.sqlite import _TURNS
from partitioned_buffer.testing.contract.base import quiet
from partitioned_buffer.testing.contract.sinks.using import Use
from partitioned_buffer.testing.sinks import SinkContract


class Contract(SinkContract):
    cannot = {  # noqa: RUF012
        "too_large": "a file takes batches of any size",
        "throttled": "a file has nobody who says when to come back",
    }
    reason = "NOT NULL constraint failed: rows.text"
    wrong_options = (
        {"columns": "id"},
        {"columns": []},
        {"columns": ["id", "id"]},
        {"table": ""},
        {"key": ["other"]},
        {"key": "id"},
        {"version": "id"},
        {"create": 1},
        {"once": None},
        {"timeout": 0},
        {"timeout": "1"},
        {"row": "id"},
    )
    options: dict[str, Any] = {"once": True}  # noqa: RUF012
    schema = "CREATE TABLE IF NOT EXISTS rows (id INTEGER, text TEXT NOT NULL)"

    def make(self, tmp_path: Path, **options: Any) -> SQLiteTable:
        run(tmp_path / "rows.db", self.schema)
        given: dict[str, Any] = {"table": "rows", "columns": COLUMNS, "timeout": 0.05}
        return SQLiteTable(tmp_path / "rows.db", **given | self.options | options)

    def make_for_map(self, tmp_path: Path) -> SQLiteTable:
        run(
            tmp_path / "rows.db",
            "CREATE TABLE rows (id INTEGER PRIMARY KEY, text TEXT NOT NULL, version INTEGER)",
        )
        return SQLiteTable(
            tmp_path / "rows.db",
            "rows",
            [*COLUMNS, "version"],
            key=["id"],
            version="version",
            row=lambda entry: {**entry.value, "version": entry.version},
        )

    def found(self, tmp_path: Path) -> list[tuple[int, str]]:
        return read(tmp_path / "rows.db")

    def bad_item(self, number: int) -> Any:
        return {"id": number, "text": None}

    @contextmanager
    def outage(self, tmp_path: Path) -> Iterator[None]:
        with opened(tmp_path / "rows.db") as other:
            other.execute("BEGIN EXCLUSIVE")
            yield
            other.execute("ROLLBACK")

    silence = outage  # who waits for a lock waits for nothing else


class TestOnce(Contract):
    pass


class TestUpsert(Contract):
    options = {"key": ["id"]}  # noqa: RUF012
    schema = "CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY, text TEXT NOT NULL)"
    cannot = Contract.cannot | {"order": "rows are where their keys are"}


class TestGivenConnection(Contract):
    @pytest.fixture(autouse=True)
    def _closed(self, tmp_path: Path) -> Iterator[None]:
        self.connections = list[sqlite3.Connection]()
        yield
        for each in self.connections:
            assert not each.in_transaction, "it is open"
            each.close()

    def make(self, tmp_path: Path, **options: Any) -> SQLiteTable:
        run(tmp_path / "rows.db", self.schema)
        connection = sqlite3.connect(tmp_path / "rows.db", timeout=0.05, check_same_thread=False)
        self.connections.append(connection)
        given: dict[str, Any] = {"table": "rows", "columns": COLUMNS, "once": True}
        return SQLiteTable(connection, **given | options)


# --- what is an outage, and what is a row's -----------------------------------------------------


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rows.db"


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ("CREATE TABLE other (id)", "no such table"),
        ("CREATE TABLE rows (id)", "no column named text"),
        ("CREATE TABLE rows (id, text, third NOT NULL DEFAULT 1)", "ON CONFLICT"),
    ],
)
def test_a_table_that_is_not_what_was_said_is_no_rows_fault(
    schema: str, why: str, path: Path
) -> None:
    run(path, schema)
    error = given(SQLiteTable(path, "rows", COLUMNS, key=["id"]), (1, "one"))

    assert isinstance(error, Outage)
    assert why in str(error)


def test_a_full_disk_is_an_outage_and_nothing_of_the_batch_is_there(path: Path) -> None:
    run(path, "CREATE TABLE rows (id, text)")
    with closing(sqlite3.connect(path, check_same_thread=False)) as connection:
        connection.execute("PRAGMA max_page_count = 4")
        error = given(SQLiteTable(connection, "rows", COLUMNS), (1, "one"), (2, "x" * 100_000))
        assert isinstance(error, Outage)
        assert "full" in str(error)
        assert not connection.in_transaction
    assert read(path) == []


def test_a_file_that_may_not_be_written_is_an_outage(path: Path) -> None:
    run(path, "CREATE TABLE rows (id, text)")
    error = given(SQLiteTable(f"file:{path}?mode=ro", "rows", COLUMNS), (1, "one"))

    assert isinstance(error, Outage)
    assert "readonly" in str(error)


@pytest.mark.parametrize("make", [lambda p: p.mkdir(), lambda p: p.write_bytes(b"x" * 4096)])
def test_what_is_no_database_is_an_outage(make: Any, path: Path) -> None:
    make(path)
    assert isinstance(given(SQLiteTable(path, "rows", COLUMNS), (1, "one")), Outage)


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ((2, object()), "type 'object' is not supported"),
        ((1 << 70, "two"), "too large"),
        ((2, "\ud800"), "surrogates"),
        ((2, "not json"), "malformed JSON"),
        ((9, '"two"'), "CHECK constraint failed"),
        ((1, '"two"'), "UNIQUE constraint failed"),
        ((7, '"two"'), "no sevens"),
    ],
)
def test_what_a_table_refuses_is_that_row_alone(bad: Any, why: str, path: Path) -> None:
    run(
        path,
        "CREATE TABLE rows (id INTEGER UNIQUE, text, "
        "first AS (json_extract(text, '$')) STORED, CHECK (id < 9))",
        "CREATE TRIGGER sevens BEFORE INSERT ON rows WHEN new.id = 7 "
        "BEGIN SELECT RAISE(ABORT, 'no sevens'); END",
    )
    error = given(SQLiteTable(path, "rows", COLUMNS), (1, '"one"'), bad, (3, '"three"'))

    assert isinstance(error, PartialFailure)
    assert isinstance(error.reject, dict)
    ((place, reason),) = error.reject.items()
    assert (place, why in str(reason)) == (1, True), reason
    assert read(path) == [(1, '"one"'), (3, '"three"')]


@pytest.mark.parametrize("options", [{}, {"once": True}, {"create": True}])
def test_a_constraint_that_rolls_all_back_costs_its_row_alone(
    options: dict[str, Any], path: Path
) -> None:
    run(path, "CREATE TABLE rows (id UNIQUE ON CONFLICT ROLLBACK, text)")
    table = SQLiteTable(path, "rows", COLUMNS, **options)
    error = given(table, (1, "a"), (1, "b"), (2, "c"), (2, "d"), (3, "e"))

    assert isinstance(error, PartialFailure)
    assert list(error.reject or ()) == [1, 3]
    assert read(path) == [(1, "a"), (2, "c"), (3, "e")]


# --- tables that are made -----------------------------------------------------------------------


def test_a_table_is_made_of_the_first_rows(path: Path) -> None:
    table = SQLiteTable(
        path, 'a "table"', ["id", "n", "f", "b", "order by", "?"], key=["id"], create=True
    )
    assert given(table, (1, None, 1.5, b"x", "text", None), (2, 3, None, None, None, None)) is None

    columns = read(path, "name, type, pk FROM pragma_table_info('a \"table\"')")
    assert columns == [
        ("id", "INTEGER", 1),
        ("n", "INTEGER", 0),
        ("f", "REAL", 0),
        ("b", "BLOB", 0),
        ("order by", "TEXT", 0),
        ("?", "", 0),
    ]
    assert len(read(path, '* FROM "a ""table"""')) == 2


def test_one_that_is_there_is_left_as_it_is(path: Path) -> None:
    run(path, "CREATE TABLE rows (id TEXT, text TEXT, more TEXT DEFAULT 'more')")
    assert given(SQLiteTable(path, "rows", COLUMNS, create=True), (1, "one")) is None
    assert read(path, "* FROM rows") == [("1", "one", "more")]


def test_one_that_was_dropped_is_made_again(path: Path) -> None:
    with Use(SQLiteTable(path, "rows", COLUMNS, create=True)) as use:
        assert use.give([(1, "one")]) is None
        run(path, "DROP TABLE rows")
        assert isinstance(use.give([(2, "two")], position=1), Outage)
        assert use.give([(2, "two")], position=1) is None
    assert read(path) == [(2, "two")]


def test_a_file_that_is_replaced_gets_what_comes_after(path: Path) -> None:
    with Use(SQLiteTable(path, "rows", COLUMNS, create=True)) as use:
        assert use.give([(1, "one")]) is None
        path.rename(path.with_suffix(".old"))
        assert use.give([(2, "two")], position=1) is None
    assert read(path) == [(2, "two")]
    assert read(path.with_suffix(".old")) == [(1, "one")]


# --- keys and versions ----------------------------------------------------------------------------


def test_a_key_of_all_columns_leaves_what_is_there(path: Path) -> None:
    table = SQLiteTable(path, "rows", COLUMNS, key=COLUMNS, create=True)
    assert given(table, (1, "one"), (1, "one"), (1, "two")) is None
    assert read(path) == [(1, "one"), (1, "two")]


def test_a_version_that_is_missing_in_the_table_is_older_than_any(path: Path) -> None:
    run(
        path,
        "CREATE TABLE rows (id PRIMARY KEY, text, v)",
        "INSERT INTO rows VALUES (1, 'a', NULL)",
    )
    table = SQLiteTable(path, "rows", [*COLUMNS, "v"], key=["id"], version="v")
    assert given(table, (1, "b", -5)) is None
    assert read(path) == [(1, "b")]


def test_a_map_of_puts_without_versions_writes_the_last(path: Path) -> None:
    with (
        SQLiteTable(
            path,
            "seen",
            ["who", "at", "version"],
            key=["who"],
            version="version",
            create=True,
            row=lambda entry: (entry.key, entry.value, entry.version),
        ) as table,
        Map[str, int]("seen", table, partitions=2) as seen,
    ):
        for at in range(3):
            seen.put("ada", at)
            seen.put_newer("grace", 10 - at, version=10 - at)
            seen.flush(30)
    assert sorted(read(path, "* FROM seen")) == [("ada", 2, 0), ("grace", 10, 10)]


# --- who else is there --------------------------------------------------------------------------


def test_many_threads_are_one_writer(path: Path) -> None:
    with Use(SQLiteTable(path, "rows", COLUMNS, create=True, timeout=30)) as use:
        threads = [
            threading.Thread(target=lambda k=k: [use.sink([(k, str(n))]) for n in range(20)])
            for k in range(8)
        ]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    assert len(read(path)) == 160


def test_a_batch_that_takes_too_long_is_an_outage_of_the_others(path: Path) -> None:
    table = SQLiteTable(path, "rows", COLUMNS, create=True, timeout=0.01)
    with table._ours().lock, pytest.raises(Outage, match="another batch"):
        table([(1, "one")])
    table([(1, "one")])
    table.close()


def test_nothing_is_kept_of_whose_turn_it_was(path: Path) -> None:
    gc.collect()
    before = len(_TURNS)
    with SQLiteTable(path, "rows", COLUMNS, create=True) as table:
        assert given(table, (1, "one")) is None
        assert len(_TURNS) == before + 1
    del table
    gc.collect()
    assert len(_TURNS) == before


def test_tables_of_one_file_take_turns_instead_of_asking_it_again_and_again(path: Path) -> None:
    run(path, "CREATE TABLE rows (id, text)", "CREATE TABLE more (id, text)")
    writes, goes_on = threading.Event(), threading.Event()

    class Slow(SQLiteTable):
        def _written(self, *args: Any) -> Any:
            writes.set()
            goes_on.wait(60)
            return super()._written(*args)

    with (
        Slow(path, "rows", COLUMNS) as one,
        SQLiteTable(str(path), "more", COLUMNS, timeout=0.01) as two,
        SQLiteTable(path.with_name("other.db"), "more", COLUMNS, create=True) as elsewhere,
    ):
        thread = threading.Thread(target=one, args=([(1, "one")],))
        thread.start()
        writes.wait(60)
        try:
            with pytest.raises(Outage, match="another batch was being written"):
                two([(2, "two")])
            elsewhere([(3, "three")])
        finally:
            goes_on.set()
            thread.join()
        two([(2, "two")])
    assert read(path) + read(path, "id, text FROM more") == [(1, "one"), (2, "two")]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
def test_a_forked_child_has_a_connection_of_its_own(path: Path) -> None:
    with SQLiteTable(path, "rows", COLUMNS, create=True) as table:
        table([(1, "parent")])
        with table._own[os.getpid()].lock, quiet():  # held by a thread that the child has not
            child = os.fork()
            if child == 0:
                table([(2, "child")])
                os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        table([(3, "parent")])
    assert read(path) == [(1, "parent"), (2, "child"), (3, "parent")]


def test_a_connection_that_is_bound_to_its_thread_is_refused(path: Path) -> None:
    refused = pytest.raises(InvalidOption, match="check_same_thread=False")
    with closing(sqlite3.connect(path)) as connection, refused:
        SQLiteTable(connection, "rows", COLUMNS)


def test_a_connection_that_is_closed_is_refused_and_later_an_outage(path: Path) -> None:
    connection = sqlite3.connect(path, check_same_thread=False)
    table = SQLiteTable(connection, "rows", COLUMNS)
    connection.close()

    assert isinstance(given(table, (1, "one")), Outage)
    with pytest.raises(InvalidOption, match="open"):
        SQLiteTable(connection, "rows", COLUMNS)


def test_a_key_is_a_list_of_columns(path: Path) -> None:
    with pytest.raises(InvalidOption, match=r"key='id': expected some of the .*, in a list"):
        SQLiteTable(path, "rows", COLUMNS, key="id")


def test_a_maps_entries_take_a_function_that_makes_rows(path: Path) -> None:
    run(path, "CREATE TABLE rows (id, text, version, updates)")
    table = SQLiteTable(path, "rows", ["id", "text", "version", "updates"])
    error = given(table, Entry(1, "one", 0, 0))

    assert isinstance(error, InvalidOption)
    assert "row=None: expected" in str(error)
    assert read(path) == []


def test_a_relative_path_is_that_of_its_making(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    table = SQLiteTable("rows.db", "rows", COLUMNS, create=True)
    monkeypatch.chdir("/")
    assert given(table, (1, "one")) is None
    assert read(tmp_path / "rows.db") == [(1, "one")]
