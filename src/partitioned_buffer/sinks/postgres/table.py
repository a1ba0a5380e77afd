"""
Rows of a table of PostgreSQL: the sink, for threads and for tasks.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from ... import BatchId, batch_id
from ..base import (
    AsyncClosing,
    Closing,
    expect,
    expect_count,
    expect_flag,
    expect_seconds,
    imported,
)
from ..rows import Maker, Refused, RowOf, Rows, expect_columns
from ..sql import expect_key

if TYPE_CHECKING:
    import psycopg
    import psycopg_pool

    from .async_lending import AsyncLender
    from .driving import Chances
    from .lending import Lender

    Database = (
        str
        | psycopg.Connection[Any]
        | psycopg_pool.ConnectionPool[Any]
        | psycopg.AsyncConnection[Any]
        | psycopg_pool.AsyncConnectionPool[Any]
    )


class _Options:
    """What both faces are given, and have of it."""

    _is_async = False

    def __init__(
        self,
        database: "Database",
        table: str,
        columns: Sequence[str],
        *,
        key: Sequence[str] = (),
        version: str | None = None,
        row: RowOf | None = None,
        once: bool = False,
        connections: int = 4,
        timeout: float = 30.0,
        connect_timeout: float = 5.0,
    ) -> None:
        names = expect_columns(columns)
        _expect_table(table)
        expect_key(names, key, version)
        expect_flag("once", once)
        expect(not (once and key), "once", once, "no key: a row that comes twice replaces itself")
        expect_count("connections", connections)
        expect_seconds("timeout", timeout)
        expect_seconds("connect_timeout", connect_timeout)
        imported(type(self).__name__, "postgres", "psycopg")
        driving = import_module(".driving", __package__)
        driving.expect_database(database, is_async=self._is_async)
        self._is_conninfo = isinstance(database, str)
        self._driving, self._database, self._table = driving, database, table
        self._limits = driving.Limits(connect_timeout, timeout)
        self._connections, self._once = connections, once
        text = driving.Text(table, names, tuple(key), version)
        self._work = driving.Work(text, self._limits.text("LOCAL "))
        self._make_rows = Maker(names, row)
        self._lenders: Any = WeakKeyDictionary() if self._is_async else {}

    def __repr__(self) -> str:
        given = "" if self._is_conninfo else f"{self._database!r}, "  # it may hold a password
        return f"{type(self).__name__}({given}{self._table!r})"


class PostgresTable(_Options, Closing):
    """
    Inserts rows into a table, a batch in a transaction, by binary COPY.

    *database*: a conninfo, or a `psycopg.Connection` or `psycopg_pool.ConnectionPool`, which is its
    user's to close. A connection cannot reconnect.

    *table*: its name, which may be preceded by its schema's and a dot.

    *columns*: those of a row, in its order if it is a tuple.

    *key*: columns that tell rows apart, as a primary key or unique index of the table does. A row
    whose key is there replaces it, so a batch that comes twice does no harm.

    *version*: a column; a row replaces only what has no greater one. For a Map's `put_newer`.

    *row*: a function that makes a dict or tuple of an item, or of a Map's entry.

    *once*: without a key, note which batches are there, in a table beside it
    (`partitioned_buffer_batches`), in the same transaction: so each row gets there exactly once.

    *connections*: how many to open at most; one per partition that delivers at the same time.

    *timeout*: how many seconds a statement may take; a lock is waited for half as long.

    *connect_timeout*: how many seconds connecting may take, whole ones.

    A row that the table refuses is rejected with what PostgreSQL says, and the others go in. What
    takes too long is tried in smaller batches. All else, a server that is away, full or read-only,
    a table or privilege that is missing, is an outage. Raises `InvalidOption`.
    """

    def __call__(self, batch: Any, /) -> None:
        """Insert the rows of *batch*. Raises `Outage`, `Split`, and `PartialFailure`."""
        made, identity = self._make_rows(batch), batch_id() if self._once else None
        lender, chances = self._lender, self._driving.Chances(self._table, len(made.rows))
        bad: Refused | None = None if made.rows else {}
        while bad is None:
            bad = self._tried(lender, made, identity, chances)
            if bad is None and chances.is_lost:
                lender.drop()
        if failure := made.rejected(bad):
            raise failure

    def _tried(
        self, lender: "Lender", made: Rows, identity: BatchId | None, chances: "Chances"
    ) -> Refused | None:
        """Return what is refused; None: try again."""
        follow: Callable[..., Refused] = self._driving.follow
        lent = None
        try:
            with lender.lend() as line:
                lent = line.lent
                steps = self._work.steps(lent, made, identity)
                with lent.connection.cursor() as cursor:
                    return follow(steps, cursor, line.socket, self._limits.answer)
        except Exception as error:
            chances.use(error, lent)
        return None

    def close(self) -> None:
        """Close the connections that were opened here."""
        if self._is_conninfo:
            self._lender.drop()

    @property
    def _lender(self) -> "Lender":
        pid = os.getpid()  # a child must not use its parent's
        if pid not in self._lenders:
            made = self._driving.lender(self._database, self._connections, self._limits)
            self._lenders = {pid: made}
        lender: Lender = self._lenders[pid]
        return lender


class AsyncPostgresTable(_Options, AsyncClosing):
    """
    The same, for asyncio: see `PostgresTable`.

    *database*: a conninfo, or a `psycopg.AsyncConnection` or `psycopg_pool.AsyncConnectionPool`.
    """

    _is_async = True

    async def __call__(self, batch: Any, /) -> None:
        """Insert the rows of *batch*. Raises `Outage`, `Split`, and `PartialFailure`."""
        made, identity = self._make_rows(batch), batch_id() if self._once else None
        lender, chances = self._lender, self._driving.Chances(self._table, len(made.rows))
        bad: Refused | None = None if made.rows else {}
        while bad is None:
            bad = await self._tried(lender, made, identity, chances)
            if bad is None and chances.is_lost:
                await lender.drop()
        if failure := made.rejected(bad):
            raise failure

    async def _tried(
        self, lender: "AsyncLender", made: Rows, identity: BatchId | None, chances: "Chances"
    ) -> Refused | None:
        """Return what is refused; None: try again."""
        follow: Callable[..., Awaitable[Refused]] = self._driving.follow_async
        lent = None
        try:
            async with lender.lend() as line:
                lent = line.lent
                steps = self._work.steps(lent, made, identity)
                async with lent.connection.cursor() as cursor:
                    return await follow(steps, cursor, line.socket, self._limits.answer)
        except Exception as error:
            chances.use(error, lent)
        return None

    async def close(self) -> None:
        """Close the connections that were opened here, on this event loop."""
        if self._is_conninfo:
            await self._lender.drop()

    @property
    def _lender(self) -> "AsyncLender":
        loop = asyncio.get_running_loop()
        if loop not in self._lenders:
            made = self._driving.async_lender(self._database, self._connections, self._limits)
            self._lenders[loop] = made
        lender: AsyncLender = self._lenders[loop]
        return lender


def _expect_table(table: Any) -> None:
    is_name = isinstance(table, str) and all(table.split(".")) and table.count(".") < 2
    words = "the name of a table, or its schema's, a dot, and its own"
    expect(is_name and "\0" not in table, "table", table, words)
