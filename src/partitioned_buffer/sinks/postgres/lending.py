"""
Where a connection comes from, for threads: its user's, a pool's, or one of our own.
"""

import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple, Protocol
from weakref import WeakKeyDictionary

import psycopg

from ...errors import Outage
from ..rows import bare
from .alarm import ALARM, line_of
from .faults import words
from .work import Known, Lent


class Line(NamedTuple):
    """A connection that is lent, and a socket to hang it up by."""

    lent: Lent
    socket: socket.socket


class Limits(NamedTuple):
    """How long to wait, in seconds: for a connection, a statement, any answer at all."""

    connect: float
    statement: float

    @property
    def answer(self) -> float:
        """Return more than the server takes to say that a statement has taken too long."""
        return 1.25 * self.statement + 0.5

    @property
    def session(self) -> Any:  # psycopg would have a literal
        """Return the statements that set them for a connection."""
        return self.text("")

    def text(self, words: str) -> str:
        """Return the statements that set them; locks are waited for half as long."""
        times = {
            "statement_timeout": self.statement,
            "lock_timeout": self.statement / 2,
            "idle_in_transaction_session_timeout": 2 * self.answer,
        }
        return "".join(f"SET {words}{k} = {max(1, round(1000 * v))}; " for k, v in times.items())


class Lender(Protocol):
    """Lends connections to threads."""

    def lend(self) -> Any:
        """Return a context with a `Line`; at its end by an error the transaction is taken back."""

    def drop(self) -> None:
        """Let go of connections that are there: their server may be another one now."""


class Own:
    """Connections that are opened when they are needed, a few at most, and kept."""

    def __init__(self, conninfo: str, most: int, limits: Limits) -> None:
        self._conninfo, self._limits = conninfo, limits
        self._free = threading.Semaphore(most)
        self._most = most
        self._idle: list[tuple[Any, Known, socket.socket]] = []

    @contextmanager
    def lend(self) -> Generator[Line]:
        """Lend one, and close it after an error."""
        # Who has one may go through several statements; who waits waits as long as one would.
        if not self._free.acquire(timeout=self._limits.answer):
            raise Outage(f"all {self._most} connections were busy for {self._limits.answer:g} s")
        try:
            is_used, (connection, known, line) = self._one()
            try:
                yield Line(Lent(connection, known, is_own=True, is_used=is_used), line)
            except BaseException:
                _close(connection, line)
                raise
            self._idle.append((connection, known, line))
        finally:
            self._free.release()

    def _one(self) -> tuple[bool, tuple[Any, Known, socket.socket]]:
        with suppress(IndexError):
            return True, self._idle.pop()
        connection = psycopg.connect(
            self._conninfo, autocommit=True, connect_timeout=max(1, round(self._limits.connect))
        )
        line = line_of(connection.fileno())
        token = ALARM.arm(line, self._limits.answer)
        try:
            connection.execute(self._limits.session, prepare=False)
        except BaseException:
            _close(connection, line)
            raise
        finally:
            ALARM.disarm(token)
        return False, (connection, Known(), line)

    def drop(self) -> None:
        """Close those that are not lent."""
        with suppress(IndexError):
            while True:
                connection, _, line = self._idle.pop()
                _close(connection, line)


class Given:
    """A connection of the user's: one at a time."""

    def __init__(self, connection: Any, limits: Limits) -> None:
        self._connection, self._limits = connection, limits
        self._known = Known()
        self._lock = threading.Lock()

    @contextmanager
    def lend(self) -> Generator[Line]:
        """Lend it, if it is not in a transaction of its user's."""
        if not self._lock.acquire(timeout=self._limits.answer):
            raise Outage(f"the connection was busy for {self._limits.answer:g} s")
        try:
            with _borrowed(self._connection, self._known, self._limits) as line:
                yield line
        finally:
            self._lock.release()

    def drop(self) -> None:
        """Leave it to its user."""


class Pooled:
    """Connections of a pool of the user's."""

    def __init__(self, pool: Any, limits: Limits) -> None:
        self._pool, self._limits = pool, limits
        self._known: WeakKeyDictionary[Any, Known] = WeakKeyDictionary()

    @contextmanager
    def lend(self) -> Generator[Line]:
        """Lend one; those that are broken, the pool replaces."""
        try:
            connection = self._pool.getconn(timeout=self._limits.connect)
        except psycopg.Error as error:  # which the pool may keep: not with the batch in its frames
            raise Outage(f"no connection of the pool: {words(error)}") from bare(error)
        try:
            known = self._known.setdefault(connection, Known())
            with _borrowed(connection, known, self._limits) as line:
                yield line
        finally:
            self._pool.putconn(connection)

    def drop(self) -> None:
        """Have the pool look at those that it has."""
        with suppress(psycopg.Error):
            self._pool.check()


@contextmanager
def _borrowed(connection: Any, known: Known, limits: Limits) -> Generator[Line]:
    expect_idle(connection)
    line = line_of(connection.fileno())
    try:
        yield Line(Lent(connection, known, is_own=False, is_used=True), line)
    except BaseException:
        token = ALARM.arm(line, limits.answer)
        with suppress(psycopg.Error):
            connection.rollback()
        ALARM.disarm(token)
        raise
    finally:
        line.close()


def expect_idle(connection: Any) -> None:
    """Raise `Outage` unless a connection that was given can be used."""
    if connection.closed:
        raise Outage(
            "the connection that was given is closed: give a conninfo or a pool, to reconnect"
        )
    if connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
        raise Outage("the connection that was given is in a transaction: give it to nobody else")


def _close(connection: Any, line: socket.socket) -> None:
    connection.close()
    line.close()
