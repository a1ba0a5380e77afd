"""
What a sink takes to drive a connection: all that is imported with psycopg.
"""

from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from ...errors import InvalidOption, Outage, Split
from ..base import expect
from .async_lending import AsyncGiven, AsyncLender, AsyncOwn, AsyncPooled
from .commands import follow, follow_async
from .faults import AGAIN, LARGE, LOST, fault_of, words
from .lending import Given, Lender, Limits, Own, Pooled
from .text import Text
from .work import Lent, Work

__all__ = [
    "Chances",
    "Limits",
    "Text",
    "Work",
    "async_lender",
    "expect_database",
    "follow",
    "follow_async",
    "lender",
]

_CHANCES = 3
"""How often a transaction is tried that others were at, too, before it waits."""


class Chances:
    """Those that a batch has; each failure uses one up."""

    def __init__(self, table: str, count: int) -> None:
        self._table, self._count, self._left = table, count, _CHANCES
        self.is_lost = False
        """Whether the connection was lost; that is found out once, by one that was idle."""

    def use(self, error: Exception, lent: Lent | None) -> None:
        """Return if it is worth another try at once; raise what is to be said if not."""
        fault = fault_of(error)
        if isinstance(error, Outage) or not isinstance(error, psycopg.Error):
            raise error
        self._left -= 1
        if fault == AGAIN and self._left:
            return
        if fault == LOST and lent is not None and lent.is_used and not self.is_lost:
            self.is_lost = True
            return
        said = f"PostgreSQL, table {self._table}: {words(error)}"
        if fault == LARGE and self._count > 1:
            raise Split(said) from error
        raise Outage(said) from error


def expect_database(database: Any, *, is_async: bool) -> None:
    """Raise `InvalidOption` unless *database* is of a kind that one of the lenders lends."""
    ours = psycopg.AsyncConnection if is_async else psycopg.Connection
    kind = "async " * is_async
    is_database = isinstance(database, str | ours) or _is_pool(database, is_async=is_async)
    expect(is_database, "database", database, f"a conninfo, or an {kind}connection or pool")
    if isinstance(database, str):
        try:
            conninfo_to_dict(database)
        except psycopg.Error as error:  # the text may hold a password
            raise InvalidOption(f"database=...: expected a conninfo: {error}") from None


def _is_pool(database: Any, *, is_async: bool) -> bool:
    has = all(callable(getattr(database, name, None)) for name in ("getconn", "putconn", "check"))
    return has and ("Async" in type(database).__name__) == is_async


def lender(database: Any, most: int, limits: Limits) -> Lender:
    """Return what lends connections to threads."""
    if isinstance(database, str):
        return Own(database, most, limits)
    is_one = isinstance(database, psycopg.Connection)
    return Given(database, limits) if is_one else Pooled(database, limits)


def async_lender(database: Any, most: int, limits: Limits) -> AsyncLender:
    """Return what lends connections to tasks."""
    if isinstance(database, str):
        return AsyncOwn(database, most, limits)
    is_one = isinstance(database, psycopg.AsyncConnection)
    return AsyncGiven(database, limits) if is_one else AsyncPooled(database, limits)
