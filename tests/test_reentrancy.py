"""Writes from finalizers, signal handlers and logging handlers, in the middle of other writes."""

import gc
import itertools
import logging
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest
from helpers import Buffers

from partitioned_buffer import BufferNotRunning
from partitioned_buffer._queue_table import QueueTable
from partitioned_buffer.testing import FakeClock, RecordingProcessor, assert_balanced


class Parting:
    """Writes when it is collected."""

    def __init__(self, write: Callable[[], object]) -> None:
        self.write = write
        self.cycle = self  # so that it takes the collector, at a moment of its own choosing

    def __del__(self) -> None:
        self.write()


@pytest.mark.parametrize("kind", ["queue", "map"])
def test_finalizers_may_write_in_the_middle_of_anything(
    kind: str, buffers: Buffers, clock: FakeClock
) -> None:
    numbers = itertools.count()
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
        for _ in range(3000):
            Parting(write)
            write()
            if kind == "map":
                buffer.get(0)
            len(buffer)
    finally:
        gc.set_threshold(*threshold)
    gc.collect()
    buffer.flush()

    stats = buffer.stats()
    assert_balanced(stats)
    assert stats.delivered == stats.accepted == next(numbers) == 6000


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


def test_a_write_taken_back_in_the_middle_of_a_swap_takes_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A finalizer that writes to a closing table, while that table is being swapped."""
    table: QueueTable[str] = QueueTable()
    table.open(lambda: None, None, 0.0)

    class Interrupted(list[str]):
        def __delitem__(self, index: Any) -> None:
            if isinstance(index, slice) and index.start is None:
                table.waiting.append("another writer's")
                table.waiting.append("same")
                assert not table.attend(("same",))
            super().__delitem__(index)

    table.waiting = Interrupted(["same", "other", "same"])
    table.close()

    assert table.swap(0.0, seal=True) == 3
    assert table.take(None) == ["same", "other", "same"]
    assert table.waiting == ["another writer's"]


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
    gc.collect()

    assert len(refused) == 1
