"""
What processes that share a buffer have said, and whether a buffer may behave like that.

Producers say what they push, and what was accepted; workers, which batch the processor was given,
and that its call is over. Each says it in a file of its own, in records of one length, a call of
the system for each batch: a kill cuts none in the middle. The clock is one for all processes.
"""

import os
import struct
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from partitioned_buffer import batch_id, fencing_token

RECORD = struct.Struct("<cBHIQQQIIdIIQ")
PUSHED, ACKNOWLEDGED, BEGUN, ENDED = b"p", b"a", b"b", b"e"


class Item(NamedTuple):
    """What is pushed: *number* counts what a producer has pushed, whatever the key."""

    producer: int
    key: int
    number: int


class Batch(NamedTuple):
    """What a batch is told by, and the token that it came with."""

    generation: int
    partition: int
    position: int
    size: int
    gaps: int
    token: int

    @property
    def where(self) -> tuple[int, int]:
        return self.generation, self.partition


NOBODY, NOTHING = Batch(0, 0, 0, 0, 0, 0), Item(0, 0, 0)


@dataclass
class Call:
    """Of a processor."""

    worker: int
    batch: Batch
    items: list[Item]
    begun: float
    ended: float | None = None


class Diary:
    """Where one process says it."""

    def __init__(self, folder: Path, role: str) -> None:
        path = folder / f"{role}-{os.getpid()}"
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def write(self, kind: bytes, items: Iterable[Item], batch: Batch = NOBODY) -> None:
        now, where = time.monotonic(), (batch.generation, batch.partition)
        os.write(
            self._file,
            b"".join(
                RECORD.pack(
                    kind, 0, item.key, batch.size, batch.position, batch.token, item.producer,
                    *where, now, batch.gaps, 0, item.number,
                )
                for item in items
            ),
        )  # fmt: skip

    def given(self, items: Sequence[Any]) -> Batch:
        """Say that the processor was given these; return as what."""
        made = batch_id()
        generation = int(made.store.rpartition("-")[2])
        batch = Batch(generation, *made[2:], fencing_token())
        self.write(BEGUN, [Item(*item) for item in items], batch)
        return batch

    def done(self, batch: Batch) -> None:
        """Say that it is over with that batch."""
        self.write(ENDED, [NOTHING], batch)


@dataclass
class History:
    """Of all processes."""

    pushed: list[Item] = field(default_factory=list)
    acknowledged: list[Item] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)


def read(folder: Path) -> History:
    """Return what was said in *folder*."""
    history = History()
    for path in sorted(folder.iterdir()):
        data, worker = path.read_bytes(), int(path.name.rpartition("-")[2])
        assert len(data) % RECORD.size == 0, path
        for key, group in groupby(RECORD.iter_unpack(data), _what):
            _take(history, worker, key, [Item(each[6], each[2], each[12]) for each in group])
    history.calls.sort(key=lambda call: call.begun)
    return history


_What = tuple[bytes, float, Batch]


def _what(fields: tuple[Any, ...]) -> _What:
    kind, _, _, size, position, token, _, generation, partition, at, gaps, _, _ = fields
    return kind, at, Batch(generation, partition, position, size, gaps, token)


def _take(history: History, worker: int, what: _What, items: list[Item]) -> None:
    kind, at, batch = what
    if kind == BEGUN:
        history.calls.append(Call(worker, batch, items, at))
    elif kind == ENDED:
        mine = (call for call in reversed(history.calls) if call.worker == worker)
        next(call for call in mine if call.batch == batch and call.ended is None).ended = at
    else:
        (history.pushed if kind == PUSHED else history.acknowledged).extend(items)


# --- what may not be -----------------------------------------------------------


def lost(history: History) -> set[Item]:
    """Return what was acknowledged, and never delivered."""
    delivered = {item for call in history.calls if call.ended is not None for item in call.items}
    return set(history.acknowledged) - delivered


def foreign(history: History) -> set[Item]:
    """Return what was delivered, and never pushed."""
    return {item for call in history.calls for item in call.items} - set(history.pushed)


def out_of_order(history: History) -> list[tuple[Item, int]]:
    """Return what came first behind a later one of its producer and key; and that one's number."""
    found, last, seen = list[tuple[Item, int]](), dict[tuple[int, int], int](), set[Item]()
    for item in (item for call in history.calls for item in call.items if not _seen(item, seen)):
        before = last.get(item[:2], -1)
        if item.number < before:
            found.append((item, before))
        last[item[:2]] = max(before, item.number)
    return found


def _seen(item: Item, seen: set[Item]) -> bool:
    was = item in seen
    seen.add(item)
    return was


class Repeat(NamedTuple):
    """What a partition delivered again under a token, all of it last given to one worker."""

    where: tuple[int, int]
    token: int
    worker: int
    items: int


def repeats(history: History) -> list[Repeat]:
    """Return what was given to processors more than once."""
    given, found = dict[Item, Call](), Counter[tuple[tuple[int, int], int, int]]()
    for call in history.calls:
        for item in call.items:
            if (before := given.get(item)) is not None:
                found[call.batch.where, call.batch.token, before.worker] += 1
            given[item] = call
    return [Repeat(*key, count) for key, count in found.items()]


def stale(history: History) -> list[Call]:
    """Return the calls that began after another owner had ended one of that partition."""
    found, ends = list[Call](), defaultdict[tuple[int, int], list[tuple[float, int]]](list)
    for call in history.calls:
        if call.ended is not None:
            ends[call.batch.where].append((call.ended, call.batch.token))
    for call in history.calls:
        theirs = ends[call.batch.where]
        if any(end < call.begun and token > call.batch.token for end, token in theirs):
            found.append(call)
    return found


def other_items(history: History) -> list[tuple[Call, Call]]:
    """Return pairs of whole batches of one id that hold different items."""
    found, known = list[tuple[Call, Call]](), dict[tuple[int, ...], Call]()
    for call in history.calls:
        if len(call.items) == call.batch.size:
            before = known.setdefault(call.batch[:5], call)
            if before.items != call.items:
                found.append((before, call))
    return found


def takeovers(history: History, ends: dict[int, float]) -> Iterator[float]:
    """Yield for each partition of a killed worker how long it took until another had it."""
    for worker, at in ends.items():
        before = [call for call in history.calls if call.begun <= at]
        last = {call.batch.where: call.worker for call in before}
        for where in (where for where, owner in last.items() if owner == worker):
            after = (c.begun for c in history.calls if c.begun > at and c.batch.where == where)
            yield from (begun - at for begun in list(after)[:1])


def check(
    history: History,
    *,
    window: int,
    killed: Collection[int] = (),
    asleep: Collection[int] = (),
    away: bool = False,
    may_lose: int = 0,
) -> None:
    """
    Fail if a buffer may not behave like that.

    *killed* are the workers that were, *asleep* those that slept for longer than their leases: what
    they had in hand may come again, one *window* of each partition; *away*: so may what anybody
    had, for the server was not there. It has told that it lost as many as it *may_lose*.
    """
    assert not foreign(history), f"never pushed: {sorted(foreign(history))[:5]}"
    missing = lost(history)
    assert len(missing) <= may_lose, f"{len(missing)} lost: {sorted(missing)[:5]}"
    if not may_lose:  # else their positions are given to others
        assert not other_items(history), f"another batch of that id: {other_items(history)[:1]}"
    assert not out_of_order(history), f"out of order: {out_of_order(history)[:5]}"
    gone = {*killed, *asleep}
    for repeat in repeats(history):
        assert away or repeat.worker in gone, f"twice, and nobody was killed: {repeat}"
        assert repeat.items <= window, f"more than a window: {repeat}"
    late = stale(history)
    awake = [call for call in late if call.worker not in asleep]
    assert not awake, f"by an earlier owner: {awake[:1]}"
    # One call may have been about to begin when the worker fell asleep.
    most = max(Counter((call.worker, call.batch.where) for call in late).values(), default=0)
    assert most <= 1, f"{most} calls by an earlier owner: {late[:1]}"
