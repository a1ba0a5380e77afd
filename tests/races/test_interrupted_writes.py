"""Writes that are interrupted by an exception: it comes out of them, and nobody else notices."""

import asyncio
import itertools
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any

import pytest
from bytecode import locked
from helpers import Buffers, unwoken

from partitioned_buffer import AsyncMap, BufferFull, Entry, Map, Queue
from partitioned_buffer._core.waiting.clock import SystemClock
from partitioned_buffer.events import ItemsDropped
from partitioned_buffer.testing import (
    FakeClock,
    RecordingHook,
    RecordingProcessor,
    assert_balanced,
)


class TimeIsUp(Exception):
    """What a handler of signals raises, as task queues' soft limits do."""


def raise_it(*_: object) -> None:
    raise TimeIsUp


# --- a signal in the middle of the user's own code -------------------------------


class Adding:
    """A merge, or a key, or a size, in which a signal comes."""

    def __init__(self) -> None:
        self.armed = ""

    def signal(self, where: str) -> None:
        if self.armed == where:
            self.armed = ""
            signal.raise_signal(signal.SIGUSR1)

    def merge(self, old: int, new: int) -> int:
        self.signal("merge")
        return old + new

    def size_of(self, _: object) -> int:
        self.signal("size_of")
        return 1


class Key:
    def __init__(self, adding: Adding) -> None:
        self.adding = adding

    def __hash__(self) -> int:
        self.adding.signal("hash")
        return 7

    def __eq__(self, other: object) -> bool:
        self.adding.signal("eq")
        return isinstance(other, Key)


WHERE = ["merge", "size_of", "hash", "eq"]
needs_signals = pytest.mark.skipif(sys.platform == "win32", reason="has no such signal")


def write_in_spite_of(adding: Adding, where: str, put: Callable[[Any, int], object]) -> None:
    """Write 1, 2, 3 and 4 under equal keys; a signal comes in the middle of the third."""
    before = signal.signal(signal.SIGUSR1, raise_it)
    try:
        put(Key(adding), 1)
        put(Key(adding), 2)
        adding.armed = where
        with pytest.raises(TimeIsUp):
            put(Key(adding), 3)
        assert not adding.armed
        put(Key(adding), 4)
    finally:
        signal.signal(signal.SIGUSR1, before)


@needs_signals
@pytest.mark.parametrize("where", WHERE)
def test_what_a_handler_raises_in_a_write_comes_out_of_it_alone(
    where: str, buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    adding, hook = Adding(), RecordingHook()
    mapped = buffers.map(merge=adding.merge, size_of=adding.size_of, max_bytes=99, hooks=[hook])
    mapped.put("innocent", 1)
    write_in_spite_of(adding, where, mapped.put)
    clock.advance(5.0)

    assert [entry.value for entry in processor.items] == [1, 1 + 2 + 4]
    stats = mapped.stats()
    assert (stats.accepted, stats.coalesced, stats.dropped) == (4, 2, 0)
    assert not [event for event in hook.events if isinstance(event, ItemsDropped)]


@needs_signals
@pytest.mark.parametrize("where", WHERE)
def test_so_it_does_in_a_task(where: str) -> None:
    adding, got = Adding(), list[Entry[Any, int]]()

    async def live() -> None:
        options: dict[str, Any] = {"merge": adding.merge, "size_of": adding.size_of}
        async with AsyncMap("hits", got.extend, partitions=1, max_bytes=99, **options) as mapped:
            mapped.put_nowait("innocent", 1)
            write_in_spite_of(adding, where, mapped.put_nowait)
        assert_balanced(mapped.stats())
        assert (mapped.stats().accepted, mapped.stats().dropped) == (4, 0)

    asyncio.run(live())

    assert [entry.value for entry in got] == [1, 1 + 2 + 4]


# --- at any line ------------------------------------------------------------------


class Interrupting:
    """A tracer that raises before the n-th line of the library, as a signal's handler may."""

    def __init__(self, line: int) -> None:
        self.left, self.hit = line, False

    def __call__(self, frame: Any, event: str, _: object) -> Any:
        code = frame.f_code
        if "partitioned_buffer" not in code.co_filename or "tests" in code.co_filename:
            return None
        # Where a lock is held, and in what has been raised already, no handler comes.
        if event == "line" and not self.hit and frame.f_lineno not in locked(code):
            self.left -= 1
            if self.left < 0:
                self.hit = True
                raise TimeIsUp
        return self


def write_one(buffer: Any, number: int) -> None:
    if isinstance(buffer, Queue):
        buffer.push(number)
    else:
        buffer.put(number, number)


def write_many(buffer: Any, number: int) -> None:
    if isinstance(buffer, Queue):
        buffer.push_all([number, -number - 1])
    else:
        buffer.put_all({number: 1, -number - 1: 1})


def interrupted_at_every_line(write: Callable[[], object], then: Callable[[bool], object]) -> None:
    for line in itertools.count():
        interrupting, returned = Interrupting(line), True
        sys.settrace(interrupting)
        try:
            write()
        except TimeIsUp:
            returned = False
        finally:
            sys.settrace(None)
        then(returned)  # when what was raised is gone, and the frames that it held
        if not interrupting.hit:
            return


@pytest.mark.parametrize("write", [write_one, write_many])
@pytest.mark.parametrize("bound", [{"max_size": 8}, {"max_bytes": 8, "size_of": lambda _: 1}])
@pytest.mark.parametrize("kind", [Queue, Map])
def test_an_interrupted_write_keeps_no_room(
    kind: Any, bound: dict[str, Any], write: Any, clock: FakeClock, processor: RecordingProcessor
) -> None:
    options: dict[str, Any] = {"clock": clock, "partitions": 2, "when_full": "raise", **bound}
    buffer = unwoken(kind("interrupted", processor, **options).start())
    numbers = itertools.count(1)

    def look(returned: bool) -> None:
        room, held = buffer._admission.room, buffer.size()
        assert_balanced(buffer.stats())
        assert held in ((1, 2) if returned else (0, 1, 2))
        assert (room.used, room.recount()[0]) == (held, held)
        buffer.flush()
        assert (room.used, room.used_bytes, room.line) == (0, 0, 0)

    interrupted_at_every_line(lambda: write(buffer, next(numbers)), look)

    for _ in range(8):
        write_one(buffer, next(numbers))
    with pytest.raises(BufferFull):
        write_one(buffer, next(numbers))
    assert buffer.size() == 8
    buffer.stop()


@pytest.mark.parametrize("write", [write_one, write_many])
@pytest.mark.parametrize("kind", [Queue, Map])
def test_a_write_that_is_interrupted_in_line_stands_there_no_more(
    kind: Any, write: Any, clock: FakeClock, processor: RecordingProcessor
) -> None:
    """It waits for room that comes, as its worker is woken by who waits."""
    options: dict[str, Any] = {"clock": SystemClock(), "max_size": 2, "block_timeout": 60.0}
    buffer = kind("in line", processor, partitions=1, **options).start()
    room, numbers = buffer._admission.room, itertools.count(1)

    def full_write() -> None:
        write_one(buffer, next(numbers))
        write_one(buffer, next(numbers))
        write(buffer, next(numbers))

    def look(_returned: bool) -> None:
        assert buffer.stats().blocked == 0
        assert_balanced(buffer.stats())
        buffer.flush(timeout=60)
        write_many(buffer, next(numbers))  # whom nobody is before
        assert (room.used, room.recount(), room.line) == (2, (2, 0), 0)
        buffer.flush(timeout=60)

    interrupted_at_every_line(full_write, look)

    assert buffer.stop().left == ()


# --- near the end of the stack ----------------------------------------------------


@dataclass(frozen=True)
class Name:
    number: int


def plus(old: int, new: int) -> int:
    return sum((old, new))


def deep(levels: int, call: Callable[[], object]) -> object:
    return deep(levels - 1, call) if levels else call()


def levels_left() -> int:
    frame: FrameType | None = sys._getframe()
    used = 0
    while frame is not None:
        frame, used = frame.f_back, used + 1
    return sys.getrecursionlimit() - used


@pytest.mark.parametrize("bound", [{}, {"max_size": 1000}])
@pytest.mark.parametrize("what", ["merge", "key"])
def test_a_writer_at_the_end_of_its_stack_hurts_only_itself(
    what: str,
    bound: dict[str, Any],
    buffers: Buffers,
    clock: FakeClock,
    processor: RecordingProcessor,
) -> None:
    before, mapped = 20, buffers.map(merge=plus, **bound)
    write: Callable[[int], object] = {
        "merge": lambda number: mapped.put("sum", number),
        "key": lambda number: mapped.put(Name(number % 5), number),
    }[what]
    for _ in range(before):
        write(1)
    refused, made = 0, 0
    for margin in range(40, 0, -1):
        try:
            deep(levels_left() - margin, lambda: write(1))
            made += 1
        except RecursionError:
            refused += 1
        assert mapped.stats().accepted == before + made
    clock.advance(5.0)

    assert refused > 0
    assert made > 0
    assert sum(entry.value for entry in processor.items) == before + made
    assert mapped.stats().dropped == 0
