"""
Many writers against a swap every millisecond: nothing lost, nothing twice, order kept.

Every interpreter runs this; on a free-threaded one it is the proof that the hot
path does not lean on the GIL. How long each case hammers is set by the
environment variable `STRESS_SECONDS` (2 unless set).
"""

import contextlib
import os
import threading
import time
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from helpers import KINDS

from partitioned_buffer import BufferNotRunning, Entry, Map, Queue
from partitioned_buffer.testing import assert_balanced

SECONDS = float(os.environ.get("STRESS_SECONDS", "2"))
WRITERS = 8

pytestmark = pytest.mark.stress


def hammer(write: Callable[[int, int], None], until: Callable[[], bool]) -> list[int]:
    """Let each writer count up until told; return how far each came."""
    counts = [0] * WRITERS
    gate = threading.Barrier(WRITERS)

    def writer(me: int) -> None:
        gate.wait()
        number = 0
        try:
            while number % 64 or not until():
                write(me, number)
                number += 1
        except BufferNotRunning:
            pass
        counts[me] = number

    threads = [threading.Thread(target=writer, args=(me,)) for me in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return counts


def for_a_while() -> Callable[[], bool]:
    end = time.monotonic() + SECONDS
    return lambda: time.monotonic() >= end


class Collector:
    """Keeps what each worker thread was given; one thread per partition, so that is its order."""

    def __init__(self, make: Callable[[], Any] = list) -> None:
        self.by_thread: dict[int, Any] = defaultdict(make)

    def __call__(self, batch: list[Any]) -> None:
        self.by_thread[threading.get_ident()].extend(batch)


@contextlib.contextmanager
def watched(buffer: Queue[Any] | Map[Any, Any]) -> Iterator[None]:
    """Look at the ledger all the while: it has to hold at every instant."""
    done = threading.Event()
    unbalanced: list[Any] = []

    def watch() -> None:
        while not done.wait(0.01):
            stats = buffer.stats()
            if not all(part.balanced for part in (stats, *stats.partitions)):
                unbalanced.append(stats)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
    assert unbalanced == []


def run(
    buffer: Queue[Any] | Map[Any, Any], write: Callable[[int, int], None], ending: str
) -> list[int]:
    """Hammer *buffer* to one of two endings; return how far each writer came."""
    with buffer, watched(buffer):
        if ending == "writers first":
            return hammer(write, for_a_while())
        stopper = threading.Timer(SECONDS, buffer.stop)
        stopper.start()
        counts = hammer(write, lambda: False)
        stopper.join()
        return counts


@pytest.mark.parametrize(
    ("kind", "partitions"), [("threads", n) for n in (1, 2, 8)] + [("tasks", 2)]
)
@pytest.mark.parametrize("ending", ["writers first", "stop under load"])
def test_queue(kind: str, partitions: int, ending: str) -> None:
    collect = Collector(lambda: array("q"))
    queue = KINDS[kind]["queue"](
        "stress",
        collect,
        partitions=partitions,
        processing_interval=0.001,
        processing_batch_size=500,
    )

    push, push_all = (
        (queue.push, queue.push_all)
        if kind == "threads"
        else (queue.push_nowait, queue.push_all_nowait)
    )

    def write(me: int, number: int) -> None:
        item = number * WRITERS + me
        if number % 3:
            push(item)
        else:
            push_all([item])

    counts = run(queue, write, ending)

    seen = bytearray(max(counts) * WRITERS)
    for items in collect.by_thread.values():
        last = [-1] * WRITERS
        for item in items:
            seen[item] += 1
            me = item % WRITERS
            if item <= last[me]:
                pytest.fail("a producer's items changed places in a partition")
            last[me] = item
    for me, count in enumerate(counts):
        assert seen[me::WRITERS] == b"\x01" * count + bytes(max(counts) - count)
    stats = queue.stats()
    assert_balanced(stats)
    assert stats.accepted == stats.delivered == sum(counts)


@pytest.mark.parametrize("partitions", [1, 2, 8])
@pytest.mark.parametrize("ending", ["writers first", "stop under load"])
def test_map(partitions: int, ending: str) -> None:
    collect = Collector()
    mapped = Map[Any, int](
        "stress",
        collect,
        partitions=partitions,
        processing_interval=0.001,
        processing_batch_size=500,
    )

    def write(me: int, number: int) -> None:
        # Keys written once, plain and versioned; one key that all contest; one often overwritten.
        match number % 4:
            case 0:
                mapped.put(("plain", me, number), number)
            case 1:
                mapped.put_newer(("newer", me, number), number, number)
            case 2:
                mapped.put_newer("contested", number * WRITERS + me, number * WRITERS + me)
            case _:
                mapped.put(("fleeting", me), number)

    counts = run(mapped, write, ending)

    entries: list[Entry[Any, int]] = [e for part in collect.by_thread.values() for e in part]
    once = Counter(e.key for e in entries if e.key[0] in ("plain", "newer"))
    expected = {("plain", me, n) for me, count in enumerate(counts) for n in range(0, count, 4)}
    expected |= {("newer", me, n) for me, count in enumerate(counts) for n in range(1, count, 4)}
    assert set(once) == expected
    assert set(once.values()) <= {1}
    contested = [entry.version for entry in entries if entry.key == "contested"]
    assert contested == sorted(set(contested)), "a version went backwards"
    newest = max(n * WRITERS + me for me, c in enumerate(counts) for n in range(2, c, 4))
    assert contested[-1] == newest
    stats = mapped.stats()
    assert_balanced(stats)
    assert stats.accepted == sum(counts)
    assert stats.delivered == len(entries)


def test_readers_see_their_own_writes_under_load() -> None:
    wrong: list[Any] = []
    mapped = Map[Any, int]("stress", Collector(), partitions=2, processing_interval=0.001).start()

    def write(me: int, number: int) -> None:
        mapped.put(me, number)
        seen = mapped.get(me, -1)
        if seen not in (number, -1):  # -1: delivered already
            wrong.append((me, number, seen))

    hammer(write, for_a_while())
    mapped.stop()

    assert wrong == []
    assert_balanced(mapped.stats())
