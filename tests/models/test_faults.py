"""
Every policy, times every way to fail, times every way to end, for both kinds.

Ten items are written, even ones to partition 0 and odd ones to partition 1, with room for
eight. Partition 0 fails as told, in batches of three; partition 1 always does well. Then the
buffer ends as told, and what should have come of it is literal: see `admitted` and `expected`.
At last the buffer is started again and has to deliver what was left, and to have all its room.
"""

import contextlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
from helpers import KINDS, FaultyProcessor, in_thread, key_of, unwoken, wait_until

from partitioned_buffer import (
    BufferAlreadyRunning,
    BufferFull,
    BufferNotRunning,
    PartialFailure,
    Reject,
    Retry,
    RetryAfter,
)
from partitioned_buffer._core.ledger import Stats, StopReport
from partitioned_buffer._core.writes.routing import deal_slots
from partitioned_buffer.testing import FakeClock, assert_balanced

WRITTEN, SIZE, BATCH, POISON = list(range(10)), 8, 3, 4
INTERVAL, PROCESSING_TIMEOUT, SHORT, LONG = 1000.0, 60.0, 3.0, 100.0
LANES = [deal_slots([0, 1]).index(partition) for partition in (0, 1)]
RETRY = Retry(attempts=3, wait_initial=5.0, multiplier=1.0, jitter=0.0, never=ValueError)

UNBOUNDED: dict[str, Any] = {}
BY_SIZE = {"max_size": SIZE}
BY_BYTES = {"max_bytes": 2 * SIZE, "size_of": lambda _: 2}

POLICIES: dict[str, dict[str, Any]] = {
    "unbounded": UNBOUNDED,
    "block": BY_SIZE | {"when_full": "block", "block_timeout": 1.0},
    "raise": BY_SIZE | {"when_full": "raise"},
    "drop_newest": BY_SIZE | {"when_full": "drop_newest"},
    "drop_oldest": BY_SIZE | {"when_full": "drop_oldest"},
    "block bytes": BY_BYTES | {"when_full": "block", "block_timeout": 1.0},
    "raise bytes": BY_BYTES | {"when_full": "raise"},
    "drop_newest bytes": BY_BYTES | {"when_full": "drop_newest"},
    "drop_oldest bytes": BY_BYTES | {"when_full": "drop_oldest"},
}

Fault = Callable[[list[int], bool], BaseException | None]
"""What the processor raises for these items; and whether it is partition 0's first call."""

FAILURES: dict[str, Fault] = {
    "none": lambda items, first: None,
    "once": lambda items, first: OSError() if first else None,
    "exits": lambda items, first: SystemExit() if first else None,
    "interrupted": lambda items, first: KeyboardInterrupt() if first else None,
    "always": lambda items, first: OSError(),
    "poison": lambda items, first: OSError() if POISON in items else None,
    "partial": lambda items, first: PartialFailure([POISON]) if first else None,
    "reject": lambda items, first: Reject() if POISON in items else None,
    "later": lambda items, first: RetryAfter(30) if first else None,
    "permanent": lambda items, first: ValueError() if POISON in items else None,
    "blocked": lambda items, first: None,  # but not before it is released
    "handler raises": lambda items, first: OSError() if POISON in items else None,
}
AT_ONCE = {"none", "reject", "permanent"}  # settled without waiting for anything

ENDS = [
    "stop",
    "stop in time",
    "stop in a wait",  # its timeout is over before the next attempt
    "stop in a call",  # ... before the first call has returned, which then fails as told
    "stop in trouble",  # when the first attempt has been made
    "flush, stop",
    "exception",  # in the `with` block
    "stop with blocked writers",
]
# Of an `exit_timeout` of 20: a fifth is for handing over, half of that for calls to return.
HANDED_OVER_AFTER = {"later": 16.0, "blocked": 18.0}
TIMEOUTS = {"stop in time": LONG, "stop in a wait": SHORT, "stop in a call": SHORT}


class Admitted(NamedTuple):
    kept: list[int]
    dropped: list[int]
    refused: list[int]


def admitted(policy: str) -> Admitted:
    """Return what becomes of the ten writes, by policy."""
    match policy.removesuffix(" bytes"):
        case "unbounded":
            return Admitted(WRITTEN, [], [])
        case "drop_newest":
            return Admitted(WRITTEN[:SIZE], WRITTEN[SIZE:], [])
        case "drop_oldest":
            return Admitted(WRITTEN[-SIZE:], WRITTEN[:-SIZE], [])
        case _:
            return Admitted(WRITTEN[:SIZE], [], WRITTEN[SIZE:])


@dataclass
class Outcome:
    """What became of partition 0's items when the end was reached; the others are left."""

    delivered: list[int]
    dead: list[int]
    late: list[int]
    """Delivered by a call that returned when nobody waited for it any more."""


def is_handed_over(failure: str, end: str) -> bool:
    """Say whether the end of a block comes to its time, so that what is left is dead-lettered."""
    return end == "exception" and failure in HANDED_OVER_AFTER


def expected(failure: str, end: str, kept: list[int]) -> Outcome:
    first, rest = kept[:BATCH], kept[BATCH:]
    if is_handed_over(failure, end):
        return Outcome([], kept, first if failure == "blocked" else [])
    good = [item for item in first if item != POISON]
    if is_stuck(failure, end):
        return Outcome([], [], {"none": first, "blocked": first, "partial": good}.get(failure, []))
    if end == "stop in a wait" and failure not in AT_ONCE:
        return Outcome(good if failure == "partial" else [], [], [])
    if failure == "partial":
        return Outcome([*good, POISON, *rest], [], [])
    dead = {"always": kept, "reject": first}.get(failure, [])
    if failure in ("poison", "permanent", "handler raises"):
        dead = [POISON]
    return Outcome([item for item in kept if item not in dead], dead, [])


def is_stuck(failure: str, end: str) -> bool:
    """Say whether the first call has not returned when `stop()` does."""
    patient = end in ("stop in time", "flush, stop")
    return end == "stop in a call" or (failure == "blocked" and not patient)


class Cell:
    """One combination, started."""

    def __init__(self, face: str, kind: str, policy: str, failure: str, end: str) -> None:
        self.policy, self.failure, self.end = policy, failure, end
        self.clock = FakeClock()
        self.processor = FaultyProcessor(
            self.clock,
            FAILURES[failure],
            stalls=failure == "blocked" or end == "stop in a call",
            shortly=end == "stop in time",
            handler_raises=failure == "handler raises",
        )
        self.buffer: Any = KINDS[face][kind](
            f"faults: {kind}, {policy}, {failure}, {end}",
            self.processor,
            partitions=2,
            partition_key=lambda item: LANES[item % 2],
            processing_interval=INTERVAL,
            processing_batch_size=BATCH,
            processing_timeout=PROCESSING_TIMEOUT,
            retry=RETRY,
            dead_letter=self.processor.bury,
            clock=self.clock,
            **POLICIES[policy],
        ).start()
        self.clock.settle()
        self.bounded = policy != "unbounded"
        if self.bounded:  # a full buffer would have all delivered before its time
            unwoken(self.buffer)
        self.before, self.began = self.buffer.stats(), 0.0  # when it is stopped

    def close(self) -> None:
        """Hold up nobody, should the test have failed."""
        self.processor.release()
        self.processor.recover()
        self.buffer.stop()

    def write(self, item: int, value: str = "new", version: int = 2) -> None:
        if hasattr(self.buffer, "push"):
            self.buffer.push(item)
        else:
            self.buffer.put_newer(item, value, version)

    def begin(self, admitted: Admitted) -> int:
        """Write the ten; return how many were coalesced, which takes no room."""
        for item in WRITTEN:
            with contextlib.nullcontext() if item not in admitted.refused else refused():
                self.write(item, "old", 1)
        if hasattr(self.buffer, "push"):
            return 0
        for item in admitted.kept:
            self.write(item)
        return len(admitted.kept)

    def reach_the_end(self) -> StopReport | None:
        buffer, end = self.buffer, self.end
        if end == "stop in trouble":
            self.clock.settle()  # a worker that has yet to begin would wait from then on
            self.clock.jump(INTERVAL)
            assert self.processor.entered.wait(60)
            wait_until(lambda: buffer.stats().partitions[1].held == 0)
            if self.failure != "blocked":
                self.clock.settle()
        blocked = []
        if end == "stop with blocked writers":
            blocked = [in_thread(lambda n=n: self.write(n)) for n in (100, 101, 102)]  # type: ignore[misc]
            wait_until(lambda: buffer.stats().blocked == 3)
        self.processor.begin_end()
        self.before, self.began = buffer.stats(), self.clock.monotonic()
        if end == "exception":
            with pytest.raises(LookupError), contextlib.ExitStack() as body:
                body.push(buffer)
                raise LookupError
            return None
        if end == "flush, stop":
            self.flush()
            self.before, self.began = buffer.stats(), self.clock.monotonic()
        report: StopReport = buffer.stop(TIMEOUTS.get(end))
        for thread, outcome in blocked:
            thread.join(60)
            assert isinstance(outcome[0], BufferNotRunning)
        return report

    def flush(self) -> None:
        """Flush; if it cannot be done in time, see that it says so and all is still held."""
        if self.failure in AT_ONCE:
            self.buffer.flush(SHORT)
            return
        began = self.clock.monotonic()
        with pytest.raises(TimeoutError):
            self.buffer.flush(SHORT)
        assert self.clock.monotonic() == began + SHORT
        even = [item for item in admitted(self.policy).kept if item % 2 == 0]
        delivered = expected(self.failure, "stop in a wait", even).delivered
        assert self.buffer.size() == len(even) - len(delivered)
        if self.failure == "blocked":
            self.processor.release()
            self.clock.settle()

    def join(self) -> None:
        """Wait for what is left of the workers."""
        wait_until(lambda: all(worker.ended for worker in self.buffer._run.workers))

    def fill_up(self, items: "itertools.count[int]", *, to_the_brim: bool) -> list[int]:
        """Write as much as there is room for, and, at the brim, one more."""
        if self.bounded:
            unwoken(self.buffer)
        room = SIZE - self.buffer.size() if self.bounded else SIZE
        before = self.buffer.stats()
        fresh = list(itertools.islice(items, room))
        for item in fresh:
            self.write(item)
        assert self.buffer.size() == before.held + room
        assert self.buffer.stats().dropped == before.dropped
        if to_the_brim and self.bounded:
            drops = self.policy.startswith("drop")
            with contextlib.nullcontext() if drops else refused():
                self.write(next(items))
            assert self.buffer.size() == SIZE
            assert self.buffer.stats().dropped == before.dropped + drops
        return fresh


def refused() -> Any:
    return pytest.raises(BufferFull)


def check(stats: Stats, outcome: Outcome, writes: Admitted, coalesced: int) -> None:
    """Compare the ledger with the outcome, in total and for each partition."""
    assert_balanced(stats)
    assert stats.accepted == len(writes.kept) + len(writes.dropped) + coalesced
    assert stats.dropped == sum(stats.drop_reasons.values()) == len(writes.dropped)
    assert (stats.coalesced, stats.deleted, stats.restarts) == (coalesced, 0, 0)
    faulty, sound = stats.partitions
    assert (faulty.delivered, faulty.dead_lettered) == (len(outcome.delivered), len(outcome.dead))
    odd = [item for item in writes.kept if item % 2]
    assert (sound.delivered, sound.dead_lettered, sound.held) == (len(odd), 0, 0)


def combinations() -> list[tuple[str, str, str, str]]:
    every = itertools.product(["queue", "map"], POLICIES, FAILURES, ENDS)
    return [c for c in every if c[3] != "stop with blocked writers" or c[1].startswith("block")]


@pytest.mark.both_faces
@pytest.mark.parametrize(("kind", "policy", "failure", "end"), combinations())
def test_whatever_fails_every_item_is_in_one_place_and_no_room_is_lost(
    face: str, kind: str, policy: str, failure: str, end: str
) -> None:
    if face == "tasks" and end == "exception":
        end = "stop"  # its block is the test's own, and not left by an exception
    with contextlib.closing(Cell(face, kind, policy, failure, end)) as cell:
        writes = admitted(policy)
        even, odd = ([item for item in writes.kept if item % 2 == lane] for lane in (0, 1))
        outcome = expected(failure, end, even)
        left = [item for item in even if item not in outcome.delivered + outcome.dead]
        coalesced = cell.begin(writes)

        report = cell.reach_the_end()

        check_time(cell, left)
        stats, processor = cell.buffer.stats(), cell.processor
        check(stats, outcome, writes, coalesced)
        assert processor.delivered == (outcome.delivered, odd)
        assert processor.dead == outcome.dead
        assert stats.dead_letter_errors == (failure == "handler raises") * len(outcome.dead)
        assert stats.held == len(left)
        if report is not None:
            assert report.delivered == stats.delivered - cell.before.delivered
            assert report.dead_lettered == stats.dead_lettered - cell.before.dead_lettered
            assert [key_of(item) for item in report.left] == left
        go_on(cell, outcome, odd, left)


def check_time(cell: Cell, left: list[int]) -> None:
    took, timeout = cell.clock.monotonic() - cell.began, TIMEOUTS.get(cell.end)
    if timeout is not None:
        assert took == timeout if left else took <= timeout
    elif is_handed_over(cell.failure, cell.end):
        assert took == HANDED_OVER_AFTER[cell.failure]
    elif left:  # a call did not return
        assert took == PROCESSING_TIMEOUT


def go_on(cell: Cell, outcome: Outcome, odd: list[int], left: list[int]) -> None:
    """Start again: what was left is delivered then, once, in order, and all the room is there."""
    buffer, processor = cell.buffer, cell.processor
    if is_stuck(cell.failure, cell.end):
        with pytest.raises(BufferAlreadyRunning, match="has not returned"):
            buffer.start()
    processor.release()
    cell.join()
    left = [item for item in left if item not in outcome.late]
    before = buffer.stats()
    assert before.held == len(left)
    with pytest.raises(BufferNotRunning):
        cell.write(0)
    processor.recover()
    buffer.start()
    items = itertools.count(1000)
    fresh = cell.fill_up(items, to_the_brim=not cell.policy.startswith("drop_oldest"))
    buffer.flush()

    assert processor.delivered == (
        [*outcome.delivered, *outcome.late, *left, *(item for item in fresh if item % 2 == 0)],
        [*odd, *(item for item in fresh if item % 2)],
    )
    assert buffer.size() == 0
    assert buffer.stats().delivered == before.delivered + len(left) + len(fresh)
    cell.fill_up(items, to_the_brim=True)
    assert buffer.stop().left == ()
    assert processor.values <= {"new"}
    assert_balanced(buffer.stats())
    cell.join()
