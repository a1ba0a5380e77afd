"""Rows of a table in a file, each exactly once: what is noted of batches, and known by that."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from storages import as_json, of_json
from tables_in_files import COLUMNS, given, read, run

from partitioned_buffer import BatchId, Outage, PartialFailure, Queue, Reject
from partitioned_buffer.sinks import SQLiteTable
from partitioned_buffer.sinks.once import Note, known
from partitioned_buffer.sinks.sqlite_text import Text
from partitioned_buffer.storage import SQLite
from partitioned_buffer.testing import FakeClock, assert_balanced
from partitioned_buffer.testing.contract.sinks.using import Use

JSON: Any = (as_json, of_json)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rows.db"


def test_a_stored_queue_cut_otherwise_after_a_crash_is_there_once(path: Path) -> None:
    with Use(SQLiteTable(path, "rows", COLUMNS, create=True, once=True)) as use:
        rows = [(n, str(n)) for n in range(10)]
        assert use.give(rows[:3]) is None
        assert use.give(rows[3:6], position=3) is None
        assert use.give(rows, position=0) is None, "two old ones, and what follows"
        assert use.give(rows[2:4], position=2) is None
    assert read(path) == rows


def test_what_was_refused_is_refused_again_and_by_its_place(path: Path) -> None:
    run(path, "CREATE TABLE rows (id UNIQUE, text)")
    with Use(SQLiteTable(path, "rows", COLUMNS, once=True)) as use:
        first = use.give([(1, "a"), (1, "b"), (2, "c")])
        again = use.give([(1, "a"), (1, "b"), (2, "c")])
        cut = use.give([(1, "b"), (2, "c"), (3, "d")], position=1)
    for error, place in ((first, 1), (again, 1), (cut, 0)):
        assert isinstance(error, PartialFailure)
        assert {n: str(why) for n, why in dict(error.reject or ()).items()} == {
            place: "UNIQUE constraint failed: rows.id"
        }
    assert isinstance(again, PartialFailure)
    assert isinstance(again.reject, dict)
    assert isinstance(again.reject[1], Reject)
    assert read(path) == [(1, "a"), (2, "c"), (3, "d")]


def known_places(batch: tuple[int, int, int], *notes: Note) -> tuple[list[int], list[int]]:
    places, refused = known(BatchId("", "", 0, *batch), notes)
    return sorted(places), sorted(refused)


def test_what_is_known_of_a_batch_by_what_was_noted() -> None:
    whole, part = Note(5, 0, 0, '{"1": "bad", "4": "worse"}'), Note(7, 4, 7, "")

    assert known_places((0, 5, 0), whole) == ([0, 1, 2, 3, 4], [1, 4])
    assert known_places((3, 4, 0), whole) == ([0, 1], [1])
    assert known_places((2, 2, 0), whole) == ([0, 1], [])
    assert known_places((5, 4, 0), whole) == ([], [])
    assert known_places((4, 3, 7), part) == ([0, 1, 2], []), "with gaps: as a whole"
    assert known_places((4, 3, 8), part) == ([], [])
    assert known_places((4, 2, 7), part) == ([], [])
    assert known_places((4, 3, 0), part) == ([], [])
    assert known_places((0, 5, 7), whole) == ([], [])


def test_a_crash_between_rows_and_note_leaves_neither(path: Path) -> None:
    with closing(sqlite3.connect(path, check_same_thread=False)) as connection:
        connection.set_authorizer(
            lambda action, table, *_: (
                sqlite3.SQLITE_DENY
                if action == sqlite3.SQLITE_INSERT and table == "partitioned_buffer_batches"
                else sqlite3.SQLITE_OK
            )
        )
        table = SQLiteTable(connection, "rows", COLUMNS, create=True, once=True)
        assert isinstance(given(table, (1, "one")), Outage)
        connection.set_authorizer(None)
        assert given(table, (1, "one")) is None
        assert given(table, (1, "one")) is None
    assert read(path) == [(1, "one")]


def test_notes_of_long_ago_are_forgotten(path: Path) -> None:
    with Use(SQLiteTable(path, "rows", COLUMNS, create=True, once=True)) as use:
        for position in (0, 1, 100_000, 100_001):
            assert use.give([(position, "x")], position=position) is None
    notes = read(path, "position FROM partitioned_buffer_batches ORDER BY position")
    assert notes == [(1,), (100_000,), (100_001,)]

    run(path, "UPDATE partitioned_buffer_batches SET at = 0")
    with Use(SQLiteTable(path, "rows", COLUMNS, create=True, once=True)) as use:
        assert use.give([(0, "y")], store="another") is None
    assert read(path, "store FROM partitioned_buffer_batches") == [("another",)]


def test_what_is_noted_of_long_before_is_not_read_for_each_batch(path: Path) -> None:
    with Use(SQLiteTable(path, "rows", COLUMNS, create=True, once=True)) as use:
        assert use.give([(0, "x")]) is None
    with closing(sqlite3.connect(path)) as connection:
        plan = connection.execute(f"EXPLAIN QUERY PLAN {Text.NOTES}", ("b", "s", 0, 1, 2))
        (how,) = [row[-1] for row in plan]
    assert "partition=? AND ending>?" in how, "those that end behind where the batch begins"


class LosesItsAnswer(SQLiteTable):
    def __call__(self, batch: Any, /) -> None:
        super().__call__(batch)
        raise Outage("the answer is lost")


def test_a_durable_queue_whose_answers_are_lost_is_there_once(path: Path, tmp_path: Path) -> None:
    clock = FakeClock()
    options: dict[str, Any] = {"create": True, "once": True}
    where: dict[str, Any] = {"storage": SQLite(tmp_path / "queue.db", codec=JSON), "partitions": 1}
    table = LosesItsAnswer(path, "rows", COLUMNS, **options)
    queue = Queue[Any]("events", table, clock=clock, processing_batch_size=7, **where).start()
    queue.push_all([{"id": n, "text": str(n)} for n in range(25)])
    clock.advance(60.0)
    table.close()
    assert len(queue.stop(timeout=0).left) == 25
    assert len(read(path)) == 7

    with (
        SQLiteTable(path, "rows", COLUMNS, **options) as right,
        Queue[Any]("events", right, processing_batch_size=20, **where) as again,
    ):
        assert again.stats().recovered == 25
    assert read(path, "id FROM rows") == [(n,) for n in range(25)]
    assert_balanced(again.stats())


def test_while_it_looks_what_is_there_nobody_else_writes(path: Path) -> None:
    run(path, "PRAGMA journal_mode = WAL", "CREATE TABLE rows (id, text)")
    refused = list[str]()

    def while_at(statement: str) -> None:
        if statement.startswith("SELECT"):
            with closing(sqlite3.connect(path, timeout=0)) as other:
                try:
                    other.execute("INSERT INTO rows VALUES (0, 'other')")
                except sqlite3.OperationalError as error:
                    refused.append(str(error))

    with closing(sqlite3.connect(path, check_same_thread=False)) as connection:
        connection.set_trace_callback(while_at)
        assert given(SQLiteTable(connection, "rows", COLUMNS, once=True), (1, "one")) is None
    assert refused == ["database is locked"]
