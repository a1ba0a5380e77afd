"""The checker of histories of Maps sees what it is for: each fault is planted once."""

import itertools
from typing import Any

import map_histories
import pytest
from histories import Batch, Call, History, Item
from map_histories import SUMS

ONE, TWO = 101, 102
"""Workers."""


class Made:
    """A history that is made up: two keys with versions, one that is added to; partition 0."""

    def __init__(self) -> None:
        self.history = History()
        self._clock = itertools.count()

    def put(self, *items: Item) -> None:
        self.history.pushed += items
        self.history.acknowledged += items

    def call(self, *items: Item, worker: int = ONE, token: int = 1, ends: bool = True) -> Call:
        call = Call(worker, Batch(0, 0, 0, len(items), 0, token), list(items), self._now())
        self.history.calls.append(call)
        if ends:
            self.end(call)
        return call

    def end(self, call: Call) -> None:
        call.ended = self._now()

    def _now(self) -> float:
        return float(next(self._clock))

    def check(self, **options: Any) -> None:
        map_histories.check(self.history, window=2, **options)


def of(key: int, version: int) -> Item:
    return Item(0, key, version)


ADDED = Item(SUMS, 7, 1)


def two(made: Made) -> list[Item]:
    """Have put two keys, twice each."""
    made.put(of(1, 10), of(2, 10), of(1, 20), of(2, 20))
    return [of(1, 20), of(2, 20)]


def test_what_is_as_it_should_be_is_no_fault() -> None:
    made = Made()
    made.put(ADDED, ADDED, ADDED)
    last = two(made)
    made.call(of(1, 10))
    made.call(*last)
    made.call(Item(SUMS, 7, 2))
    made.call(ADDED)
    made.check()


def test_a_newest_version_that_is_missing_is_seen() -> None:
    made = Made()
    one, _ = two(made)
    made.call(one, of(2, 10))
    with pytest.raises(AssertionError, match=r"newest of 1 keys is missing: \[\(2, 20\)\]"):
        made.check()


def test_a_version_whose_call_never_ended_is_missing() -> None:
    made = Made()
    made.call(*two(made), ends=False)
    with pytest.raises(AssertionError, match="newest of 2 keys"):
        made.check(killed=[ONE])


def test_a_version_that_nobody_put_is_seen() -> None:
    made = Made()
    made.call(*two(made), of(3, 1))
    with pytest.raises(AssertionError, match="never put"):
        made.check()


def test_a_key_that_goes_back_is_seen() -> None:
    made = Made()
    made.call(*two(made))
    made.call(of(1, 10))
    with pytest.raises(AssertionError, match="went back"):
        made.check(killed=[ONE])


def test_a_key_that_goes_back_under_a_later_token_is_seen_by_who_looks_at_tokens() -> None:
    made = Made()
    made.call(*two(made))
    made.call(of(1, 10), worker=TWO, token=2)
    with pytest.raises(AssertionError, match="went back"):
        made.check(asleep=[TWO])


def test_what_comes_late_of_who_slept_is_no_fault_and_of_others_is() -> None:
    made = Made()
    last = two(made)
    late = made.call(of(1, 10), ends=False)
    made.call(*last, worker=TWO, token=2)
    made.end(late)
    assert len(map_histories.back(made.history)) == 1
    assert map_histories.back(made.history, fenced=True) == []
    made.check(asleep=[ONE])
    with pytest.raises(AssertionError, match="nobody slept"):
        made.check(killed=[ONE])


def test_what_comes_twice_without_a_reason_is_seen() -> None:
    made = Made()
    last = two(made)
    made.call(*last)
    made.call(*last, worker=TWO, token=2)
    with pytest.raises(AssertionError, match="twice, and nobody was killed"):
        made.check()
    made.check(killed=[ONE])


def test_more_than_a_window_twice_is_seen() -> None:
    made = Made()
    last = [*two(made), of(3, 5)]
    made.put(of(3, 5))
    made.call(*last)
    made.call(*last, worker=TWO, token=2)
    with pytest.raises(AssertionError, match="more than a window"):
        made.check(killed=[ONE])


def test_an_increment_that_is_lost_is_seen() -> None:
    made = Made()
    made.put(ADDED, ADDED)
    made.call(ADDED)
    with pytest.raises(AssertionError, match=r"less than was acknowledged: \[\(7, \(1, 2\)\)\]"):
        made.check(killed=[ONE])


def test_an_increment_that_comes_twice_is_seen_where_nobody_was_killed() -> None:
    made = Made()
    made.put(ADDED)
    made.call(ADDED)
    made.call(ADDED)
    with pytest.raises(AssertionError, match="more than was put"):
        made.check()
    made.check(killed=[ONE])
