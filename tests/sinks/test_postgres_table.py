"""What a `PostgresTable` does with rows, by threads and by tasks."""

import datetime as dt
import threading
from contextlib import ExitStack
from typing import Any

import pytest
from postgres import Server
from postgres_tables import Tables, rejected

from partitioned_buffer import InvalidOption
from partitioned_buffer.sinks import AsyncPostgresTable, PostgresTable
from partitioned_buffer.testing.contract.sinks.using import Use

# --- which rows are refused


def test_the_line_that_copy_names_is_rejected(tables: Tables) -> None:
    tables.run("CREATE TABLE t (id int, text varchar(3) CHECK (text <> 'bad'))")
    batch = [(1, "abc"), (2, "abcd"), (3, "def"), (4, "bad"), (5, "ghi")]
    said = rejected(tables.use().give(batch))
    assert set(said) == {1, 3}
    assert "too long" in said[1]
    assert "check constraint" in said[3]
    assert tables.found() == [(1, "abc"), (3, "def"), (5, "ghi")]


def test_what_no_line_is_named_for_is_found_by_halving(tables: Tables) -> None:
    tables.run("CREATE TABLE o (id int PRIMARY KEY); INSERT INTO o VALUES (1)")
    tables.run("CREATE TABLE t (id int REFERENCES o, text text)")
    batch = [(2 if n in (0, 7, 31) else 1, f"{n}") for n in range(32)]
    said = rejected(tables.use().give(batch))
    assert set(said) == {0, 7, 31}
    assert all("foreign key" in why for why in said.values())
    assert [row[1] for row in tables.found()] == [str(n) for n in range(32) if n not in said]


@pytest.mark.parametrize("key", ["", "id"])
def test_a_constraint_that_is_deferred_is_a_rows_too(tables: Tables, key: str) -> None:
    tables.run("CREATE TABLE o (id int PRIMARY KEY); INSERT INTO o VALUES (1), (3)")
    tables.run(
        "CREATE TABLE t (id int PRIMARY KEY REFERENCES o DEFERRABLE INITIALLY DEFERRED, text text)"
    )
    said = rejected(tables.use(key=key.split()).give([(1, "a"), (2, "b"), (3, "c")]))
    assert set(said) == {1}
    assert tables.found() == [(1, "a"), (3, "c")]


def test_a_trigger_that_refuses_a_row_names_no_other(tables: Tables) -> None:
    """What it says has lines and numbers of its own."""
    tables.run("CREATE TABLE t (id int, text text)")
    tables.run(
        "CREATE FUNCTION t_2() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN\n\n\n"
        "IF NEW.id = 3 THEN RAISE 'COPY t, line 1'; END IF; RETURN NEW; END $$;"
        "CREATE TRIGGER t_2 BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION t_2()"
    )
    assert set(rejected(tables.use().give([(n, "a") for n in range(6)]))) == {3}
    assert [row[0] for row in tables.found()] == [0, 1, 2, 4, 5]


def test_all_may_be_bad(tables: Tables) -> None:
    tables.run("CREATE TABLE t (id int, text text CHECK (text <> 'bad'))")
    assert len(rejected(tables.use().give([(n, "bad") for n in range(300)]))) == 300
    assert tables.found() == []


def test_a_value_that_cannot_be_sent_is_its_rows(tables: Tables) -> None:
    tables.run("CREATE TABLE t (id int, text text)")
    batch = [(1, "a"), (2, object()), (3, "nul\0"), ("four", "d"), (2**40, "e"), (6, "f")]
    said = rejected(tables.use().give(batch))
    assert set(said) == {1, 2, 3, 4}
    assert tables.found() == [(1, "a"), (6, "f")]


def test_what_copy_does_not_take_goes_in_by_itself(tables: Tables) -> None:
    tables.run("CREATE TABLE t (id int, at date, n numeric, PRIMARY KEY (id))")
    batch = [
        (1, dt.date(2020, 1, 1), 1),
        ("2", "2020-01-02", 0.5),
        (3, "no date", 1),
        (4, dt.date(2020, 1, 4), 2),
    ]
    for key in ([], ["id"]):
        said = rejected(tables.use("id at n", key=key).give(batch))
        assert set(said) == {2}
        assert [str(row[1]) for row in tables.found()] == ["2020-01-01", "2020-01-02", "2020-01-04"]
        tables.run("TRUNCATE t")


@pytest.mark.parametrize(
    ("type_", "value", "there"),
    [
        ("smallint", 70_000, None),
        ("int", 2**40, None),
        ("int", "17", 17),
        ("int[]", [1, 2**40], None),
        ("int[]", [1, None, 3], [1, None, 3]),
        ("real", 1e300, None),
        ("real", float("inf"), float("inf")),
        ("boolean", "false", False),
        ("boolean", 7, None),
        ("bytea", r"\x00ff", b"\x00\xff"),
        ("jsonb", '{"a": 1}', {"a": 1}),
        ("text", 1, "1"),
        ("numeric", 0.5, 0.5),
        ("bigint", 2**63, None),
    ],
)
def test_what_is_there_is_what_was_meant(
    tables: Tables, type_: str, value: object, there: object
) -> None:
    """psycopg makes bytes of values that have other types, and they say something else."""
    tables.run(f"CREATE TABLE t (id int, text {type_})")
    error = tables.use().give([(1, None), (2, value), (3, None)])
    assert (set() if error is None else set(rejected(error))) == ({1} if there is None else set())
    assert [row[1] for row in tables.found() if row[0] == 2] == ([] if there is None else [there])


def test_json_goes_in_beside_what_copy_does_not_take(tables: Tables) -> None:
    tables.run("CREATE TABLE t (id int, at date, doc jsonb, more json)")
    batch = [(n, "2020-01-02", {"a": [n]}, [n, {"b": None}]) for n in range(3)]
    assert tables.use("id at doc more").give(batch) is None
    assert [(row[2], row[3]) for row in tables.found()] == [row[2:] for row in batch]


def test_types_that_psycopg_does_not_know_are_cast(tables: Tables) -> None:
    tables.run(
        "CREATE TYPE mood AS ENUM ('glad', 'sad'); CREATE DOMAIN small AS int CHECK (VALUE < 10);"
        "CREATE TABLE t (id small, text mood, doc jsonb, tags text[])"
    )
    batch = [
        (1, "glad", {"a": [1]}, ["x", "y"]),
        (2, "angry", None, None),
        (30, "sad", None, None),
        (4, None, [1], []),
    ]
    said = rejected(tables.use("id text doc tags").give(batch))
    assert set(said) == {1, 2}
    assert "mood" in said[1]
    assert tables.found() == [(1, "glad", {"a": [1]}, ["x", "y"]), (4, None, [1], [])]


# --- keys


def test_of_rows_with_one_key_the_last_is_there(tables: Tables) -> None:
    tables.run('CREATE TABLE t (id int, "Te""xt" text, PRIMARY KEY (id))')
    use = tables.use('id Te"xt', key=["id"])
    assert use.give([(1, "a"), (2, "a"), (1, "b")]) is None
    assert use.give([(2, "c"), (3, "c"), (2, "d")]) is None
    assert sorted(tables.found()) == [(1, "b"), (2, "d"), (3, "c")]


def test_keys_may_be_equal_for_the_server_alone(tables: Tables) -> None:
    tables.run("CREATE TABLE t (id char(4) PRIMARY KEY, text text)")
    assert tables.use(key=["id"]).give([("a", "1"), ("a ", "2"), ("b", "1"), ("a  ", "3")]) is None
    assert sorted((row[0].strip(), row[1]) for row in tables.found()) == [("a", "3"), ("b", "1")]


def test_of_rows_with_one_key_the_newest_is_there(tables: Tables) -> None:
    tables.run("CREATE TABLE t (id int PRIMARY KEY, text text, v int)")
    use = tables.use("id text v", key=["id"], version="v")
    assert use.give([(1, "a", 5), (1, "b", 7), (1, "c", 6), (2, "n", None), (2, "m", 1)]) is None
    assert sorted(tables.found()) == [(1, "b", 7), (2, "m", 1)]
    assert use.give([(1, "d", 7), (2, "k", None), (2, "l", 0)]) is None
    assert sorted(tables.found()) == [(1, "d", 7), (2, "m", 1)]


def test_rows_without_a_key_are_all_there(tables: Tables) -> None:
    tables.run("CREATE TABLE t (id int UNIQUE, text text)")
    assert tables.use(key=["id"]).give([(None, "a"), (1, "b"), (None, "c"), (1, "d")]) is None
    assert sorted(row[1] for row in tables.found()) == ["a", "c", "d"]


def test_a_key_alone_may_be_all_there_is(tables: Tables) -> None:
    tables.run("CREATE TABLE t (id int PRIMARY KEY, other int)")
    use = tables.use("id", key=["id"])
    for _ in range(2):
        assert use.give([(1,), (2,), (1,)]) is None
    assert sorted(tables.found()) == [(1, None), (2, None)]


# --- what the server is asked for


@pytest.mark.parametrize("key", ["", "id"])
def test_a_table_that_is_altered_is_looked_at_again(tables: Tables, key: str) -> None:
    tables.run("CREATE TABLE t (id int PRIMARY KEY, text varchar(2))")
    use = tables.use(key=key.split())
    assert use.give([(1, "a")]) is None
    tables.run("ALTER TABLE t ALTER id TYPE bigint, ALTER text TYPE text")
    assert use.give([(2**40, "a long one")], position=1) is None
    tables.run("ALTER TABLE t ALTER text TYPE jsonb USING to_jsonb(text)")
    assert use.give([(3, {"a": 1})], position=2) is None
    assert [row[1] for row in sorted(tables.found())] == ["a", {"a": 1}, "a long one"]


def test_a_view_and_a_policy_take_rows_by_insert(tables: Tables) -> None:
    tables.run("CREATE TABLE base (id int, text text); CREATE VIEW t AS SELECT * FROM base")
    use = tables.use()
    for number in range(3):
        assert use.give([(number, "a")], position=number) is None
    assert tables.found() == [(0, "a"), (1, "a"), (2, "a")]

    tables.run("DROP VIEW t; DROP ROLE IF EXISTS policed; CREATE ROLE policed LOGIN")
    tables.run(
        "ALTER TABLE base RENAME TO t; ALTER TABLE t ENABLE ROW LEVEL SECURITY; TRUNCATE t;"
        "GRANT ALL ON t TO policed; GRANT USAGE ON SCHEMA public TO policed;"
        "CREATE POLICY small ON t USING (true) WITH CHECK (id < 10)"
    )
    policed = tables.use(database=tables.server.conninfo(user="policed"))
    assert set(rejected(policed.give([(1, "a"), (20, "b"), (3, "c")]))) == {1}
    assert tables.found() == [(1, "a"), (3, "c")]


def test_a_table_may_be_in_a_schema_and_have_any_name(tables: Tables) -> None:
    tables.run('DROP SCHEMA IF EXISTS "o%s" CASCADE; CREATE SCHEMA "o%s"')
    tables.run('CREATE TABLE "o%s"."T 1%" ("a%s" int, "B""" date)')
    sink = tables.sink(tables.server.conninfo(), "o%s.T 1%", ["a%s", 'B"'])
    with Use(sink) as use:
        today = dt.date(2020, 1, 1)
        assert set(rejected(use.give([(1, today), (2, "2020-01-02"), ("a", today)]))) == {2}
    assert [row[0] for row in tables.run('SELECT * FROM "o%s"."T 1%"')] == [1, 2]


# --- exactly once


def test_a_batch_that_was_cut_otherwise_is_known(tables: Tables) -> None:
    tables.run("CREATE TABLE t (id int, text text CHECK (text <> 'bad'))")
    use = tables.use(once=True)
    rows = [(n, "bad" if n == 2 else "a") for n in range(9)]
    assert set(rejected(use.give(rows[:5], position=0))) == {2}
    said = rejected(use.give(rows[1:8], position=1))
    assert set(said) == {1}
    assert "check constraint" in said[1], "why it was refused, the first time"
    assert use.give(rows[5:], position=5) is None
    assert sorted(row[0] for row in tables.found()) == [0, 1, 3, 4, 5, 6, 7, 8]


def test_two_that_have_one_batch_at_once_deliver_it_once(postgres: Server) -> None:
    with ExitStack() as ends:
        tables = Tables(postgres, PostgresTable, ends)
        tables.run("CREATE TABLE t (id int, text text)")
        uses = [tables.use(once=True) for _ in range(4)]
        said = list[Any]()

        def give(use: Use) -> None:
            said.extend(use.give([(n, "a"), (n + 1, "b")], position=n) for n in range(0, 40, 2))

        threads = [threading.Thread(target=give, args=[use]) for use in uses]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert said == [None] * 80
        assert sorted(row[0] for row in tables.found()) == list(range(40))


# --- options


@pytest.mark.parametrize(
    ("database", "options", "named"),
    [
        (3, {}, "database=3"),
        ("no=conninfo at=all x", {}, "database=..."),
        ("", {"table": ""}, "table"),
        ("", {"table": "a.b.c"}, "table"),
        ("", {"columns": "id"}, "columns"),
        ("", {"key": ["other"]}, "key"),
        ("", {"key": ["id"], "once": True}, "once"),
        ("", {"version": "id"}, "version"),
    ],
)
def test_what_is_wrong_with_options_is_said(database: Any, options: Any, named: str) -> None:
    for sink in (PostgresTable, AsyncPostgresTable):
        with pytest.raises(InvalidOption, match="expected") as caught:
            sink(database, **{"table": "t", "columns": ["id"]} | options)
        assert named in str(caught.value)


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(PostgresTable("password=secret", "t", ["id"]))
    with pytest.raises(InvalidOption) as caught:
        PostgresTable("password=secret host", "t", ["id"])
    assert "secret" not in str(caught.value)
