"""The cases: each is run in a process of its own, and returns times by subject."""

import asyncio
import gc
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from partitioned_buffer import AsyncQueue, Queue
from partitioned_buffer.storage import SQLite

from ..speed.measure import call_each, rounds, timed, together
from .shim import counts
from .subjects import ASLEEP, FLOOR, OURS, PEERS, Floor, Ours, Subject, _nothing

ITEM = b"x" * 100


class Account:
    """What the batches of one subject took."""

    def __init__(self, subject: Subject, batch: Sequence[bytes]) -> None:
        self._put = partial(subject.put, batch)
        self.times: list[float] = []
        self.number = self.syncs = self.bytes = 0
        self._spent: list[float] = []

    def put(self) -> None:
        before = counts()
        self._spent.append(timed(self._put, 1))
        self.number += 1
        if before is not None and (after := counts()) is not None:
            since = after.since(before)
            self.syncs, self.bytes = self.syncs + since.syncs, self.bytes + since.bytes

    def end_round(self) -> None:
        self.times.append(sum(self._spent) / len(self._spent))
        self._spent.clear()


def _in_turn(subjects: dict[str, Subject], size: int, times: int, each: int) -> dict[str, Any]:
    """
    Return nanoseconds per batch, a number a round, and syncs and bytes per batch.

    A round is some batches of each subject, one of each after the other: what a disk does to one
    it does to all. A subject that takes a commit per item has one batch a round.
    """
    accounts = {name: Account(subject, [ITEM] * size) for name, subject in subjects.items()}
    for _ in range(times):
        gc.collect()
        for number in range(each):
            for name, account in accounts.items():
                if number == 0 or name != "persist-queue":
                    account.put()
        for account in accounts.values():
            account.end_round()
    found: dict[str, Any] = {"times": {name: each.times for name, each in accounts.items()}}
    if counts() is not None:
        found["counts"] = {
            name: (each.syncs / each.number, each.bytes / each.number / (size * len(ITEM)))
            for name, each in accounts.items()
        }
    return found


def batches(folder: Path, quick: bool) -> dict[str, Any]:
    """1000 items at once."""
    delivering = f"{OURS}, delivering meanwhile"
    subjects: dict[str, Subject] = {
        FLOOR: Floor(folder),
        OURS: Ours(folder),
        delivering: Ours(folder, "delivering", processing_interval=0.01),
        **{name: make(folder) for name, make in PEERS.items()},
    }
    try:
        return _in_turn(subjects, 1000, 5 if quick else 15, 10 if quick else 20)
    finally:
        for subject in subjects.values():
            subject.close()


def pushes(folder: Path, quick: bool) -> dict[str, Any]:
    """One push after the other."""
    count, number = (100, 5) if quick else (500, 15)
    floor, ours = Floor(folder), Ours(folder)
    items = [ITEM] * count

    def append() -> None:
        for item in items:
            floor.put((item,))

    subjects: dict[str, Callable[[], float]] = {
        FLOOR: lambda: timed(append, count),
        "Queue.push": lambda: timed(call_each(ours.queue.push, items), count),
    }
    peers = {name: make(folder) for name, make in PEERS.items()}
    opened: list[Subject] = [floor, ours, *peers.values()]
    for name, peer in peers.items():
        each = [(ITEM,)] * count
        subjects[name] = partial(timed, call_each(peer.put, each), count)
    found = _rounds(subjects, number)
    for subject in opened:
        subject.close()
    return found


def _rounds(subjects: dict[str, Callable[[], float]], number: int) -> dict[str, Any]:
    return {"times": {name: row.times for name, row in rounds(subjects, number).items()}}


def threads(folder: Path, quick: bool) -> dict[str, Any]:
    """Threads that push, each one item after the other."""
    count, number = (100, 3) if quick else (400, 9)
    ours = Ours(folder)

    def run(many: int) -> float:
        return together(call_each(ours.queue.push, [ITEM] * count), many, count)

    subjects: dict[str, Callable[[], float]] = {
        f"{many} thread{'s' * (many > 1)}": partial(run, many) for many in (1, 8, 32)
    }
    try:
        return _rounds(subjects, number)
    finally:
        ours.close()


def tasks(folder: Path, quick: bool) -> dict[str, Any]:
    """Tasks of one loop that push, each one item after the other."""
    count, number = (50, 3) if quick else (200, 9)

    async def run(many: int) -> float:
        made = SQLite(Path(tempfile.mkdtemp(dir=folder)) / "tasks.db", fsync="commit")
        queue = AsyncQueue[Any]("tasks", _nothing, storage=made, processing_interval=ASLEEP)

        async def push() -> None:
            for _ in range(count):
                await queue.push(ITEM)

        async with queue:
            began = time.perf_counter_ns()
            await asyncio.gather(*(push() for _ in range(many)))
            spent = time.perf_counter_ns() - began
            queue.update_options(processing_batch_size="table")
        return spent / (count * many)

    subjects: dict[str, Callable[[], float]] = {
        f"{many} task{'s' * (many > 1)}": partial(lambda many: asyncio.run(run(many)), many)
        for many in (1, 32, 1000)
    }
    return _rounds(subjects, number)


def delivery(folder: Path, quick: bool) -> dict[str, Any]:
    """What waits is delivered, ten at a time."""
    count, number = (20_000, 3) if quick else (200_000, 9)
    items = [ITEM] * count

    def drain(storage: SQLite | None) -> float:
        queue = Queue[Any](
            "delivery",
            _nothing,
            storage=storage,
            processing_interval=ASLEEP,
            processing_batch_size=10,
        ).start()
        for at in range(0, count, 1000):
            queue.push_all(items[at : at + 1000])
        taken = timed(queue.flush, count)
        queue.stop()
        return taken

    def stored() -> float:
        place = Path(tempfile.mkdtemp(dir=folder)) / "delivery.db"
        return drain(SQLite(place, fsync="commit"))

    subjects: dict[str, Callable[[], float]] = {
        "list.append": lambda: timed(call_each([].append, items), count),
        "Queue in memory": partial(drain, None),
        "Queue in a file": stored,
    }
    return _rounds(subjects, number)


CASES = {
    "batches": batches,
    "pushes": pushes,
    "threads": threads,
    "tasks": tasks,
    "delivery": delivery,
}
