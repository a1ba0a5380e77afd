"""The checker of histories sees what it is for: each fault is planted once."""

import itertools
from pathlib import Path
from typing import Any

import histories
import pytest
from histories import ACKNOWLEDGED, BEGUN, ENDED, NOTHING, PUSHED, Batch, Call, Diary, History, Item

ONE, TWO = 101, 102
"""Workers."""


class Made:
    """A history that is made up: of one producer and one key, partition 0."""

    def __init__(self, count: int) -> None:
        self.items = [Item(1, 0, number) for number in range(count)]
        self.history = History(self.items[:], self.items[:], [])
        self._clock = itertools.count()

    def call(
        self, first: int, *, size: int = 5, worker: int = ONE, token: int = 1, ends: bool = True
    ) -> Call:
        begun = float(next(self._clock))
        batch = Batch(0, 0, first, size, 0, token)
        call = Call(worker, batch, self.items[first : first + size], begun)
        call.ended = float(next(self._clock)) if ends else None
        self.history.calls.append(call)
        return call

    def check(self, **options: Any) -> None:
        histories.check(self.history, window=5, **options)


def test_what_is_as_it_should_be_is_no_fault() -> None:
    made = Made(20)
    for first in (0, 5, 10, 15):
        made.call(first)
    made.check()


def test_a_lost_item_is_seen() -> None:
    made = Made(11)
    made.call(0)
    made.call(5)
    with pytest.raises(AssertionError, match=r"1 lost: .*number=10"):
        made.check()


def test_an_item_whose_call_never_ended_is_lost() -> None:
    made = Made(10)
    made.call(0)
    made.call(5, ends=False)
    with pytest.raises(AssertionError, match="5 lost"):
        made.check(killed=[ONE])


def test_an_item_that_nobody_pushed_is_seen() -> None:
    made = Made(5)
    made.call(0).items.append(Item(9, 0, 0))
    with pytest.raises(AssertionError, match="never pushed"):
        made.check()


def test_a_swapped_pair_is_seen() -> None:
    made = Made(10)
    made.call(0)
    items = made.call(5).items
    items[1], items[2] = items[2], items[1]
    with pytest.raises(AssertionError, match=r"out of order: .*number=6.*, 7\)"):
        made.check()


def test_what_comes_again_is_not_out_of_order() -> None:
    made = Made(10)
    made.call(0)
    made.call(5, ends=False)
    made.call(5, worker=TWO, token=2)
    made.check(killed=[ONE])
    assert [(repeat.worker, repeat.items) for repeat in histories.repeats(made.history)] == [
        (ONE, 5)
    ]


def test_a_repeat_though_nobody_was_killed_is_seen() -> None:
    made = Made(5)
    made.call(0)
    made.call(0, worker=TWO, token=2)
    with pytest.raises(AssertionError, match="nobody was killed"):
        made.check()


def test_a_repeat_of_more_than_a_window_is_seen() -> None:
    made = Made(10)
    made.call(0)
    made.call(5)
    made.call(0, worker=TWO, token=2)
    made.call(5, worker=TWO, token=2)
    with pytest.raises(AssertionError, match="more than a window"):
        made.check(killed=[ONE])


def test_a_window_may_come_again_at_each_kill() -> None:
    made = Made(5)
    made.call(0, ends=False)
    made.call(0, ends=False, worker=TWO, token=2)
    made.call(0, worker=103, token=3)
    made.check(killed=[ONE, TWO])


def test_an_owner_that_was_replaced_is_seen() -> None:
    made = Made(15)
    made.call(0)
    made.call(5, worker=TWO, token=2)
    made.call(10)
    with pytest.raises(AssertionError, match="earlier owner"):
        made.check()
    made.check(asleep=[ONE])


def test_a_sleeper_that_begins_more_than_one_call_is_seen() -> None:
    made = Made(20)
    made.call(0)
    made.call(5, worker=TWO, token=2)
    made.call(10)
    made.call(15)
    with pytest.raises(AssertionError, match="2 calls by an earlier owner"):
        made.check(asleep=[ONE])


def test_what_the_server_has_told_to_be_lost_may_be() -> None:
    made = Made(8)
    made.call(0)
    made.check(may_lose=3)
    with pytest.raises(AssertionError, match="3 lost"):
        made.check(may_lose=2)


def test_an_id_with_other_items_is_seen() -> None:
    made = Made(10)
    made.call(0, ends=False)
    call = made.call(5, worker=TWO, token=2)
    call.batch = call.batch._replace(position=0)
    made.call(0, worker=TWO, token=2)
    with pytest.raises(AssertionError, match="another batch of that id"):
        made.check(killed=[ONE, TWO])


def test_how_long_a_takeover_took_is_measured() -> None:
    made = Made(15)
    made.call(0)
    made.call(5, worker=TWO, token=2)
    made.call(10, worker=TWO, token=2)
    assert list(histories.takeovers(made.history, {ONE: 1.5, TWO: 99.0})) == [0.5]


def test_what_was_said_is_read_again(tmp_path: Path) -> None:
    diary, items = Diary(tmp_path, "worker"), [Item(1, 2, 3), Item(1, 2, 4)]
    batch = Batch(1, 2, 3, 2, 0, 1 << 50)
    diary.write(PUSHED, items)
    diary.write(ACKNOWLEDGED, items[:1])
    diary.write(BEGUN, items, batch)
    diary.write(ENDED, [NOTHING], batch)
    diary.write(BEGUN, items[:1], batch)

    history = histories.read(tmp_path)

    assert (history.pushed, history.acknowledged) == (items, items[:1])
    one, two = history.calls
    assert (one.batch, one.items) == (batch, items)
    assert one.begun <= (one.ended or 0) <= two.begun
    assert (two.items, two.ended) == (items[:1], None)
