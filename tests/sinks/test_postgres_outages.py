"""What a `PostgresTable` says of a server that cannot, by threads and by tasks."""

import threading
import time
from typing import Any

import psycopg
import pytest
from forks import Child
from postgres import Server
from postgres_tables import Tables, rejected
from psycopg_pool import ConnectionPool

from partitioned_buffer import Outage, Split
from partitioned_buffer.sinks import PostgresTable
from partitioned_buffer.testing.contract.sinks.using import Use

RAISES = """
CREATE SEQUENCE IF NOT EXISTS times;
CREATE OR REPLACE FUNCTION raises() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF nextval('times') <= {times} THEN RAISE 'not now' USING ERRCODE = '{state}'; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER raises BEFORE INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION raises();
"""
TABLE = "CREATE TABLE t (id int PRIMARY KEY, text text)"
MANY = [(n, "a") for n in range(8)]


def says(error: BaseException | None, kind: type[BaseException], *words: str) -> None:
    assert type(error) is kind, repr(error)
    for word in words:
        assert word in str(error)


@pytest.mark.parametrize("state", ["53100", "57P01", "55P03", "XX000", "42501", "08006"])
@pytest.mark.parametrize("key", ["", "id"])
def test_what_is_no_rows_fault_is_an_outage(tables: Tables, key: str, state: str) -> None:
    tables.run(TABLE)
    use = tables.use(key=key.split())
    assert use.give([(100, "a")]) is None
    tables.run(RAISES.format(times=50, state=state))
    says(use.give(MANY), Outage, "table t", "not now", state)
    tables.run("DROP TRIGGER raises ON t")
    assert use.give(MANY) is None
    assert len(tables.found()) == 9


@pytest.mark.parametrize("state", ["40001", "40P01"])
@pytest.mark.parametrize("key", ["", "id"])
def test_what_others_were_at_is_tried_again_at_once(tables: Tables, key: str, state: str) -> None:
    tables.run(TABLE)
    tables.run(RAISES.format(times=2, state=state))
    use = tables.use(key=key.split())
    assert use.give(MANY) is None
    assert sorted(tables.found()) == MANY

    tables.run(
        RAISES.replace("CREATE TRIGGER", "CREATE OR REPLACE TRIGGER").format(times=50, state=state)
    )
    says(use.give([(9, "a")]), Outage, state)


@pytest.mark.parametrize("state", ["57014", "53200"])
def test_what_is_too_much_is_split_until_it_is_one(tables: Tables, state: str) -> None:
    tables.run(TABLE)
    tables.run(RAISES.format(times=50, state=state))
    use = tables.use()
    says(use.give(MANY), Split, state)
    says(use.give(MANY[:1]), Outage, state)


def test_a_statement_has_a_time_limit(tables: Tables) -> None:
    tables.run(TABLE)
    tables.run(
        RAISES.format(times=50, state="XX000").replace(
            "RAISE 'not now' USING ERRCODE = 'XX000'", "PERFORM pg_sleep(60)"
        )
    )
    began = time.monotonic()
    says(tables.use(timeout=0.3).give(MANY), Split, "57014")
    assert time.monotonic() - began < 30


def test_a_lock_is_not_waited_for_for_ever(tables: Tables) -> None:
    tables.run(TABLE)
    use = tables.use(timeout=0.4)
    with tables.server.connect() as other, other.transaction():
        other.execute("LOCK TABLE t")
        says(use.give(MANY), Outage, "55P03")
    assert use.give(MANY) is None


def test_a_read_only_server_is_an_outage_and_is_left(tables: Tables) -> None:
    tables.run(TABLE)
    tables.run("DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN; GRANT ALL ON t TO reader")
    tables.run("GRANT USAGE ON SCHEMA public TO reader")
    for key in ([], ["id"]):
        use = tables.use(database=tables.server.conninfo(user="reader"), key=key)
        tables.run("ALTER ROLE reader SET default_transaction_read_only = on")
        for _ in range(2):
            says(use.give(MANY), Outage, "25006")
        tables.run("ALTER ROLE reader RESET default_transaction_read_only; TRUNCATE t")
        assert use.give(MANY) is None, "by a new connection"


def test_too_many_connections_are_an_outage(tables: Tables) -> None:
    tables.run(TABLE)
    tables.run(
        "DROP ROLE IF EXISTS few; CREATE ROLE few LOGIN CONNECTION LIMIT 0; GRANT ALL ON t TO few"
    )
    use = tables.use(database=tables.server.conninfo(user="few"))
    says(use.give(MANY), Outage, "too many connections")
    tables.run("ALTER ROLE few CONNECTION LIMIT 5; GRANT USAGE ON SCHEMA public TO few")
    assert use.give(MANY) is None


def test_what_an_operator_has_to_mend_is_an_outage_that_says_it(tables: Tables) -> None:
    use = tables.use()
    says(use.give(MANY), Outage, "no table", "id, text")
    tables.run("CREATE TABLE t (id int)")
    says(use.give(MANY), Outage, "text")
    tables.run("ALTER TABLE t ADD text text; DROP ROLE IF EXISTS nobody; CREATE ROLE nobody LOGIN")
    tables.run("GRANT USAGE ON SCHEMA public TO nobody")
    nobody = tables.use(database=tables.server.conninfo(user="nobody"))
    says(nobody.give(MANY), Outage, "permission denied for table t")
    tables.run("GRANT INSERT ON t TO nobody")
    assert nobody.give(MANY) is None, "it takes no other privilege"
    says(
        tables.use(database=tables.server.conninfo(user="stranger")).give(MANY), Outage, "stranger"
    )
    says(tables.use(database=tables.server.conninfo(dbname="none")).give(MANY), Outage, "none")


@pytest.mark.parametrize(
    ("privileges", "options"),
    [("INSERT", {}), ("INSERT, SELECT, UPDATE", {"key": ["id"]}), ("INSERT", {"once": True})],
    ids=str,
)
def test_it_takes_no_more_privileges_than_are_documented(
    tables: Tables, privileges: str, options: dict[str, Any]
) -> None:
    tables.run(TABLE)
    tables.use(once=True).give([])  # makes no notes yet
    assert tables.use(once=True).give([(100, "a")]) is None
    tables.run("DROP ROLE IF EXISTS poor; CREATE ROLE poor LOGIN")
    tables.run(f"GRANT USAGE ON SCHEMA public TO poor; GRANT {privileges} ON t TO poor")
    if "once" in options:
        tables.run("GRANT INSERT, SELECT, UPDATE, DELETE ON partitioned_buffer_batches TO poor")
    use = tables.use(database=tables.server.conninfo(user="poor"), **options)
    assert use.give(MANY, store="poor") is None
    assert use.give(MANY, store="poor") is None or not options
    assert len(tables.found()) == 9


def test_a_server_that_was_started_again_is_met_at_once(tables: Tables) -> None:
    tables.run(TABLE)
    use = tables.use()
    assert use.give(MANY[:4]) is None
    with tables.server.away():
        pass
    assert use.give(MANY[4:], position=4) is None
    assert sorted(tables.found()) == MANY


def test_a_server_that_falls_silent_is_hung_up_on(tables: Tables) -> None:
    """Its time limits are none then, and to connect is not what takes long."""
    tables.run(TABLE)
    use = tables.use(timeout=0.4, connect_timeout=1.0)
    assert use.give(MANY[:4]) is None
    began = time.monotonic()
    with tables.server.asleep():
        assert type(use.give(MANY[4:], position=4)) is Outage
    assert time.monotonic() - began < 30
    assert use.give([(9, "b")], position=4) is None


# --- connections


def test_no_more_are_opened_than_are_allowed_and_all_are_closed(postgres: Server) -> None:
    with postgres.connect() as connection:
        connection.execute("DROP TABLE IF EXISTS t; CREATE TABLE t (id int, text text)")
        sink = PostgresTable(
            postgres.conninfo(application_name="ours"), "t", ["id", "text"], connections=2
        )
        ours = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'ours'"
        threads = [threading.Thread(target=sink, args=[[(n, "a")] * 50]) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        count = connection.execute(ours).fetchone()
        assert count is not None
        assert 1 <= count[0] <= 2
        sink.close()
        for _ in range(100):
            if connection.execute(ours).fetchone() == (0,):
                break
            time.sleep(0.05)  # until the server has noticed
        assert connection.execute(ours).fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (400,)


@pytest.mark.parametrize("autocommit", [True, False])
@pytest.mark.parametrize("options", [{}, {"once": True}, {"key": ["id"]}], ids=str)
def test_a_connection_of_the_users_is_used_and_left_open(
    postgres: Server, options: dict[str, Any], autocommit: bool
) -> None:
    with postgres.connect() as admin:
        admin.execute(
            "DROP TABLE IF EXISTS t, partitioned_buffer_batches;"
            "CREATE TABLE t (id int PRIMARY KEY, text varchar(1))"
        )
        with psycopg.connect(postgres.conninfo(), autocommit=autocommit) as connection:
            with Use(PostgresTable(connection, "t", ["id", "text"], **options)) as use:
                assert use.give(MANY[:4]) is None
                assert admin.execute("SELECT count(*) FROM t").fetchone() == (4,)
                assert set(rejected(use.give([(8, "b"), (9, "too long")], position=4))) == {1}
                assert connection.execute("SHOW statement_timeout").fetchone() == ("0",)
                connection.commit()
                with connection.transaction():
                    connection.execute("SELECT 1")
                    says(use.give([(10, "c")], position=6), Outage, "transaction")
                assert use.give([(10, "c")], position=6) is None
            assert not connection.closed
        with Use(PostgresTable(connection, "t", ["id", "text"], **options)) as use:
            says(use.give([(11, "c")]), Outage, "closed", "pool")
        assert admin.execute("SELECT count(*) FROM t").fetchone() == (6,)


def test_a_pool_that_is_not_open_is_an_outage(postgres: Server) -> None:
    pool = ConnectionPool(postgres.conninfo(), open=False)
    with Use(PostgresTable(pool, "t", ["id"], connect_timeout=0.5)) as use:
        says(use.give([(1,)]), Outage, "not open")


def test_a_child_has_connections_of_its_own(postgres: Server) -> None:
    with postgres.connect() as connection:
        connection.execute("DROP TABLE IF EXISTS t; CREATE TABLE t (id int, text text)")
        conninfo = postgres.conninfo(application_name="forked")
        count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'forked'"

        def in_child() -> list[Any]:
            error = use.give(MANY[2:4])
            with postgres.connect() as another:
                return [repr(error), *another.execute(count).fetchall()]

        with Use(PostgresTable(conninfo, "t", ["id", "text"])) as use:
            assert use.give(MANY[:2]) is None
            assert Child(in_child).result() == ["None", [2]]
            assert use.give(MANY[4:]) is None
        found = connection.execute("SELECT id, text FROM t ORDER BY id").fetchall()
        assert found == MANY
