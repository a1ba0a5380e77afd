"""Without their libraries, those tests are left out here that take one."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from typing import Any

import pytest

TAKE = {
    "redis": ["test_sink_redis.py"],
    "psycopg_pool": [
        f"test_postgres_{part}.py" for part in "contract faults outages table".split()
    ],
    "httpx": [f"test_http_{part}.py" for part in "contract endpoint".split()],
}
absent = [package for package in TAKE if find_spec(package) is None]
collect_ignore = [name for package in absent for name in TAKE[package]]
if absent and os.environ.get("SERVERS") == "required":
    raise ImportError(f"not there: {absent}")
if "redis" not in absent:
    from serving import *  # noqa: F403  # their fixtures


@pytest.fixture(scope="session")
def postgres() -> Iterator[object]:
    """A server, for all tests that take one."""
    import postgres  # noqa: PLC0415  # with its client, which not all have

    postgres.needed()
    server = postgres.Server()
    yield server
    server.end()


@pytest.fixture(params=["threads", "tasks"])
def tables(postgres: Any, request: pytest.FixtureRequest) -> Iterator[object]:
    """A table of its own for each test, by both faces of the sink."""
    from postgres_tables import Tables  # noqa: PLC0415

    from partitioned_buffer.sinks import AsyncPostgresTable, PostgresTable  # noqa: PLC0415

    with ExitStack() as ends:
        sink = PostgresTable if request.param == "threads" else AsyncPostgresTable
        yield Tables(postgres, sink, ends)
