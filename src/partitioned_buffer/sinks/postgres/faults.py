"""
What an error of PostgreSQL means, by its SQLSTATE.

    ROWS     of what is in a row: it is found, and rejected, the others go in
    AGAIN    of others who were at it: the transaction may go through at once
    LARGE    too much for a statement's time, or for memory: fewer rows may do
    LOST     of the connection: a new one may do, at another server, too
    DOWN     whoever asks, until somebody does something
"""

from typing import Final, Literal

import psycopg

Fault = Literal["rows", "again", "large", "lost", "down"]
ROWS: Final = "rows"
AGAIN: Final = "again"
LARGE: Final = "large"
LOST: Final = "lost"
DOWN: Final = "down"

CLASSES: dict[str, Fault] = {
    "08": LOST,  # connection exception
    "0A": DOWN,  # feature not supported
    "0B": DOWN,  # invalid transaction initiation
    "25": DOWN,  # invalid transaction state
    "26": DOWN,  # invalid SQL statement name: a proxy that prepared statements do not get through
    "28": DOWN,  # invalid authorization
    "2B": DOWN,  # dependent privilege descriptors
    "2D": DOWN,  # invalid transaction termination
    "34": DOWN,  # invalid cursor name
    "3B": DOWN,  # savepoint exception
    "3D": DOWN,  # invalid catalog name: there is no such database
    "3F": DOWN,  # invalid schema name
    "40": AGAIN,  # transaction rollback: deadlocks, serialization failures
    "42": DOWN,  # access rule violation: no such table or column, no privilege
    "53": DOWN,  # insufficient resources: disk full, too many connections
    "55": DOWN,  # not in the prerequisite state; 55P03, somebody has locked it
    "57": LOST,  # operator intervention: shutting down, starting up
    "58": DOWN,  # system error
    "72": AGAIN,  # snapshot too old
    "F0": DOWN,  # configuration file error
    "HV": DOWN,  # foreign data wrapper error
    "XX": DOWN,  # internal error
}
"""All others are a row's: its data, its keys, what checks and triggers say, in codes of theirs."""

CODES: dict[str, Fault] = {
    "25006": LOST,  # read-only: a standby, or a primary that is none any more
    "25P03": LOST,  # idle in a transaction for too long: the server has hung up
    "40002": ROWS,  # a deferred constraint
    "42710": AGAIN,  # another one has made the table of notes at the same time
    "42P07": AGAIN,
    "53200": LARGE,  # out of memory
    "53300": LOST,  # too many connections
    "54001": DOWN,  # statement too complex
    "57014": LARGE,  # the statement took too long
}

NO_COPY = ("0A000", "42809")
"""A COPY into it cannot be had: row-level security, a view."""

STALE = ("0A", "26", "42")
"""Classes of what may be so because a table was altered, or a session is another one."""

OF_A_VALUE = ("42804", "42846", "42P18", "42883")
"""A parameter is of a type that its column does not take: of the row, where each has its own."""

_OF_CLIENT = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


def fault_of(error: BaseException) -> Fault | None:
    """Return what *error* means; None: it is none of PostgreSQL's, nor of a value."""
    if not isinstance(error, psycopg.Error):
        return ROWS if isinstance(error, _OF_CLIENT) else None
    state = error.sqlstate
    if state is None:  # of the client: a value that it cannot send, or a connection that is gone
        lost = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
        return LOST if lost else ROWS
    if state == "42501" and error.diag.source_function == "ExecWithCheckOptions":
        return ROWS  # a policy of row-level security, not a privilege that is missing
    return CODES.get(state) or CLASSES.get(state[:2], ROWS)


def words(error: BaseException) -> str:
    """Return what *error* says, in a line."""
    state = getattr(error, "sqlstate", None)
    said = " ".join(str(error).split()) or type(error).__name__
    return f"{said} (SQLSTATE {state})" if state else said
