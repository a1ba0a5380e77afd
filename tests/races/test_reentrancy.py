"""Writes from finalizers, signal handlers and logging handlers, in the middle of other writes."""

import gc
import itertools
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from bytecode import locked
from helpers import Buffers, in_thread, rounds, wait_until

import partitioned_buffer
from partitioned_buffer import BufferFull, BufferNotRunning, Map, Queue, Retry
from partitioned_buffer._core.buffer import registry
from partitioned_buffer._core.waiting.clock import SystemClock
from partitioned_buffer.testing import FakeClock, RecordingProcessor, assert_balanced


class Parting:
    """Writes when it is collected."""

    gone: ClassVar[list[None]] = []

    def __init__(self, write: Callable[[], object]) -> None:
        self.write = write
        self.cycle = self  # so that it takes the collector, at a moment of its own choosing

    def __del__(self) -> None:
        self.write()
        self.gone.append(None)

    @classmethod
    def collect(cls, count: int) -> None:
        """Wait until all *count* are gone: a collection in another thread makes ours do nothing."""
        wait_until(lambda: gc.collect() >= 0 and len(cls.gone) == count)
        cls.gone.clear()


@pytest.mark.parametrize("kind", ["queue", "map"])
def test_finalizers_may_write_in_the_middle_of_anything(
    kind: str, buffers: Buffers, clock: FakeClock
) -> None:
    numbers, times = itertools.count(), rounds(3000)
    buffer: Any = getattr(buffers, kind)(partitions=2, flush_at=50)

    def write() -> None:
        if kind == "queue":
            buffer.push(next(numbers))
        else:
            number = next(numbers)
            buffer.put_newer(number, number, 1)
            buffer.get(number)

    threshold = gc.get_threshold()
    gc.set_threshold(3)
    try:
        for _ in range(times):
            Parting(write)
            write()
            if kind == "map":
                buffer.get(0)
            len(buffer)
    finally:
        gc.set_threshold(*threshold)
    Parting.collect(times)
    buffer.flush()

    stats = buffer.stats()
    assert_balanced(stats)
    assert stats.delivered == stats.accepted == next(numbers) == 2 * times


def test_a_signal_handler_may_write_in_the_middle_of_a_write(
    buffers: Buffers, clock: FakeClock
) -> None:
    mapped = buffers.map(partitions=2)
    queue = buffers.queue(partitions=2, flush_at=10)
    handled = itertools.count()

    def handler(*_: object) -> None:
        number = next(handled)
        queue.push(("signal", number))
        mapped.put(("signal", number), number)
        mapped.get(("signal", number))
        ready.release()  # one at a time: a storm of signals would only test the stack

    before = signal.signal(signal.SIGUSR1, handler)
    done, ready = threading.Event(), threading.Semaphore(1)

    def shoot() -> None:
        while not done.is_set():
            if ready.acquire(timeout=0.1):
                os.kill(os.getpid(), signal.SIGUSR1)

    shooter = threading.Thread(target=shoot)
    try:
        shooter.start()
        for number in range(20_000):
            queue.push(number)
            mapped.put_newer(number, number, number)
            if not number % 100:
                mapped.size()
    finally:
        done.set()
        shooter.join()
        signal.signal(signal.SIGUSR1, before)
    queue.flush()
    mapped.flush()

    signals = next(handled)
    assert signals > 0
    for stats in (queue.stats(), mapped.stats()):
        assert_balanced(stats)
        assert stats.accepted == 20_000 + signals == stats.delivered + stats.coalesced


def test_a_logging_handler_may_push_into_the_buffer_that_logs(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    class Pusher(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            queue.push(record.message if hasattr(record, "message") else record.getMessage())

    queue = buffers.queue()
    log, pusher = logging.getLogger("partitioned_buffer"), Pusher()
    log.addHandler(pusher)
    try:
        queue.push("first")
        processor.fail(OSError())
        clock.advance(10.0)
    finally:
        log.removeHandler(pusher)

    assert processor.items[0] == "first"
    assert "processing failed" in processor.items[1]


def test_a_finalizer_that_writes_after_stop_is_refused(buffers: Buffers) -> None:
    refused: list[BaseException] = []
    queue = buffers.queue()
    queue.stop()

    def write() -> None:
        try:
            queue.push(1)
        except BufferNotRunning as error:
            refused.append(error)

    Parting(write)
    Parting.collect(1)

    assert len(refused) == 1


# --- buffers that are full ------------------------------------------------------

POLICIES = ["block", "raise", "drop_newest", "drop_oldest"]


def write_one(buffer: Any, item: object) -> None:
    if isinstance(buffer, Queue):
        buffer.push(item)
    else:
        buffer.put_newer(item, item, 1)


def write_two(buffer: Any, item: object) -> None:
    if isinstance(buffer, Queue):
        buffer.push_all([item, (item, 2)])
    else:
        buffer.put_all([(item, item), ((item, 2), item)])


def accepted_of(write: Callable[[Any, object], None], buffer: Any, item: object) -> int:
    """Write; return how much of it was accepted."""
    try:
        write(buffer, item)
    except BufferFull as full:  # between two tables, another write may have taken the room
        return int(str(full).startswith("1 of 2 items of this call were accepted"))
    return 2 if write is write_two else 1


@pytest.mark.parametrize("write", [write_one, write_two])
@pytest.mark.parametrize("bound", [{"max_size": 2}, {"max_bytes": 2, "size_of": lambda _: 1}])
@pytest.mark.parametrize("when_full", POLICIES)
@pytest.mark.parametrize("kind", [Queue, Map])
@pytest.mark.parametrize("begins", ["empty", "full"])
def test_a_write_may_be_interrupted_by_another_at_every_line_of_it(
    begins: str,
    kind: Any,
    when_full: Any,
    bound: Any,
    write: Callable[[Any, object], None],
) -> None:
    """A buffer with room for two never waits for the write that was interrupted."""
    buffer = kind("full", len, partitions=2, flush_at=1, when_full=when_full, **bound).start()
    finished, lines, written = threading.Event(), itertools.count(), 0

    def attempt(write: Callable[[Any, object], None], item: object) -> None:
        nonlocal written
        accepted = accepted_of(write, buffer, item)  # in which more may be written
        written += accepted

    def interrupt_at(line: int) -> Callable[..., Any]:
        def trace(frame: Any, event: str, _: object) -> Any:
            if "partitioned_buffer" not in frame.f_code.co_filename:
                return None
            if event != "line" or frame.f_lineno in locked(frame.f_code):
                return trace
            if next(lines) == line:
                attempt(write_one, ("interrupting", line))
                attempt(write_one, ("interrupting again", line))
            return trace

        return trace

    def interrupt_at_every_line() -> None:
        nonlocal lines
        seen, line = 1, -1
        while line < seen:  # a write that meets no interrupt any more is the last
            if begins == "empty":
                buffer.flush(timeout=60)
            line, lines = line + 1, itertools.count()
            sys.settrace(interrupt_at(line))
            attempt(write, ("interrupted", line))
            sys.settrace(None)
            seen = next(lines)
        finished.set()

    thread = threading.Thread(target=interrupt_at_every_line, daemon=True)
    thread.start()
    done = finished.wait(60)
    buffer.stop()

    stats = buffer.stats()
    assert_balanced(stats)
    assert done
    assert stats.accepted == written > 0
    assert stats.held == 0


@pytest.mark.parametrize("when_full", POLICIES)
@pytest.mark.parametrize("kind", ["queue", "map"])
def test_finalizers_may_write_to_a_full_buffer_in_the_middle_of_anything(
    kind: str, when_full: str, buffers: Buffers
) -> None:
    buffer: Any = getattr(buffers, kind)(
        partitions=2, flush_at=1, max_size=3, when_full=when_full, clock=SystemClock()
    )
    numbers, refused, times = itertools.count(), itertools.count(), rounds(2000)

    def write() -> None:
        try:
            write_one(buffer, next(numbers))
        except BufferFull:
            next(refused)

    threshold = gc.get_threshold()
    gc.set_threshold(3)
    try:
        for _ in range(times):
            Parting(write)
            write()
            len(buffer)
    finally:
        gc.set_threshold(*threshold)
    Parting.collect(times)
    buffer.flush(timeout=60)

    stats = buffer.stats()
    assert_balanced(stats)
    assert stats.accepted + next(refused) == next(numbers) == 2 * times


def test_a_signal_handler_does_not_wait_for_the_write_that_it_interrupted(
    buffers: Buffers, processor: RecordingProcessor
) -> None:
    """The one room that comes back belongs to the writer in line, who is below the handler."""
    queue = buffers.queue(flush_at=1, max_size=1, clock=SystemClock())
    outcomes: list[str] = []
    shots, hit = itertools.count(), threading.Event()

    def handler(*_: object) -> None:
        if next(shots):
            return
        try:
            queue.push("handler's")
        except BufferFull as error:
            outcomes.append(str(error))
        finally:
            processor.unblock()
            hit.set()

    def shoot() -> None:
        while not queue.stats().blocked:
            pass
        while not hit.is_set():  # a wait that is just beginning does not notice a signal
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
            hit.wait(0.05)

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        processor.block()
        queue.push("first")
        shooter = threading.Thread(target=shoot)
        shooter.start()
        queue.push("waits")
        shooter.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    queue.flush(timeout=60)

    assert len(outcomes) == 1
    assert outcomes[0].endswith("would wait for itself")
    assert processor.items == ["first", "waits"]
    assert queue.stats().delivered == queue.stats().accepted == 2


def test_a_logging_handler_that_finds_the_buffer_that_logs_full_does_not_wait(
    buffers: Buffers, processor: RecordingProcessor
) -> None:
    refused: list[BaseException] = []

    class Pusher(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            try:
                queue.push(record.getMessage())
            except BufferFull as error:
                refused.append(error)

    processor.fail(OSError("down"))
    log, pusher = logging.getLogger("partitioned_buffer"), Pusher()
    at_once = Retry(wait_initial=0.0)
    queue = buffers.queue(max_size=1, clock=SystemClock(), retry=at_once)
    log.addHandler(pusher)
    try:
        queue.push("first")
        queue.flush(timeout=60)
    finally:
        log.removeHandler(pusher)

    assert len(refused) == 1
    assert processor.items == ["first"]
    assert_balanced(queue.stats())
    assert queue.stats().delivered == 1


def replaced(call: Any, last: Any) -> None:
    call("put")("k", last())
    call("put")("k", None)


def replaced_among_many(call: Any, last: Any) -> None:
    call("put")("k", last())
    call("put_all")({"k": None, "l": None})


def deleted(call: Any, last: Any) -> None:
    call("put")("k", last())
    call("delete")("k")


def dropped(call: Any, last: Any) -> None:
    call("push")(last())
    call("push_all")(range(3))


@pytest.mark.both_faces
@pytest.mark.parametrize(
    ("kind", "let_go", "options"),
    [
        ("map", replaced, {}),
        ("map", replaced, {"max_size": 3}),
        ("map", replaced_among_many, {"max_bytes": 3, "size_of": lambda _: 1}),
        ("map", deleted, {"max_size": 3}),
        ("queue", dropped, {"max_size": 3, "flush_at": 1, "when_full": "drop_oldest"}),
    ],
)
def test_a_finalizer_that_waits_for_room_elsewhere_waits_with_nothing_in_hand(
    kind: str,
    let_go: Any,
    options: dict[str, Any],
    buffers: Buffers,
    processor: RecordingProcessor,
) -> None:
    first, full = getattr(buffers, kind)(**options), RecordingProcessor()
    if kind == "queue":  # whose worker must not take what is to be dropped
        processor.block()
        first.push("busy")
        wait_until(lambda: first.stats().in_flight == 1)
    other = Queue[str]("elsewhere", full, partitions=1, max_size=1).start()
    full.block()
    other.push("full")

    class Last:
        def __del__(self) -> None:
            other.push("gone")

    inner = getattr(first, "buffer", first)  # which any thread may write to

    def call(name: str) -> Any:
        return getattr(inner, f"{name}_nowait", None) or getattr(inner, name)

    thread, outcome = in_thread(lambda: let_go(call, Last))
    wait_until(lambda: other.stats().blocked == 1)

    assert first.size() <= 3  # and whatever else takes the lock
    assert_balanced(first.stats())
    call("push" if kind == "queue" else "get")("k")
    processor.unblock()
    first.stop()
    assert other.stats().blocked == 1
    full.unblock()
    thread.join(60)
    assert not thread.is_alive()
    assert other.stop().left == ()
    assert full.items == ["full", "gone"]
    assert outcome[0] is None or isinstance(outcome[0], BufferNotRunning)  # its next item's


def test_a_finalizer_may_look_a_buffer_up_in_the_middle_of_a_look_up(buffers: Buffers) -> None:
    queue = buffers.queue(name="looked up")

    with registry._names:  # as in the middle of `get()`
        Parting(lambda: partitioned_buffer.get("looked up", Queue).push(1))
        Parting.collect(1)

    queue.flush()
    assert_balanced(queue.stats())
    assert queue.stats().accepted == 1
