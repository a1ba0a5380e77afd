"""
A stored Queue in the hands of Hypothesis: it is written to, fails, is stopped, crashes, is resized.

A crash takes a copy of the store, at rest or in the middle of a call of the processor. The buffer
that had it open is ended, and nobody looks at what it does until then.
"""

import itertools
import shutil
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("hypothesis")
from helpers import rounds, wait_until
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from storages import Copied

from partitioned_buffer import (
    BatchId,
    BufferFull,
    PartialFailure,
    Queue,
    Reject,
    Retry,
    StorageFull,
    batch_id,
)
from partitioned_buffer.testing import FakeClock, assert_balanced
from partitioned_buffer.testing.contract.watched import Watched
from partitioned_buffer.testing.storage import DictStorage

keys = st.integers(0, 5)
counts = st.integers(1, 4)
sizes = st.one_of(st.integers(1, 4), st.just("table"))
bounds = st.none() | st.tuples(
    st.sampled_from(["max_size", "max_bytes"]),
    st.integers(3, 12),
    st.sampled_from(["block", "raise", "drop_newest", "drop_oldest"]),
)
errors: st.SearchStrategy[Any] = st.sampled_from([OSError(), PartialFailure, Reject(), "many"])
_numbers = itertools.count()

BYTES = 14
"""About what an item takes."""

Item = tuple[int, int]


class Destination:
    """What one life of the buffer delivers to. It fails as told; at a crash it is out of sight."""

    def __init__(self, ids: dict[BatchId, list[Item]]) -> None:
        self.ids = ids
        self.delivered: list[Item] = []
        self.dead: list[Item] = []
        self.errors: list[Any] = []
        self.last: dict[int, set[Item]] = {}  # of each worker: what was in its last call
        self.crash: Callable[[], None] | None = None
        self.gone = False
        self.trouble: list[str] = []
        self._lock = threading.Lock()

    def __call__(self, batch: list[Any]) -> None:
        identity, items = batch_id(), [(key, number) for key, number in batch]
        with self._lock:
            if self.gone:
                return
            if self.ids.setdefault(identity, items) != items:
                self.trouble.append(f"{identity}: {self.ids[identity]}, and {items}")
            self.last[threading.get_ident()] = set(items)
            error = self.errors.pop(0) if self.errors else None
            failed = self._failed(error, items)
            self.delivered += [item for item in items if item not in failed]
            self._crash_now()
        if error is PartialFailure:
            raise PartialFailure([list(item) for item in failed])
        if isinstance(error, BaseException):
            raise error.with_traceback(None)

    def _failed(self, error: Any, items: list[Item]) -> list[Item]:
        if error is PartialFailure:
            return items[len(items) // 2 :]
        return [] if error is None else items

    def bury(self, batch: list[Any], _error: BaseException, _attempts: int) -> None:
        items = [(key, number) for key, number in batch]
        with self._lock:
            if not self.gone:
                self.last.setdefault(threading.get_ident(), set()).update(items)
                self.dead += items
                self._crash_now()

    def _crash_now(self) -> None:
        if self.crash is not None:
            crash, self.crash = self.crash, None
            crash()
            self.gone = True


class StoredQueueMachine(RuleBasedStateMachine):
    """The model: what was accepted, and what each life has done with it."""

    @initialize(
        partitions=counts,
        size=sizes,
        flush_at=st.none() | st.integers(1, 6),
        bound=bounds,
        attempts=st.none() | st.integers(1, 3),
        window=st.sampled_from([0, 60, 1 << 20]),
        handler=st.booleans(),
    )
    def begin(
        self,
        partitions: int,
        size: Any,
        flush_at: int | None,
        bound: tuple[str, int, str] | None,
        attempts: int | None,
        window: int,
        handler: bool,
    ) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.storage = Watched(self.made(window))
        self.bound, self.handler = bound, handler
        self.options: dict[str, Any] = {
            "processing_batch_size": size,
            "flush_at": flush_at,
            "partition_key": lambda item: item[0],
            "retry": Retry(attempts=attempts, wait_initial=2.0, jitter=0.0),
        }
        if bound is not None:
            limit = bound[1] * (BYTES if bound[0] == "max_bytes" else 1)
            self.options |= {bound[0]: limit, "when_full": bound[2]}
            self.options |= {"block_timeout": 20.0} if bound[2] == "block" else {}
        self.accepted: set[Item] = set()
        self.maybe: set[Item] = set()  # of a call of which a part was accepted
        self.ids: dict[BatchId, list[Item]] = {}
        self.delivered: list[Item] = []  # by former lives, as their dead, and what they dropped
        self.dead: list[Item] = []
        self.dropped = self.count = 0
        self.twice: set[Item] = set()  # what was in flight at a crash
        self.name = f"stored-{next(_numbers)}"
        self._live(partitions)

    def made(self, window: int) -> Any:
        raise NotImplementedError

    def crashed(self) -> Any:
        raise NotImplementedError

    # --- lives -----------------------------------------------------------------

    def _live(self, partitions: int, recovered: int | None = 0) -> None:
        self.clock, self.sink = FakeClock(), Destination(self.ids)
        self.queue: Queue[Any] = Queue(
            self.name,
            self.sink,
            partitions=partitions,
            storage=self.storage,
            clock=self.clock,
            dead_letter=self.sink.bury if self.handler else None,
            **self.options,
        )
        self.partitions = partitions
        self._start(recovered)

    def _start(self, recovered: int | None) -> None:
        self.queue.start()
        self.clock.settle()
        self.here = 0  # accepted by this life
        stats = self.queue.stats()
        if recovered is not None:
            assert stats.recovered == recovered

    def _end_life(self) -> None:
        """Remember what a life did that is over."""
        assert self.sink.trouble == []
        self.dropped += self.queue.stats().dropped
        self.delivered += self.sink.delivered
        self.dead += self.sink.dead
        self._check_order(self.sink.delivered)

    # --- writes ----------------------------------------------------------------

    def _new(self, key: int) -> Item:
        self.count += 1
        return key, self.count

    @precondition(lambda self: self.queue.running)
    @rule(key=keys, disk_full=st.sampled_from([False, False, False, True]))
    def push(self, key: int, disk_full: bool) -> None:
        item = self._new(key)
        before = self.queue.stats()
        if disk_full:
            self.storage.fails["append"] = StorageFull("full")
        try:
            self.queue.push(list(item))
        except BufferFull:
            assert self.bound is not None
            assert not self.bound[2].startswith("drop")
        except StorageFull:
            assert disk_full
        else:
            self.accepted.add(item)
            self.here += 1
            assert not disk_full or self.queue.stats().dropped > before.dropped
        self.storage.fails.clear()

    @precondition(lambda self: self.queue.running)
    @rule(chosen=st.lists(keys, max_size=8))
    def push_all(self, chosen: list[int]) -> None:
        items = [self._new(key) for key in chosen]
        try:
            self.queue.push_all([list(item) for item in items])
        except BufferFull as error:
            assert self.bound is not None
            assert not self.bound[2].startswith("drop")
            if notes := getattr(error, "__notes__", ()):  # more than fits at once: by parts
                self.here += int(notes[0].split()[0])
                self.maybe |= set(items)
        else:
            self.accepted |= set(items)
            self.here += len(items)

    # --- what becomes of it ----------------------------------------------------

    @rule(error=errors)
    def fail(self, error: Any) -> None:
        self.sink.errors += [OSError()] * 8 if error == "many" else [error]

    @rule()
    def recover(self) -> None:
        self.sink.errors.clear()

    @precondition(lambda self: self.queue.running)
    @rule(seconds=st.sampled_from([1.0, 6.0, 60.0]))
    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @precondition(lambda self: self.queue.running)
    @rule(timeout=st.none() | st.just(3.0))
    def flush(self, timeout: float | None) -> None:
        try:
            self.queue.flush(timeout)
        except TimeoutError:
            assert timeout is not None
        else:
            assert self.queue.size() == 0
            self._check_room()

    @precondition(lambda self: self.queue.running)
    @rule(timeout=st.none() | st.sampled_from([0.0, 3.0]))
    def stop(self, timeout: float | None) -> None:
        left = self.queue.stop(timeout).left
        wait_until(lambda: all(worker.ended for worker in self.queue._run.workers))
        items = [(key, number) for key, number in left]
        assert len(left) == len(items) == self.queue.stats().held
        assert left == [list(item) for item in items]
        assert set(items) <= self.accepted | self.maybe
        self._check_order(items)

    @precondition(lambda self: not self.queue.running)
    @rule()
    def start(self) -> None:
        held = self.queue.stats().held
        self.dropped += self.queue.stats().dropped
        self.delivered += self.sink.delivered
        self.dead += self.sink.dead
        self._check_order(self.sink.delivered)
        self.sink.delivered, self.sink.dead = [], []
        self._start(held)

    @precondition(lambda self: not self.queue.running)
    @rule(partitions=counts)
    def resize(self, partitions: int) -> None:
        held = self.queue.stats().held
        self._end_life()
        self._live(partitions, held)

    @precondition(lambda self: self.queue.running)
    @rule(partitions=st.none() | counts, in_a_call=st.booleans())
    def crash(self, partitions: int | None, in_a_call: bool) -> None:
        again: list[Any] = []
        if in_a_call:
            self.sink.crash = lambda: again.append(self.crashed())
            self.clock.advance(6.0)
            self.sink.crash = None
        else:
            self.clock.settle()
        with self.sink._lock:
            if not again:
                again.append(self.crashed())
                self.sink.gone = True
        self.sink.errors.clear()
        self.queue.stop()
        stats = self.queue.stats()
        assert_balanced(stats)
        assert stats.restarts == 0
        for items in self.sink.last.values():
            self.twice |= items
        self._end_life()
        self.storage = Watched(again[0])
        self._live(partitions or self.partitions, None)
        self._check_recovered()

    def _check_recovered(self) -> None:
        """Everything is there that was not settled; and what is more was settled last."""
        left = self.accepted - set(self.delivered) - set(self.dead)
        recovered = self.queue.stats().recovered
        assert recovered <= len(left | self.twice | self.maybe)
        if self.handler:  # else it is not known here what the store keeps as given up
            assert recovered >= len(left) - self.dropped

    # --- what holds ------------------------------------------------------------

    @invariant()
    def ordered_and_counted(self) -> None:
        if self.queue.running:
            self.clock.settle()
        stats = self.queue.stats()
        assert_balanced(stats)
        assert stats.restarts == 0
        assert self.sink.trouble == []
        assert stats.accepted == self.here + stats.recovered
        assert stats.delivered == len(self.sink.delivered)
        assert not self.handler or stats.dead_lettered == len(self.sink.dead)
        assert self.queue.size() == stats.held
        self._check_order(self.sink.delivered)
        everywhere = self.delivered + self.dead + self.sink.delivered + self.sink.dead
        assert set(everywhere) <= self.accepted | self.maybe
        for item in {item for item in everywhere if everywhere.count(item) > 1}:
            assert item in self.twice, f"{item} twice"

    def _check_order(self, items: list[Item]) -> None:
        for key in range(6):
            numbers = [number for other, number in items if other == key]
            assert numbers == sorted(set(numbers)), "out of order"

    def _check_room(self) -> None:
        if (room := self.queue._admission.room) is not None:
            self.clock.settle()
            assert room.used == 0
            assert self.bound is None or self.bound[0] == "max_size" or room.used_bytes == 0

    def teardown(self) -> None:
        if not hasattr(self, "queue"):
            return
        self.sink.errors.clear()
        if not self.queue.running:
            self.start()
        assert self.queue.stop().left == ()
        self.ordered_and_counted()
        if (room := self.queue._admission.room) is not None:
            assert room.used == 0
            assert self.bound is None or self.bound[0] == "max_size" or room.used_bytes == 0
        self._end_life()
        dead = set(self.dead)
        if not self.handler:
            buried = self.storage.inner.buried()
            dead = {(key, number) for key, number in buried}
        lost = self.accepted - set(self.delivered) - dead
        assert len(lost) <= self.dropped
        shutil.rmtree(self.folder)


class DictMachine(StoredQueueMachine):
    """Over the storage in memory."""

    def made(self, window: int) -> DictStorage:
        return DictStorage(window=window)

    def crashed(self) -> DictStorage:
        storage: DictStorage = self.storage.inner
        storage.crash()
        return storage


class SQLiteMachine(StoredQueueMachine):
    """Over a file."""

    def made(self, window: int) -> Copied:
        return Copied(self.folder / "events.db", fsync="os", window=window)

    def crashed(self) -> Copied:
        storage: Copied = self.storage.inner
        return storage.copy(self.folder / str(next(_numbers)))


for machine, examples in ((DictMachine, rounds(300)), (SQLiteMachine, rounds(100))):
    machine.TestCase.settings = settings(
        max_examples=examples, stateful_step_count=30, deadline=None, print_blob=True
    )
TestDictModel = DictMachine.TestCase
TestSQLiteModel = SQLiteMachine.TestCase
