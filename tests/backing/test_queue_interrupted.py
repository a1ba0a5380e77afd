"""
A signal pending at every opcode of the calls of a stored Queue, whose handler raises.

What it raises comes out of that very call. A write that is interrupted is there as a whole, or not
at all; whichever it is, the ledger holds, the room is exact, nobody waits for ever, and what was
accepted is delivered, once.
"""

import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from helpers import in_thread, wait_until
from storages import as_json, of_json
from trips import Interrupts

from partitioned_buffer import BufferNotRunning, Queue
from partitioned_buffer._core.backing.leading import CAN_LEAD
from partitioned_buffer.storage import SQLite
from partitioned_buffer.testing import assert_balanced
from partitioned_buffer.testing.contract.watched import Watched
from partitioned_buffer.testing.storage import DictStorage

CODEC: Any = None if find_spec("msgspec") else (as_json, of_json)
leads = pytest.mark.skipif(not CAN_LEAD, reason="nobody leads before Python 3.12")
numbers = count()
SEVERAL = [10, 11, 12]


class Subject:
    """A stored Queue that holds two items, and what becomes of it."""

    def __init__(
        self,
        inner: Any = None,
        *,
        state: str = "running",
        waiting: int = 0,
        closed: bool = False,
        **options: Any,
    ) -> None:
        self.delivered: list[Any] = []
        self.storage = Watched(inner or DictStorage())
        options = {"partitions": 2, "processing_interval": 3600, "max_size": 100} | options
        self.buffer: Queue[int] = Queue(
            f"interrupted {next(numbers)}", self.process, storage=self.storage, **options
        )
        self.others: list[int] = []
        self.waiting: list[threading.Thread] = []
        self.gate: SimpleQueue[None] = SimpleQueue()  # whose `put` no signal parts
        if not (waiting or closed):
            self.gate.put(None)
        if state != "new":
            self.buffer.start()
            for number in range(2):
                self.buffer.push(number)
        self.before = 0 if state == "new" else 2
        if state == "stopped":
            self.buffer.stop()
        for number in range(20, 20 + waiting):
            self.waiting.append(threading.Thread(target=self.wait, args=[number], daemon=True))
            self.waiting[-1].start()
        wait_until(lambda: self.buffer.stats().blocked == waiting)

    def rest(self) -> "Subject":
        """Have nobody be in the way of the next write: it is committed by its writer."""
        admission: Any = self.buffer._admission
        wait_until(lambda: not admission.backing.committer._reclaims)
        return self

    def process(self, batch: list[Any]) -> None:
        self.gate.get(timeout=60)
        self.gate.put(None)
        self.delivered += batch

    def let_go(self) -> Queue[int]:
        """Have the processor return, so that those who wait get room."""
        self.gate.put(None)
        return self.buffer

    def wait(self, number: int) -> None:
        """Be somebody else, who waits for room."""
        with suppress(BufferNotRunning):
            self.buffer.push(number)
            self.others.append(number)

    @property
    def written(self) -> int:
        return sum(size for commit in self.storage.commits for _, size in commit)

    def trouble(self, accepts: set[int]) -> str | None:  # noqa: PLR0911  # a list of them
        """Say what is wrong, if anything is, with what has accepted one of these numbers."""
        self.gate.put(None)
        for thread in self.waiting:
            thread.join(60)
            if thread.is_alive():
                return "somebody waits for ever"
        buffer = self.buffer
        buffer.stop()
        wait_until(lambda: buffer._run.has_ended)
        assert_balanced(buffer.stats())
        written = self.written
        if written - self.before - len(self.others) not in accepts:
            return f"{written - self.before - len(self.others)} were accepted"
        buffer.start()
        buffer.push(99)
        buffer.flush(60)
        left, stats, room = buffer.stop().left, buffer.stats(), buffer._admission.room
        assert_balanced(stats)
        if left or stats.held or stats.blocked or stats.restarts:
            return f"not delivered: {left}, {stats}, {self.delivered}"
        if room is not None and room.used:
            return f"room for {room.used} is gone"
        dropped = written + 1 - len(self.delivered)
        if dropped:
            return f"{dropped} are lost: {self.delivered}"
        if max(Counter(self.delivered).values()) > 1:
            return f"delivered twice: {self.delivered}"
        return None


def by_item(item: int) -> int:
    return item


def within_a_block(subject: Subject) -> None:
    with subject.buffer:
        subject.buffer.push(7)


NONE, ONE, ALL, SOME = {0}, {0, 1}, {0, 3}, {0, 1, 2, 3}
FULL = {"max_size": 2}
CALLS: dict[str, tuple[set[int], dict[str, Any], Callable[[Subject], object]]] = {
    "push": (ONE, {}, lambda s: s.buffer.push(7)),
    "push, unbounded": (ONE, {"max_size": None}, lambda s: s.buffer.push(7)),
    "push by key": (ONE, {}, lambda s: s.buffer.push(7, partition_key=by_item)),
    "push by weight": (ONE, {"max_bytes": 900}, lambda s: s.buffer.push(7)),
    "push, full": (ONE, FULL, lambda s: s.buffer.push(7)),
    "push, others waiting": (ONE, FULL | {"waiting": 2}, lambda s: s.let_go().push(7)),
    "push_all": (ALL, {}, lambda s: s.buffer.push_all(SEVERAL)),
    "push_all, unbounded": (ALL, {"max_size": None}, lambda s: s.buffer.push_all(SEVERAL)),
    "push_all by key": (ALL, {}, lambda s: s.buffer.push_all(SEVERAL, partition_key=by_item)),
    "push_all, full": (SOME, FULL, lambda s: s.buffer.push_all(SEVERAL)),
    "flush": (NONE, {}, lambda s: s.buffer.flush()),
    "stats": (NONE, {}, lambda s: s.buffer.stats().as_dict()),
    "stop": (NONE, {}, lambda s: s.buffer.stop()),
    "stop in time": (NONE, {}, lambda s: s.buffer.stop(60)),
    "stop, others waiting": (NONE, FULL | {"waiting": 2}, lambda s: s.let_go().stop()),
    "stop with something left": (NONE, {"closed": True}, lambda s: s.buffer.stop(0)),
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


def stored(folder: Path) -> SQLite:
    """Return a storage whose writers commit by themselves; nothing stays of the last one."""
    for each in folder.iterdir():
        each.unlink()
    return SQLite(folder / f"{next(numbers)}", fsync="os", codec=CODEC)


ALONE = ["push", "push, unbounded", "push by key", "push by weight", "push_all"]
ALONE += ["push_all, unbounded"]


@leads
@pytest.mark.parametrize("name", ALONE)
def test_so_it_does_where_the_writer_commits_by_itself(
    trip: Any, name: str, tmp_path: Path
) -> None:
    accepts, options, call = CALLS[name]

    def subject() -> Subject:
        return Subject(stored(tmp_path), **options).rest()

    Interrupts(trip).try_all(subject, call, lambda subject: subject.trouble(accepts))


class Another(Interrupts):
    """A signal whose handler does something, and raises nothing."""

    does: Callable[[], object]
    was_there = False

    def _handle(self, _signal: int, _frame: Any) -> None:
        self.was_there = True
        self.does()


def another_thread(call: Callable[[], object]) -> None:
    thread, _ = in_thread(call)
    thread.join(20)
    assert not thread.is_alive(), "it waits for who is interrupted"


MEANWHILE: dict[str, tuple[set[int], Callable[[Subject], object]]] = {
    "push": ({2}, lambda s: s.buffer.push(50)),
    "push_all": ({3}, lambda s: s.buffer.push_all([50, 51])),
    "flush": ({1}, lambda s: s.buffer.flush()),
    "another thread": ({2}, lambda s: another_thread(lambda: s.buffer.push(50))),
    "stats": ({1}, lambda s: assert_balanced(s.buffer.stats())),
    "stop": ({0, 1}, lambda s: s.buffer.stop()),
}


@leads
@pytest.mark.parametrize("name", MEANWHILE)
def test_a_handler_may_do_anything_in_the_middle_of_that(
    trip: Any, name: str, tmp_path: Path
) -> None:
    accepts, does = MEANWHILE[name]
    another = Another(trip)

    def subject() -> Subject:
        made = Subject(stored(tmp_path)).rest()
        another.does, another.was_there = lambda: does(made), False
        return made

    def push(subject: Subject) -> None:
        with suppress(BufferNotRunning):
            subject.buffer.push(7)

    def trouble(subject: Subject) -> str | None:
        return subject.trouble(accepts if another.was_there else {1})

    another.try_all(subject, push, trouble)
