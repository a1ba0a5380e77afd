"""What each error of PostgreSQL means."""

from typing import Any

import psycopg
import pytest

from partitioned_buffer.sinks.postgres.faults import (
    AGAIN,
    CLASSES,
    CODES,
    DOWN,
    LARGE,
    LOST,
    ROWS,
    fault_of,
    words,
)

MEANT = {
    ROWS: "20000 21000 22001 22003 22007 22021 22P02 22P03 23502 23503 23505 23514 23P01 27000 "
    "38000 39000 40002 44000 54000 P0001 P0002 U1234",
    AGAIN: "40001 40P01 40003 42710 42P07 72000",
    LARGE: "57014 53200",
    LOST: "08000 08003 08006 57P01 57P02 57P03 57P05 25006 25P03 53300",
    DOWN: "0A000 25P02 26000 28000 28P01 3D000 3F000 42501 42601 42703 42804 42P01 53100 53400 "
    "54001 55000 55006 55P03 58030 F0000 HV000 XX000 XX001",
}
CASES = [(state, fault) for fault, states in MEANT.items() for state in states.split()]


class Error(psycopg.Error):
    """One of the server's, of any SQLSTATE."""

    def __init__(self, state: str | None, source_function: str | None = None) -> None:
        super().__init__("said the server")
        self.sqlstate = state
        self._function = source_function

    @property
    def diag(self) -> Any:
        return type("Diagnostic", (), {"source_function": self._function})()


@pytest.mark.parametrize(("state", "fault"), CASES, ids=[state for state, _ in CASES])
def test_an_sqlstate_means(state: str, fault: str) -> None:
    assert fault_of(Error(state)) == fault


def test_every_class_and_code_of_the_table_is_asked_for() -> None:
    states = {state for state, _ in CASES}
    unasked = set(CLASSES) - {state[:2] for state in states}
    assert unasked <= {"0B", "2B", "2D", "34", "3B"}  # which no statement of ours can lead to
    assert set(CODES) <= states


def test_no_error_that_psycopg_knows_is_rejected_for_its_class_alone() -> None:
    """Those of a row are these classes; a new one has to be looked at."""
    found = {
        error.sqlstate[:2]
        for error in vars(psycopg.errors).values()
        if isinstance(error, type) and issubclass(error, psycopg.Error) and error.sqlstate
    }
    rows = {each for each in found if fault_of(Error(f"{each}xyz")) == ROWS}
    assert rows == set("02 03 09 0F 0L 0P 0Z 10 20 21 22 23 24 27 2F 38 39 44 54 P0".split())


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (psycopg.OperationalError("no route"), LOST),
        (psycopg.InterfaceError("the connection is closed"), LOST),
        (psycopg.DataError("NUL"), ROWS),
        (psycopg.ProgrammingError("cannot adapt"), ROWS),
        (TypeError("no number"), ROWS),
        (AttributeError("no tzinfo"), ROWS),
        (OverflowError("too great"), ROWS),
        (MemoryError(), None),
        (OSError("of nobody knows whom"), None),
    ],
    ids=repr,
)
def test_an_error_of_the_client_means(error: Exception, fault: str | None) -> None:
    assert fault_of(error) == fault


def test_a_row_that_a_policy_refuses_is_no_missing_privilege() -> None:
    assert fault_of(Error("42501", "ExecWithCheckOptions")) == ROWS
    assert fault_of(Error("42501", "aclcheck_error")) == DOWN


def test_words_are_a_line() -> None:
    assert words(Error("42P01")) == "said the server (SQLSTATE 42P01)"
    assert words(psycopg.OperationalError("no\n\troute ")) == "no route"
    assert words(psycopg.OperationalError()) == "OperationalError"
