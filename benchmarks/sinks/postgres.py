"""`PostgresTable`, beside what is written by hand; its server's files are in memory, unsynced."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from partitioned_buffer.sinks import PostgresTable

from ..speed.measure import Timed
from .subjects import COLUMNS, Row, each_batch, rows

SIZE = 1000
TITLE = f"PostgresTable: batches of {SIZE} rows, over loopback"
FLOOR = "binary COPY, a commit per batch"
MANY = "executemany, a commit per batch"
ONE = "INSERT and commit, row by row"
PLAIN, KEYED = "PostgresTable", "PostgresTable, key"
PAIRS = [(PLAIN, MANY, 1.4), (PLAIN, ONE, 10.0), (PLAIN, FLOOR, 0.8), (KEYED, FLOOR, 0.35)]
"""What is compared with what, and how many times faster it is to be at least."""

COPY = f"COPY rows ({', '.join(COLUMNS)}) FROM STDIN (FORMAT BINARY)"
INSERT = "INSERT INTO rows VALUES (%(id)s, %(at)s, %(who)s, %(text)s)"
UPSERT = (
    f"{INSERT} ON CONFLICT (id) DO UPDATE SET at = excluded.at, who = excluded.who, "
    "text = excluded.text"
)
USER = "postgres"


@contextmanager
def subjects(_: Path, quick: bool) -> Iterator[dict[str, Timed]]:
    some = rows(10_000 if quick else 50_000)
    few = some[: len(some) // 20]
    with _server() as conninfo, psycopg.connect(conninfo) as connection:

        def by_hand(take: Callable[[Any, list[Row]], None], items: list[Row] = some) -> float:
            _empty(connection)
            return each_batch(items, lambda batch: take(connection, batch), SIZE)

        def sink(*, filled: bool = False, **options: Any) -> float:
            _empty(connection)
            with PostgresTable(conninfo, "rows", COLUMNS, **options) as table:
                if filled:
                    each_batch(some, table, SIZE)
                return each_batch(some, table, SIZE)

        yield {
            FLOOR: lambda: by_hand(_copy),
            MANY: lambda: by_hand(_many(INSERT)),
            ONE: lambda: by_hand(_row_by_row, few),
            PLAIN: sink,
            "PostgresTable, once": lambda: sink(once=True),
            "executemany, upsert": lambda: by_hand(_many(UPSERT)),
            KEYED: lambda: sink(key=["id"]),
            "PostgresTable, key, all there already": lambda: sink(key=["id"], filled=True),
        }


def _empty(connection: psycopg.Connection[Any]) -> None:
    connection.execute("DROP TABLE IF EXISTS rows, partitioned_buffer_batches")
    connection.execute("CREATE TABLE rows (id int PRIMARY KEY, at float8, who text, text text)")
    connection.commit()


def _copy(connection: psycopg.Connection[Any], batch: list[Row]) -> None:
    with connection.cursor().copy(COPY) as copy:
        copy.set_types(["int4", "float8", "text", "text"])
        for row in batch:
            copy.write_row((row["id"], row["at"], row["who"], row["text"]))
    connection.commit()


def _many(statement: str) -> Callable[[psycopg.Connection[Any], list[Row]], None]:
    def insert(connection: psycopg.Connection[Any], batch: list[Row]) -> None:
        connection.cursor().executemany(statement, batch)
        connection.commit()

    return insert


def _row_by_row(connection: psycopg.Connection[Any], batch: list[Row]) -> None:
    for row in batch:
        connection.execute(INSERT, row)
        connection.commit()


@contextmanager
def _server() -> Iterator[str]:
    """Have a server, which does not run as root."""
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    folder = Path(tempfile.mkdtemp(prefix="pg", dir=memory))
    as_user: list[str] = []
    if os.getuid() == 0:
        shutil.chown(folder, USER, USER)
        as_user = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups"]
    as_user += ["--pdeathsig=INT"] if as_user else []
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    initdb = ["-D", f"{folder}/data", "-U", USER, "-A", "trust", "-N", "-E", "UTF8"]
    made = [*as_user, _program("initdb"), *initdb, "--no-instructions", "--locale=C"]
    subprocess.run(made, check=True, stdout=subprocess.DEVNULL, cwd="/")
    run = [*as_user, _program("postgres"), "-D", f"{folder}/data", "-F", "-k", str(folder)]
    process = subprocess.Popen(
        [*run, "-p", str(port), "-h", "127.0.0.1"], stderr=subprocess.DEVNULL, cwd="/"
    )
    conninfo = f"host=127.0.0.1 port={port} user={USER} dbname=postgres"
    try:
        _wait(conninfo)
        yield conninfo
    finally:
        process.send_signal(signal.SIGINT)  # without waiting for whoever is connected
        process.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def _program(name: str) -> str:
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = shutil.which(name, path=os.pathsep.join([*map(str, folders), os.environ["PATH"]]))
    assert found is not None, "PostgreSQL is not installed"
    return found


def _wait(conninfo: str) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(conninfo).close()
            return
        time.sleep(0.05)
    raise TimeoutError("PostgreSQL does not answer")
