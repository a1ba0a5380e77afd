"""
A signal pending at sampled opcodes of the calls of a shared Map, whose handler raises.

What it raises comes out of that very call. A write that is interrupted is there as a whole, or not
at all, and many of them one by one; nobody waits for ever, the ledger holds, and what was accepted
is delivered, once.
"""

import operator
from collections import Counter
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from helpers import wait_until
from trips import Interrupts

from partitioned_buffer import Entry, Map
from partitioned_buffer.testing import assert_balanced
from partitioned_buffer.testing.sharing import SharedDict

numbers = count()
BEFORE = {"a": 1, "b": 2}
SEVERAL = {"c": 10, "d": 11, "e": 12}

Held = dict[str, int]


class Subject:
    """A shared Map that has shipped two entries, and what becomes of it."""

    def __init__(self, *, state: str = "running", ack: str = "local", **options: Any) -> None:
        self.delivered: list[Entry[str, int]] = []
        self.shared = SharedDict(partitions=2, ack=ack, ack_timeout=None, lease=1.0)
        options = {"processing_interval": 3600.0, "max_size": 100, "flush_at": 1} | options
        self.buffer: Map[str, int] = Map(
            f"interrupted {next(numbers)}", self.delivered.extend, storage=self.shared, **options
        )
        self.before: Held = {} if state == "new" else BEFORE
        if state != "new":
            self.buffer.start()
            self.buffer.put_all(BEFORE)
            self.buffer.flush()
        if state == "stopped":
            self.buffer.stop()

    def trouble(self, accepts: list[Held]) -> str | None:
        """Say what is wrong, if anything is, with what has accepted one of these."""
        buffer = self.buffer
        buffer.stop()
        wait_until(lambda: buffer._run.has_ended)
        assert_balanced(buffer.stats())
        buffer.start()
        buffer.put("last", 99)
        buffer.flush(60.0)
        report, stats, room = buffer.stop(), buffer.stats(), buffer._admission.room
        assert_balanced(stats)
        if report.left or buffer._size_here() or stats.blocked or stats.restarts:
            return f"not delivered: {report}, {stats}"
        if room is not None and room.used:
            return f"room for {room.used} is gone"
        came = [(entry.key, entry.value) for entry in self.delivered]
        if len(set(came)) != len(came):
            return f"twice: {Counter(came).most_common(3)}"
        if dict(came) not in [{**self.before, **each, "last": 99} for each in accepts]:
            return f"{came} was delivered"
        if stats.coalesced == stats.deleted == 0 and self.shared.appended != len(came):
            return f"{self.shared.appended} were there, and {len(came)} delivered"
        return None


def twice(subject: Subject) -> None:
    """Write over what waits, or has been sent."""
    subject.buffer.put("c", 1)
    subject.buffer.put("c", 2)


def within_a_block(subject: Subject) -> None:
    with subject.buffer:
        subject.buffer.put("c", 7)


NONE: list[Held] = [{}]
ONE: list[Held] = [{}, {"c": 7}]
SOME: list[Held] = [dict(list(SEVERAL.items())[:many]) for many in range(4)]
TWICE: list[Held] = [{}, {"c": 1}, {"c": 2}]
ADDED: list[Held] = [{}, {"c": 1}, {"c": 3}]
SERVER, ADDS = {"ack": "server"}, {"merge": operator.add}
CALLS: dict[str, tuple[list[Held], dict[str, Any], Callable[[Subject], object]]] = {
    "put": (ONE, {}, lambda s: s.buffer.put("c", 7)),
    "put, unbounded": (ONE, {"max_size": None}, lambda s: s.buffer.put("c", 7)),
    "put, merged": (ONE, ADDS, lambda s: s.buffer.put("c", 7)),
    "put to the server": (ONE, SERVER, lambda s: s.buffer.put("c", 7)),
    "put_newer": (ONE, {}, lambda s: s.buffer.put_newer("c", 7, 1)),
    "put twice, merged": (ADDED, ADDS, twice),
    "put twice to the server": (TWICE, SERVER, twice),
    "put_all": (SOME, {}, lambda s: s.buffer.put_all(SEVERAL)),
    "put_all to the server": (SOME, SERVER, lambda s: s.buffer.put_all(SEVERAL)),
    "delete": (NONE, {}, lambda s: s.buffer.delete("a")),
    "get": (NONE, {}, lambda s: s.buffer.get("a")),
    "flush": (NONE, {}, lambda s: s.buffer.flush()),
    "stats": (NONE, {}, lambda s: s.buffer.stats().as_dict()),
    "stop": (NONE, {}, lambda s: s.buffer.stop()),
    "stop in time": (NONE, ADDS, lambda s: s.buffer.stop(60)),
    "start": (NONE, {"state": "new"}, lambda s: s.buffer.start()),
    "start again": (NONE, ADDS | {"state": "stopped"}, lambda s: s.buffer.start()),
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
