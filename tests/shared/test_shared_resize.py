"""Workers go on with another number of partitions, more or fewer."""

import itertools
import threading
from typing import Any

import pytest
from helpers import in_thread, wait_until
from shares import Shares

from partitioned_buffer import Queue
from partitioned_buffer.testing import RecordingProcessor
from partitioned_buffer.testing.sharing import SharedDict


@pytest.mark.parametrize(("before", "after"), [(4, 7), (7, 3), (1, 5)])
def test_all_partitions_of_the_next_layout_are_delivered(before: int, after: int) -> None:
    shared, got, lock = SharedDict(partitions=before, lease=3.0), list[int](), threading.Lock()

    def process(batch: list[Any]) -> None:
        with lock:
            got.extend(batch)

    workers = [
        Queue(f"worker-{before}-{n}", process, storage=shared.another()).start() for n in range(2)
    ]
    writer = Queue[int](f"writer-{before}", storage=shared.another(), partition_key=abs).start()
    for number in range(100):
        writer.push(number)
    writer.flush(timeout=10)
    shared.resize(after)
    for number in range(100, 200):
        writer.push(number)

    writer.flush(timeout=10)

    assert sorted(got) == list(range(200))
    for each in (writer, *workers):
        each.stop(timeout=5)


def looked_at(shares: Shares, made: Any, times: int = 3) -> None:
    """Let the clerk of *made* look at the server some times."""
    clerk = made._admission.sharing.clerk
    for _ in range(times):
        before = clerk.looked_at
        shares.seen(lambda before=before: clerk.looked_at != before)  # type: ignore[misc]


def flushing(shares: Shares, made: Any) -> tuple[threading.Thread, list[Any]]:
    """Have a flush wait for what is on the server now."""
    thread, outcome = in_thread(lambda: made.flush(3600.0))
    flushes = made._admission.sharing.clerk._flushes
    wait_until(lambda: len(flushes) == 1)
    shares.seen(lambda: bool(flushes[0].targets))
    return thread, outcome


@pytest.mark.both_faces
@pytest.mark.parametrize("sizes", [(3,), (7,), (3, 2)])
@pytest.mark.parametrize("flying", [False, True])
def test_a_flush_waits_for_what_has_moved_meanwhile(
    shares: Shares, processor: RecordingProcessor, sizes: list[int], flying: bool
) -> None:
    shares.new(partitions=4)
    writer = shares.map()
    writer.put_all({key: key for key in range(40)})
    shares.holds(40)
    if flying:
        _left_in_flight(shares)
    held = shares.shared.held()
    thread, outcome = flushing(shares, writer)
    for size in sizes:
        shares.shared.resize(size)
        looked_at(shares, writer)
        assert thread.is_alive(), "nobody has delivered anything yet"
    shares.map_elsewhere(processor, processing_batch_size=5)
    shares.seen(lambda: not thread.is_alive())
    assert outcome == [None]
    assert len(processor.items) == held


def _left_in_flight(shares: Shares) -> None:
    """Have a worker come and go in the middle of swaps."""
    calls = itertools.count()

    def process(_batch: Any) -> None:
        if next(calls):
            raise OSError

    worker = shares.map_elsewhere(process, processing_batch_size=1)
    shares.seen(lambda: shares.shared.held() == 39 and len(shares.shared.flying()) > 1)
    worker.stop(5.0)


@pytest.mark.both_faces
def test_a_flush_does_not_wait_for_what_comes_after_the_next_layout(shares: Shares) -> None:
    shares.new(partitions=4)
    writer = shares.map()
    writer.put("a", 1)
    shares.holds(1)
    thread, outcome = flushing(shares, writer)
    shares.shared.resize(1)
    looked_at(shares, writer)
    one = RecordingProcessor()

    def more(batch: list[Any]) -> None:
        one(batch)
        writer.put("more", len(one.items)) if len(one.items) < 50 else None

    shares.map_elsewhere(more)
    shares.seen(lambda: not thread.is_alive())
    assert outcome == [None]
    assert "a" in [entry.key for entry in one.items]
