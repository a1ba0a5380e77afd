"""
A signal pending at every opcode of every public call, whose handler raises.

What it raises comes out of that very call, be it an error or an interrupt. Whatever had happened
by then, nobody else notices: those who wait for room get it, the numbers agree, the buffer can be
stopped, and started, and what was accepted is delivered, once.
"""

import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from queue import SimpleQueue
from typing import Any

import pytest
from helpers import wait_until
from trips import Interrupts

from partitioned_buffer import BufferNotRunning, Map, Queue
from partitioned_buffer.testing import assert_balanced

numbers = count()
SEVERAL = [10, 11, 12]


class Subject:
    """A buffer, in which something waits, and what becomes of it."""

    def __init__(
        self, kind: Any, *, state: str, waiting: int = 0, closed: bool = False, **options: Any
    ) -> None:
        self.delivered: list[Any] = []
        options = {"partitions": 2, "processing_interval": 3600} | options
        self.buffer = kind(f"interrupted {next(numbers)}", self.process, **options)
        self.before, self.others = 0, list[int]()
        self.waiting: list[threading.Thread] = []
        self.gate: SimpleQueue[None] = SimpleQueue()  # whose `put` no signal parts
        if not (waiting or closed):
            self.gate.put(None)
        if state != "new":
            self.buffer.start()
            for number in range(2):
                self.write(number)
            self.before = 2
        if state == "stopped":
            self.buffer.stop()
        for number in range(20, 20 + waiting):
            self.waiting.append(threading.Thread(target=self.wait, args=[number], daemon=True))
            self.waiting[-1].start()
        wait_until(lambda: self.buffer.stats().blocked == waiting)

    def process(self, batch: list[Any]) -> None:
        self.gate.get(timeout=60)
        self.gate.put(None)
        self.delivered += batch

    def let_go(self) -> Any:
        """Have the processor return, so that those who wait get room."""
        self.gate.put(None)
        return self.buffer

    def wait(self, number: int) -> None:
        """Be somebody else, who waits for room."""
        with suppress(BufferNotRunning):
            self.write(number)
            self.others.append(number)

    def write(self, number: int) -> None:
        if isinstance(self.buffer, Map):
            self.buffer.put(number, number)
        else:
            self.buffer.push(number)

    def trouble(self, accepts: set[int]) -> str | None:
        """Say what is wrong, if anything is, with what has accepted one of these numbers."""
        self.gate.put(None)
        for thread in self.waiting:
            thread.join(60)
            if thread.is_alive():
                return "somebody waits for ever"
        buffer = self.buffer
        buffer.stop()
        wait_until(lambda: buffer._run.has_ended)
        if buffer.running:
            return "it cannot be stopped"
        buffer.start()
        accepted = buffer.stats().accepted
        if accepted - self.before - len(self.others) not in accepts:
            return f"{accepted - self.before - len(self.others)} were accepted"
        self.write(99)
        buffer.flush(60)
        left = buffer.stop().left
        stats = buffer.stats()
        assert_balanced(stats)
        settled = stats.delivered + stats.coalesced + stats.deleted + stats.dropped
        if left or settled != accepted + 1 or len(self.delivered) != stats.delivered:
            return f"not delivered: {left}, {stats}, {self.delivered}"
        if max(Counter(map(repr, self.delivered)).values()) > 1:
            return f"delivered twice: {self.delivered}"
        return None


def within_a_block(subject: Subject) -> None:
    with subject.buffer:
        subject.write(7)


def by_item(item: int) -> int:
    return item


NONE, ONE, ALL, SOME = {0}, {0, 1}, {0, 3}, {0, 1, 2, 3}
FULL = {"max_size": 2}
CALLS: dict[str, tuple[set[int], Any, dict[str, Any], Callable[[Any], object]]] = {
    "push": (ONE, Queue, {}, lambda s: s.buffer.push(7)),
    "push by key": (ONE, Queue, {}, lambda s: s.buffer.push(7, partition_key=by_item)),
    "push by weight": (
        ONE,
        Queue,
        {"max_bytes": 900, "size_of": by_item},
        lambda s: s.buffer.push(7),
    ),
    "push, full": (ONE, Queue, FULL, lambda s: s.buffer.push(7)),
    "push, full, others waiting": (ONE, Queue, FULL | {"waiting": 2}, lambda s: s.let_go().push(7)),
    "push_all": (ALL, Queue, {}, lambda s: s.buffer.push_all(SEVERAL)),
    "push_all of a generator": (ALL, Queue, {}, lambda s: s.buffer.push_all(iter(SEVERAL))),
    "push_all by key": (
        SOME,
        Queue,
        {},
        lambda s: s.buffer.push_all(SEVERAL, partition_key=by_item),
    ),
    "push_all, full": (SOME, Queue, FULL, lambda s: s.buffer.push_all(SEVERAL)),
    "put": (ONE, Map, {}, lambda s: s.buffer.put(7, 7)),
    "put known": (ONE, Map, {}, lambda s: s.buffer.put(1, 7)),
    "put by key": (ONE, Map, {}, lambda s: s.buffer.put(7, 7, partition_key=by_item)),
    "put, full": (ONE, Map, FULL, lambda s: s.buffer.put(7, 7)),
    "put_newer": (ONE, Map, {}, lambda s: s.buffer.put_newer(1, 7, 5)),
    "put_all": (SOME, Map, {}, lambda s: s.buffer.put_all([(i, i) for i in SEVERAL])),
    "put_all, full": (SOME, Map, FULL, lambda s: s.buffer.put_all([(i, i) for i in SEVERAL])),
    "put_all_newer": (
        SOME,
        Map,
        {},
        lambda s: s.buffer.put_all_newer([(i, i, 3) for i in SEVERAL]),
    ),
    "get": (NONE, Map, {}, lambda s: s.buffer.get(1)),
    "in": (NONE, Map, {}, lambda s: 1 in s.buffer),
    "items": (NONE, Map, {}, lambda s: s.buffer.items()),
    "delete": (ONE, Map, {}, lambda s: s.buffer.delete(1)),
    "partition_of": (NONE, Map, {}, lambda s: s.buffer.partition_of(1)),
    "size": (NONE, Queue, {}, lambda s: s.buffer.size()),
    "stats": (NONE, Queue, {}, lambda s: s.buffer.stats().as_dict()),
    "update_options": (NONE, Queue, {}, lambda s: s.buffer.update_options(flush_at=2)),
    "flush": (NONE, Queue, {}, lambda s: s.buffer.flush()),
    "flush in time": (NONE, Queue, {}, lambda s: s.buffer.flush(60)),
    "start": (NONE, Queue, {"state": "new"}, lambda s: s.buffer.start()),
    "start again": (NONE, Queue, {"state": "stopped"}, lambda s: s.buffer.start()),
    "stop": (NONE, Queue, {}, lambda s: s.buffer.stop()),
    "stop in time": (NONE, Queue, {}, lambda s: s.buffer.stop(60)),
    "stop, others waiting": (NONE, Queue, FULL | {"waiting": 2}, lambda s: s.let_go().stop()),
    "stop with something left": (NONE, Queue, {"closed": True}, lambda s: s.buffer.stop(0)),
    "block": (ONE, Queue, {"state": "new"}, within_a_block),
}


# Interrupted where it starts a thread, CPython's own start() may leave one that complains and ends.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", CALLS)
def test_what_a_handler_raises_comes_out_of_the_very_call(trip: Any, name: str) -> None:
    accepts, kind, options, call = CALLS[name]
    Interrupts(trip).try_all(
        lambda: Subject(kind, **{"state": "running"} | options),
        call,
        lambda subject: subject.trouble(accepts),
    )
