"""
Every call of a table at once, from several threads, while its worker goes on: the ledger holds.

What it is for is to be watched by a sanitizer that sees two threads meet: each call does here.
"""

import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from hammers import MADE, Drain, hammer
from helpers import often_switched
from implementations import Key, balanced, opened

pytestmark = pytest.mark.stress

BOUNDS = [(None, None, None), (40, None, "block"), (None, 90, "raise"), (40, None, "drop_oldest")]
Call = Callable[[], object]


@pytest.fixture(params=BOUNDS, ids=["free", "items", "bytes", "oldest"])
def room(request: pytest.FixtureRequest, made: Any) -> Iterator[Any]:
    with often_switched():
        yield made.Room(*request.param) if any(request.param) else None


def weights(room: Any) -> int:
    """Return what a weight is multiplied by: there are none where bytes are not bounded."""
    return int(room is not None and room.weighed)


def looks(table: Any, room: Any) -> list[Call]:
    """Return what may be called of any table, whoever calls it."""
    calls: list[Call] = [
        table.counts, table.load, table.held, table.drop_oldest, partial(len, table),
        partial(table.drop, 1), partial(table.retune, 5), partial(table.rewire, lambda: None),
        partial(setattr, table, "observer", lambda _: None),
        partial(setattr, table, "observer", None),
        partial(setattr, table, "partition", "one"), lambda: table.partition,
        lambda: (table.closed, table.accepted, table.delivered, table.observer),
    ]  # fmt: skip
    if room is not None:
        room.serve = lambda: None
        calls += [
            room.recount, partial(room.has, 1, 1), partial(room.fits, 1, 1),
            partial(setattr, room, "line", 1), partial(setattr, room, "line", 0),
            lambda: (room.used, room.used_bytes, room.line, room.line_bytes, room.serve),
        ]  # fmt: skip
    return calls


class Worker(Drain):
    """Does everything that a worker may, and buries some."""

    def fail_in_part(self, batch: list[Any]) -> None:
        self.table.keep({0})
        self.table.again(1)
        self.table.bury(None)
        self.table.reach(2)
        if hasattr(self.table, "take_table") and self.table.take_table():
            self.table.acknowledge()
        self.table.faults()


def together(table: Any, room: Any, calls: Callable[[int, int], list[Call]]) -> None:
    worker, others = Worker(table, 7, in_part=True), looks(table, room)
    chance = random.Random(2)

    def write(me: int, number: int) -> int:
        chance.choice(calls(me, number) + others[number % len(others) :][:1])()
        return MADE

    _, wrong = hammer(table, room, write)
    table.close()
    worker.finish()

    assert not wrong
    assert balanced(table)
    assert len(table) == 0
    if room is not None:
        assert (room.used, room.used_bytes) == room.recount() == (0, 0)


def test_of_a_queue(made: Any, room: Any) -> None:
    table, weight = opened(made.QueueTable(room)), weights(room)

    def calls(me: int, number: int) -> list[Call]:
        return [
            partial(table.push, (me, number), number % 4 * weight),
            partial(table.push_all, [1, 2, 3], [1, 2, 3] if weight else None),
        ]

    together(table, room, calls)


@pytest.mark.parametrize("merges", [False, True])
@pytest.mark.parametrize("boxed", [False, True])
def test_of_a_map(made: Any, room: Any, merges: bool, boxed: bool) -> None:
    weight, merge = weights(room), (lambda old, _: old) if merges else None
    table = opened(made.MapTable(room, merge, 5, (lambda _: 2) if weight else None))

    def calls(me: int, number: int) -> list[Call]:
        key: Any = Key(number % 11) if boxed and number % 3 else number % 11
        version = None if merges else number
        return [
            partial(table.put, key, me), partial(table.put, key, [me], version, 2 * weight),
            partial(table.put, (key, 1), "text", version, weight), partial(table.get, key),
            partial(table.has, key), partial(table.delete, key),
            partial(table.put_all, [(key, me, None, weight), (number % 5, 2, version, weight)]),
            partial(table.needs, [(key, me, None, weight)]),
        ]  # fmt: skip

    together(table, room, calls)
