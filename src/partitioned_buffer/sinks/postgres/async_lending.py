"""
Where a connection comes from, for tasks: its user's, a pool's, or one of our own.
"""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import psycopg

from ...errors import Outage
from ..rows import bare
from .alarm import hang_up, line_of
from .faults import words
from .lending import Limits, Line, expect_idle
from .work import Known, Lent


class AsyncLender(Protocol):
    """Lends connections to tasks."""

    def lend(self) -> Any:
        """Return a context with a `Line`; at its end by an error the transaction is taken back."""

    async def drop(self) -> None:
        """Let go of connections that are there: their server may be another one now."""


class AsyncOwn:
    """Connections that are opened when they are needed, a few at most, and kept."""

    def __init__(self, conninfo: str, most: int, limits: Limits) -> None:
        self._conninfo, self._limits = conninfo, limits
        self._most = most
        self._free = asyncio.Semaphore(most)
        self._idle: list[tuple[Any, Known, socket.socket]] = []

    @asynccontextmanager
    async def lend(self) -> AsyncGenerator[Line]:
        """Lend one, and close it after an error."""
        await acquired(self._free, f"all {self._most} connections were", self._limits)
        try:
            is_used, (connection, known, line) = await self._one()
            try:
                yield Line(Lent(connection, known, is_own=True, is_used=is_used), line)
            except BaseException:
                await _close(connection, line)
                raise
            self._idle.append((connection, known, line))
        finally:
            self._free.release()

    async def _one(self) -> tuple[bool, tuple[Any, Known, socket.socket]]:
        if self._idle:
            return True, self._idle.pop()
        connection = await psycopg.AsyncConnection.connect(
            self._conninfo, autocommit=True, connect_timeout=max(1, round(self._limits.connect))
        )
        line = line_of(connection.fileno())
        alarm = asyncio.get_running_loop().call_later(self._limits.answer, hang_up, line)
        try:
            await connection.execute(self._limits.session, prepare=False)
        except BaseException:
            await _close(connection, line)
            raise
        finally:
            alarm.cancel()
        return False, (connection, Known(), line)

    async def drop(self) -> None:
        """Close those that are not lent."""
        while self._idle:
            connection, _, line = self._idle.pop()
            await _close(connection, line)


class AsyncGiven:
    """A connection of the user's: one at a time."""

    def __init__(self, connection: Any, limits: Limits) -> None:
        self._connection, self._limits = connection, limits
        self._known = Known()
        self._free = asyncio.Semaphore(1)

    @asynccontextmanager
    async def lend(self) -> AsyncGenerator[Line]:
        """Lend it, if it is not in a transaction of its user's."""
        await acquired(self._free, "the connection was", self._limits)
        try:
            async with _borrowed(self._connection, self._known, self._limits) as line:
                yield line
        finally:
            self._free.release()

    async def drop(self) -> None:
        """Leave it to its user."""


class AsyncPooled:
    """Connections of a pool of the user's."""

    def __init__(self, pool: Any, limits: Limits) -> None:
        self._pool, self._limits = pool, limits
        self._known: WeakKeyDictionary[Any, Known] = WeakKeyDictionary()

    @asynccontextmanager
    async def lend(self) -> AsyncGenerator[Line]:
        """Lend one; those that are broken, the pool replaces."""
        try:
            connection = await self._pool.getconn(timeout=self._limits.connect)
        except psycopg.Error as error:  # which the pool may keep: not with the batch in its frames
            raise Outage(f"no connection of the pool: {words(error)}") from bare(error)
        try:
            known = self._known.setdefault(connection, Known())
            async with _borrowed(connection, known, self._limits) as line:
                yield line
        finally:
            await self._pool.putconn(connection)

    async def drop(self) -> None:
        """Have the pool look at those that it has."""
        with suppress(psycopg.Error):
            await self._pool.check()


async def acquired(free: asyncio.Semaphore, what: str, limits: Limits) -> None:
    """Return once *free* is; raise `Outage` if it is not in time."""
    try:
        async with asyncio.timeout(limits.answer):
            await free.acquire()
    except TimeoutError:
        raise Outage(f"{what} busy for {limits.answer:g} s") from None


@asynccontextmanager
async def _borrowed(connection: Any, known: Known, limits: Limits) -> AsyncGenerator[Line]:
    expect_idle(connection)
    line = line_of(connection.fileno())
    try:
        yield Line(Lent(connection, known, is_own=False, is_used=True), line)
    except BaseException:
        alarm = asyncio.get_running_loop().call_later(limits.answer, hang_up, line)
        with suppress(psycopg.Error):
            await connection.rollback()
        alarm.cancel()
        raise
    finally:
        line.close()


async def _close(connection: Any, line: socket.socket) -> None:
    await connection.close()
    line.close()
