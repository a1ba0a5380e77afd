"""Forks while other threads write lose nothing, and repeat nothing."""

import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from forks import PATIENCE, Child, under_load
from helpers import rounds

from partitioned_buffer import Entry, Map, Queue
from partitioned_buffer.testing import assert_balanced

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork"),
    # Python 3.12 warns of what is tested here.
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]
FORKS = rounds(100, least=8)


class Sink:
    """A processor that counts the parent's numbers, and keeps everything else."""

    def __init__(self) -> None:
        self.count = self.sum = 0
        self.others: list[Any] = []
        self._lock = threading.Lock()

    def __call__(self, batch: list[Any]) -> None:
        items = [item.key if isinstance(item, Entry) else item for item in batch]
        numbers = [item for item in items if isinstance(item, int)]
        with self._lock:
            self.count += len(numbers)
            self.sum += sum(numbers)
            self.others += [item for item in items if not isinstance(item, int)]

    def forked(self) -> None:
        """Begin anew, in the child: a thread of the parent may have held the lock."""
        self.__init__()  # type: ignore[misc]


@contextmanager
def hammered(buffer: Any, write: Callable[[int], object]) -> Iterator[dict[int, int]]:
    """Let 4 threads write numbers, each every fourth; yield what will say where each ended."""
    ending, ends = threading.Event(), dict[int, int]()

    def hammer(first: int) -> None:
        number = first
        while not ending.is_set():
            write(number)
            number += 4
            if number % 1000 < 4:  # lest there be so much memory that forks take long
                buffer.flush(timeout=PATIENCE)
        ends[first] = number

    threads = [threading.Thread(target=hammer, args=(first,), daemon=True) for first in range(4)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)  # so that forks come in the middle of more things
    try:
        for thread in threads:
            thread.start()
        yield ends
    finally:
        ending.set()
        sys.setswitchinterval(interval)
        for thread in threads:
            thread.join(PATIENCE)
    assert len(ends) == 4


def fork_often(buffer: Any, sink: Sink, write: Callable[[Any], object], forks: int = FORKS) -> None:
    """Fork under load: every child delivers what it wrote, the parent the rest, nobody twice."""

    def live(number: int) -> list[str]:
        sink.forked()
        own = [f"{os.getpid()} {n}" for n in range(3)]
        assert buffer.running
        assert buffer.size() == 0
        for item in own:
            write(item)
        if number % 2:
            buffer.flush(timeout=PATIENCE)
        report = buffer.stop(timeout=PATIENCE)
        stats = buffer.stats()
        assert_balanced(stats)
        assert not report.left
        assert stats.accepted == stats.delivered == 3
        assert sink.count == 0, "the parent's"
        assert sorted(sink.others) == own
        return own

    with hammered(buffer, write) as ends:
        for number in range(forks):
            assert len(Child(lambda: live(number)).result()) == 3
    assert buffer.running
    write("parent's, later")
    buffer.stop()
    stats = buffer.stats()
    assert_balanced(stats)
    written = [range(first, end, 4) for first, end in ends.items()]
    assert sink.others == ["parent's, later"]
    assert sink.count == sum(map(len, written))
    assert sink.sum == sum(map(sum, written))
    assert stats.delivered == stats.accepted == sink.count + 1


@under_load
def test_forks_under_load_lose_and_repeat_nothing() -> None:
    sink = Sink()
    queue: Queue[Any] = Queue("forked", sink, partitions=2, flush_at=100)
    queue.start()

    fork_often(queue, sink, queue.push)


@under_load
def test_forks_under_load_with_partition_keys_lose_and_repeat_nothing() -> None:
    sink = Sink()
    queue: Queue[Any] = Queue("forked", sink, partitions=2, flush_at=10, partition_key=hash)
    queue.start()

    fork_often(queue, sink, lambda item: queue.push_all([item]), FORKS // 4)


@under_load
@pytest.mark.parametrize("bound", [{"max_size": 20}, {"max_bytes": 1000}])
def test_forks_of_a_full_buffer_lose_and_repeat_nothing(bound: Any) -> None:
    sink = Sink()
    queue: Queue[Any] = Queue("forked", sink, partitions=2, flush_at=1, **bound)
    queue.start()

    fork_often(queue, sink, queue.push, FORKS // 2)


@under_load
@pytest.mark.parametrize("bound", [{}, {"max_size": 20}])
def test_forks_under_load_of_a_map_lose_and_repeat_nothing(bound: Any) -> None:
    sink = Sink()
    mapped: Map[Any, Any] = Map("forked", sink, partitions=2, flush_at=5, **bound)
    mapped.start()

    def write(key: Any) -> None:
        mapped.put_newer(key, "value", 1)
        mapped.get(key)

    fork_often(mapped, sink, write, FORKS // 4)


@under_load
def test_forks_under_load_of_a_logging_handler_lose_and_repeat_nothing() -> None:
    sink = Sink()
    queue: Queue[Any] = Queue("forked", sink, partitions=2, flush_at=10)
    queue.start()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            queue.push(record.msg)

    log, handler = logging.getLogger("forked under load"), Handler()
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(handler)

    fork_often(queue, sink, log.info, FORKS // 8)
    log.removeHandler(handler)


@under_load
def test_children_that_are_forked_by_several_threads_at_once_deliver_their_own() -> None:
    sink = Sink()
    queue: Queue[Any] = Queue("forked", sink, partitions=2).start()
    children: list[Any] = []

    def live() -> list[str]:
        sink.forked()
        queue.push(str(os.getpid()))
        queue.stop(timeout=PATIENCE)
        return sink.others

    def fork() -> None:
        for _ in range(5):
            child = Child(live)
            children.append(child.result() == [str(child.pid)])

    threads = [threading.Thread(target=fork) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    queue.stop()

    assert children == [True] * 20
    assert_balanced(queue.stats())
    assert queue.stats().accepted == 0
