"""
What the steps of a batch ask of a connection, and how a connection does it.

Each command is one wait for the server, which ends in time, whatever becomes of it.
"""

import asyncio
import socket
from collections.abc import Generator, Sequence
from typing import Any, NamedTuple, TypeVar

import psycopg

from .alarm import ALARM, hang_up
from .fitting import Row


class Run(NamedTuple):
    """Statements without values, or one with; answered by its rows, if it has any."""

    text: str
    values: tuple[Any, ...] | None = None


class Copy(NamedTuple):
    """A COPY, in binary, of rows whose columns have these types."""

    text: str
    types: Sequence[int]
    rows: Sequence[Row]


class Many(NamedTuple):
    """A statement for each row."""

    text: str
    rows: Sequence[Row]


Command = Run | Copy | Many
T = TypeVar("T")
Steps = Generator[Command, Any, T]


def follow(steps: Steps[T], cursor: psycopg.Cursor[Any], line: socket.socket, seconds: float) -> T:
    """Do what *steps* ask for; return what they return."""
    answer: Any = None
    error: BaseException | None = None
    while True:
        try:
            command = steps.send(answer) if error is None else steps.throw(error)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        answer = error = None
        token = ALARM.arm(line, seconds)
        try:
            answer = _done(cursor, command)
        except Exception as raised:
            error = raised
        if ALARM.disarm(token) and error is not None:
            error = _silence(seconds, error)


def _done(cursor: psycopg.Cursor[Any], command: Command) -> Any:
    text: Any = command.text  # psycopg would have a literal; names in it are quoted
    if isinstance(command, Copy):
        with cursor.copy(text) as copy:
            copy.set_types(command.types)
            write = copy.write_row
            for row in command.rows:
                write(row)
        return None
    if isinstance(command, Many):
        return cursor.executemany(text, command.rows)
    cursor.execute(text, command.values, prepare=None if command.values else False)
    return cursor.fetchall() if command.values and cursor.description else []


async def follow_async(
    steps: Steps[T], cursor: psycopg.AsyncCursor[Any], line: socket.socket, seconds: float
) -> T:
    """Do what *steps* ask for; return what they return."""
    loop, answer = asyncio.get_running_loop(), None
    error: BaseException | None = None
    while True:
        try:
            command = steps.send(answer) if error is None else steps.throw(error)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        answer = error = None
        end_at = loop.time() + seconds
        alarm = loop.call_at(end_at, hang_up, line)
        try:
            answer = await _done_async(cursor, command)
        except Exception as raised:
            error = raised
        finally:
            alarm.cancel()
        if error is not None and loop.time() >= end_at:
            error = _silence(seconds, error)


async def _done_async(cursor: psycopg.AsyncCursor[Any], command: Command) -> Any:
    text: Any = command.text  # psycopg would have a literal; names in it are quoted
    if isinstance(command, Copy):
        async with cursor.copy(text) as copy:
            copy.set_types(command.types)
            write = copy.write_row
            for row in command.rows:
                await write(row)
        return None
    if isinstance(command, Many):
        return await cursor.executemany(text, command.rows)
    await cursor.execute(text, command.values, prepare=None if command.values else False)
    return await cursor.fetchall() if command.values and cursor.description else []


def _silence(seconds: float, error: BaseException) -> BaseException:
    silence = psycopg.OperationalError(f"no answer in {seconds:g} seconds")
    silence.__cause__ = error
    return silence
