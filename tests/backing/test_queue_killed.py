"""A stored Queue under `kill -9`: nothing that was acknowledged is lost, or out of order."""

import random
import signal
from collections import defaultdict
from itertools import groupby, pairwise
from pathlib import Path

import pytest
import victims
from helpers import rounds
from programs import kill_when
from victims import ACKNOWLEDGED, DELIVERED, GIVEN, RECORD, ROUND, Item, Log, Processor, Said

from partitioned_buffer import Queue
from partitioned_buffer.testing import assert_balanced

pytest.importorskip("msgspec")
pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="nobody is killed here")

PLENTY = 10**6
"""More than a writer pushes in a round."""

DRAINED = 5
"""How many items a batch has at the end."""


@pytest.mark.parametrize("fsync", ["os", "commit"])
@pytest.mark.both_faces
def test_nothing_is_lost_and_little_comes_twice(face: str, fsync: str, tmp_path: Path) -> None:
    path, said = tmp_path / "events.db", tmp_path / "said"
    log, sizes = Log(said), [random.choice((3, 7, 20)) for _ in range(rounds(30, least=3))]
    for number, size in enumerate(sizes):
        log.begin_round()
        kill_one(path, said, fsync, face, str(number * PLENTY), str(size))
    log.begin_round()
    drain(path, log)

    lives = lives_in(said)
    assert len(lives) == len(sizes) + 1
    check_that_nothing_is_lost(lives)
    check_order(lives)
    check_ids(lives)
    check_what_came_twice(lives, [*sizes, DRAINED])


def kill_one(path: Path, said: Path, *more: str) -> None:
    """Let a program go on until it has said enough, and kill it."""
    enough = said.stat().st_size + RECORD.size * random.randrange(1, 3000)
    complaint = kill_when(
        lambda: said.stat().st_size >= enough,
        victims.__file__,
        *(str(path), str(said), *more),
        complaint=path.with_name("complaint"),
    )
    assert complaint == ""


def drain(path: Path, log: Log) -> None:
    queue = Queue(
        "killed", Processor(log, fails=False), **victims.options(str(path), "os", DRAINED)
    )
    with queue:
        queue.flush()
        stats = queue.stats()
        assert stats.accepted == stats.recovered == stats.delivered
        assert queue.size() == 0
    assert_balanced(queue.stats())


def lives_in(said: Path) -> list[list[Said]]:
    """Return what was said in each round."""
    lives: list[list[Said]] = []
    for one in victims.said_in(said):
        if one.kind == ROUND:
            lives.append([])
        else:
            lives[-1].append(one)
    return lives


def items_in(life: list[Said], kind: bytes) -> list[Item]:
    return [one.item for one in life if one.kind == kind]


def check_that_nothing_is_lost(lives: list[list[Said]]) -> None:
    acknowledged = {item for life in lives for item in items_in(life, ACKNOWLEDGED)}
    delivered = {item for life in lives for item in items_in(life, DELIVERED)}
    assert len(acknowledged) > 100
    assert acknowledged <= delivered


def check_order(lives: list[list[Said]]) -> None:
    """Each key's items are delivered in order within a life, and new ones over all lives."""
    last, known = defaultdict[int, int](lambda: -1), set[Item]()
    for life in lives:
        here = defaultdict[int, int](lambda: -1)
        for key, number in items_in(life, DELIVERED):
            assert number > here[key], "twice in a life, or out of order"
            assert number > last[key] or (key, number) in known, "out of order"
            here[key], last[key] = number, max(last[key], number)
            known.add((key, number))


def batches_of(life: list[Said], partition: int) -> list[list[Said]]:
    """Return what the processor was given, call by call; of the last one, perhaps not all."""
    given = [one for one in life if one.kind == GIVEN and one.partition == partition]
    found: list[list[Said]] = []
    for _, group in groupby(given, key=lambda one: one.batch):
        ones = list(group)
        size = ones[0].size
        found += [ones[at : at + size] for at in range(0, len(ones), size)]
    return found


def check_ids(lives: list[list[Said]]) -> None:
    known: dict[tuple[int, ...], list[Item]] = {}
    for life in lives:
        for batch in (batch for partition in range(3) for batch in batches_of(life, partition)):
            items = [one.item for one in batch]
            if len(items) == batch[0].size:
                assert known.setdefault(batch[0].batch, items) == items


def check_what_came_twice(lives: list[list[Said]], sizes: list[int]) -> None:
    """
    What is delivered again was with the processor at the kill.

    A whole batch is as it was, unless batches are smaller now.
    """
    delivered, in_flight = set[Item](), set[Item]()
    for (life, after), size in zip(pairwise([*lives, []]), [*sizes[1:], 0], strict=True):
        here = set(items_in(life, DELIVERED))
        assert here & delivered <= in_flight
        delivered |= here
        in_flight -= here  # what is left of it was killed before it came again
        for partition in range(3):
            mine, next_ones = (batches_of(each, partition) for each in (life, after))
            if not mine:
                continue
            in_flight |= {one.item for one in mine[-1]}
            if not next_ones:
                continue
            twice = {one.item for one in next_ones[0]} & delivered_by(life, mine[-1])
            if twice and is_new(mine):
                assert next_ones[0][0][2:5] == (*mine[-1][0][2:3], min(mine[-1][0].size, size), 0)


def delivered_by(life: list[Said], batch: list[Said]) -> set[Item]:
    """Return what a call has delivered, perhaps before a kill."""
    return {one.item for one in life if one.kind == DELIVERED and one.batch == batch[0].batch}


def is_new(batches: list[list[Said]]) -> bool:
    """Return whether the last is none, and no part, of those before."""
    *before, last = batches
    return (
        last[0].gaps == 0
        and len(last) == last[0].size
        and all(one[0].position < last[0].position for one in before)
        and all(one[0].gaps == 0 for one in before[-1:])
    )
