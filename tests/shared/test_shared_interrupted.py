"""
A signal pending at sampled opcodes of the calls of a shared Queue, whose handler raises.

What it raises comes out of that very call. A write that is interrupted is there as a whole, or not
at all; nobody waits for ever, the ledger holds, and what was accepted is delivered, once.
"""

from collections import Counter
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from helpers import wait_until
from trips import Interrupts

from partitioned_buffer import Queue
from partitioned_buffer.testing import assert_balanced
from partitioned_buffer.testing.sharing import SharedDict

numbers = count()
SEVERAL = [10, 11, 12]


class Subject:
    """A shared Queue that has shipped two items, and what becomes of it."""

    def __init__(self, *, state: str = "running", ack: str = "local", **options: Any) -> None:
        self.delivered: list[int] = []
        self.shared = SharedDict(partitions=2, ack=ack, ack_timeout=None)
        options = {"processing_interval": 3600.0, "max_size": 100, "flush_at": 1} | options
        self.buffer: Queue[int] = Queue(
            f"interrupted {next(numbers)}", self.delivered.extend, storage=self.shared, **options
        )
        self.before = 0 if state == "new" else 2
        if state != "new":
            self.buffer.start()
            self.buffer.push_all([0, 1])
            self.buffer.flush()
        if state == "stopped":
            self.buffer.stop()

    def trouble(self, accepts: set[int]) -> str | None:
        """Say what is wrong, if anything is, with what has accepted one of these numbers."""
        buffer = self.buffer
        buffer.stop()
        wait_until(lambda: buffer._run.has_ended)
        assert_balanced(buffer.stats())
        buffer.start()
        buffer.push(99)
        buffer.flush(60.0)
        report, stats, room = buffer.stop(), buffer.stats(), buffer._admission.room
        assert_balanced(stats)
        if report.left or buffer._size_here() or stats.blocked or stats.restarts:
            return f"not delivered: {report}, {stats}"
        if room is not None and room.used:
            return f"room for {room.used} is gone"
        if self.shared.appended - self.before - 1 not in accepts:
            return f"{self.shared.appended - self.before - 1} were accepted"
        if sorted(self.delivered) != sorted(set(self.delivered)):
            return f"twice: {Counter(self.delivered).most_common(3)}"
        if len(self.delivered) != self.shared.appended:
            return f"{self.shared.appended} were there, and {self.delivered} delivered"
        return None


def by_item(item: int) -> int:
    return item


def within_a_block(subject: Subject) -> None:
    with subject.buffer:
        subject.buffer.push(7)


NONE, ONE, ALL = {0}, {0, 1}, {0, 3}
SERVER = {"ack": "server"}
CALLS: dict[str, tuple[set[int], dict[str, Any], Callable[[Subject], object]]] = {
    "push": (ONE, {}, lambda s: s.buffer.push(7)),
    "push by key": (ONE, {}, lambda s: s.buffer.push(7, partition_key=by_item)),
    "push, unbounded": (ONE, {"max_size": None}, lambda s: s.buffer.push(7)),
    "push to the server": (ONE, SERVER, lambda s: s.buffer.push(7)),
    "push_all": (ALL, {}, lambda s: s.buffer.push_all(SEVERAL)),
    "push_all by key": (ALL, {}, lambda s: s.buffer.push_all(SEVERAL, partition_key=by_item)),
    "push_all to the server": (ALL, SERVER, lambda s: s.buffer.push_all(SEVERAL)),
    "flush": (NONE, {}, lambda s: s.buffer.flush()),
    "stats": (NONE, {}, lambda s: s.buffer.stats().as_dict()),
    "stop": (NONE, {}, lambda s: s.buffer.stop()),
    "stop in time": (NONE, {}, lambda s: s.buffer.stop(60)),
    "start": (NONE, {"state": "new"}, lambda s: s.buffer.start()),
    "start again": (NONE, {"state": "stopped"}, lambda s: s.buffer.start()),
    "block": (ONE, {"state": "new"}, within_a_block),
}


# Interrupted where it starts a thread, CPython's own start() may leave one that complains and ends.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", CALLS)
def test_what_a_handler_raises_comes_out_of_the_very_call(trip: Any, name: str) -> None:
    accepts, options, call = CALLS[name]
    Interrupts(trip).try_all(
        lambda: Subject(**options), call, lambda subject: subject.trouble(accepts)
    )
