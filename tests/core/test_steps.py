"""
The twin's steps, looked at between any two lines: as tracers do, and other threads without the GIL.

In a zone the lock is held, elsewhere nobody holds it; and wherever it is free, the ledger, the room
and what is held agree.
"""

import inspect
import sys
from collections.abc import Callable
from contextlib import nullcontext
from functools import cache
from types import CodeType, FrameType
from typing import Any

import pytest
from bytecode import locked, zones
from implementations import balanced, load
from table_calls import CASES, WORKER, Subject

TABLES = "partitioned_buffer/_core/tables/"


class CountingLock(nullcontext[None]):
    """Counts how often it is held, but for copies, which are made with it where there is no GIL."""

    def __init__(self, held: int = 0) -> None:
        super().__init__()
        self.held = held

    def add(self, number: int) -> None:
        self.held += number

    take: Any = property(lambda self: self.add(1))
    free: Any = property(lambda self: self.add(-1))


@cache
def zones_of(code: CodeType) -> list[range]:
    return zones("".join(inspect.findsource(code)[0]))


def in_zone(frame: FrameType) -> bool:
    return any(frame.f_lineno in zone for zone in zones_of(frame.f_code))


class Looking:
    """A tracer that looks at a table before each line of its code."""

    def __init__(self, subject: Subject, lock: CountingLock) -> None:
        self.subject, self.lock = subject, lock
        self.wrong: list[str] = []

    def __call__(self, frame: FrameType, event: str, _: object) -> Any:
        if TABLES not in frame.f_code.co_filename.replace("\\", "/"):
            return None
        trouble = self.trouble(frame) if event == "line" else None
        if trouble:
            self.wrong.append(f"{frame.f_code.co_qualname}, line {frame.f_lineno}: {trouble}")
        return self

    def trouble(self, frame: FrameType) -> str | None:
        table, room, held = self.subject.table, self.subject.room, self.lock.held
        if in_zone(frame):
            return None if held == 1 else f"in a zone with the lock held {held} times"
        if held:
            return None if frame.f_lineno in locked(frame.f_code) else "with a lock in hand"
        if not balanced(table):
            return f"the ledger: {table.counts()}"
        if room is not None and (room.used, room.used_bytes) != room.recount():
            return f"the room: {room.used, room.used_bytes} for {room.recount()}"
        return None


def traced(tracer: Any, call: Callable[[Subject], Any], subject: Subject) -> None:
    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        call(subject)
    finally:
        sys.settrace(before)


def looked_at(subject: Subject, lock: CountingLock, call: Callable[[Subject], Any]) -> list[str]:
    """Return what was wrong in the middle of *call*."""
    subject.table._lock = lock
    looking = Looking(subject, lock)
    traced(looking, call, subject)
    return looking.wrong


@pytest.mark.parametrize(
    ("kind", "setup", "how", "call"),
    [pytest.param(kind, *case, id=f"{kind}: {name}") for kind, name, *case in CASES],
)
def test_between_any_two_lines_all_is_whole(kind: str, setup: str, how: Any, call: Any) -> None:
    subject, lock = Subject(load("python"), kind, setup, **how), CountingLock()

    assert looked_at(subject, lock, call) == []
    assert lock.held == 0


class Writing:
    """A tracer that writes before one line, as another thread does that can have the lock."""

    def __init__(self, subject: Subject, at: int) -> None:
        self._subject, self._at, self.lines = subject, at, 0

    def __call__(self, frame: FrameType, event: str, _: object) -> Any:
        if TABLES not in frame.f_code.co_filename.replace("\\", "/"):
            return None
        if event == "line" and not in_zone(frame) and frame.f_lineno not in locked(frame.f_code):
            self.lines += 1
            if self.lines == self._at:
                self._subject.write_more()
        return self


def written_at(subject: Subject, at: int, call: Callable[[Subject], Any]) -> int:
    """Have *call* met by writes before that line; return how many lines it had."""
    writing = Writing(subject, at)
    traced(writing, call, subject)
    return writing.lines


DROPPING = {"bounds": (15, None), "when_full": "drop_oldest"}
FULL = [
    (kind, f"{name}, full", f"{setup} full", DROPPING, call)
    for kind in ("Queue", "Map")
    for name, (setup, _, call) in WORKER.items()
]
"""Where what others write drops what is oldest."""


@pytest.mark.parametrize(
    ("kind", "setup", "how", "call"),
    [pytest.param(kind, *case, id=f"{kind}: {name}") for kind, name, *case in CASES + FULL],
)
def test_others_may_write_between_any_two_lines(kind: str, setup: str, how: Any, call: Any) -> None:
    """And once more afterwards, when they find what the call left."""
    made, wrong = load("python"), list[str]()
    lines = written_at(Subject(made, kind, setup, **how), 0, call)
    for at in range(1, lines + 1):
        subject = Subject(made, kind, setup, **how)
        written_at(subject, at, call)
        subject.write_more()
        trouble = subject.trouble()
        if trouble:
            wrong.append(f"line {at} of {lines}: {trouble}")
    assert wrong == []


@pytest.mark.parametrize(
    ("what", "held", "accepted", "used"),
    [
        ("in a zone with the lock held 2 times", 1, 0, 0),
        ("the ledger", 0, 1, 0),
        ("the room", 0, 0, 1),
    ],
)
def test_what_is_not_whole_is_seen(what: str, held: int, accepted: int, used: int) -> None:
    subject: Any = Subject(load("python"), "Queue")
    subject.table._accepted += accepted
    subject.room.used += used

    wrong = looked_at(subject, CountingLock(held), lambda s: s.table.push(7, 3))

    assert any(what in each for each in wrong)
