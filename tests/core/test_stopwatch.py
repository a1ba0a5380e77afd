"""What a worker's stopwatch counts, and how it reads its clock; both implementations."""

import gc
import itertools
import threading
import weakref
from bisect import bisect_left
from collections.abc import Callable
from itertools import chain, pairwise
from typing import Any

import pytest
from helpers import join, often_switched
from implementations import SECONDS

from partitioned_buffer._core.measures import BOUNDS


class Hands:
    """A clock that stands where it is put."""

    def __init__(self) -> None:
        self.now: Any = 100.0

    def __call__(self) -> Any:
        return self.now


class Watch:
    """One over few bounds, whose calls take as long as they are told to."""

    def __init__(self, made: Any) -> None:
        self.hands = Hands()
        self.it = made.Stopwatch(self.hands, (1.0, 2.0, 4.0))

    def take(self, *seconds: float, again: bool = False) -> None:
        for each in seconds:
            self.hands.now += each
            assert self.it.returned(again) == self.hands.now


@pytest.fixture
def watch(made: Any) -> Watch:
    return Watch(made)


def test_before_the_first_call_there_is_nothing(watch: Watch) -> None:
    assert watch.it.times() == ((0, 0, 0, 0), 0, 0.0, 0.0, None)
    assert watch.it.settled_at == 100.0


def test_one_reading_ends_a_call_and_begins_the_next(watch: Watch) -> None:
    watch.take(0.5, 1.5, 8.0)
    assert watch.it.times() == ((1, 1, 0, 1), 3, 10.0, 8.0, 110.0)
    assert watch.it.settled_at == 110.0


def test_a_call_takes_from_when_it_began(watch: Watch) -> None:
    watch.hands.now = 150.0
    assert watch.it.begin() == 150.0
    watch.take(3.0)
    assert watch.it.times() == ((0, 0, 1, 0), 1, 3.0, 3.0, 153.0)


def test_a_bound_is_part_of_what_is_below_it(watch: Watch) -> None:
    watch.take(1.0, 2.0, 4.0)
    assert watch.it.times()[0] == (1, 1, 1, 0)


def test_of_quick_ones_none_is_the_longest(watch: Watch) -> None:
    watch.take(0.5, 1.0)
    assert watch.it.times()[3] == 0.0
    watch.take(3.0, 2.0)
    assert watch.it.times()[3] == 3.0


def test_another_attempt_is_a_call_and_no_batch(watch: Watch) -> None:
    watch.take(0.5, 3.0, again=True)
    assert watch.it.times() == ((1, 0, 1, 0), 0, 3.5, 3.0, 103.5)
    watch.hands.now += 0.5
    assert watch.it.raised(True) == 104.0
    assert watch.it.times()[:2] == ((2, 0, 1, 0), 0)


def test_one_that_raised_is_a_call_and_no_success(watch: Watch) -> None:
    watch.take(0.5)
    watch.hands.now += 3.0
    assert watch.it.raised() == 103.5
    assert watch.it.times() == ((1, 0, 1, 0), 2, 3.5, 3.0, 100.5)
    assert watch.it.settled_at == 100.5
    watch.take(0.25)
    assert watch.it.times()[2] == 3.75


def test_what_is_settled_otherwise_is_told(watch: Watch) -> None:
    watch.it.settled_at = 130
    assert watch.it.settled_at == 130.0
    assert watch.it.times()[4] is None


def test_any_number_of_seconds_finds_its_place(made: Any) -> None:
    for bound in BOUNDS:
        for seconds in (bound * 0.999, bound, bound * 1.001):
            time = chain([0.0], itertools.repeat(seconds))
            watch = made.Stopwatch(time.__next__, BOUNDS)
            watch.returned()
            assert watch.times()[0].index(1) == bisect_left(BOUNDS, seconds)


def test_a_clock_of_whole_seconds_will_do(watch: Watch) -> None:
    watch.hands.now = 103
    assert watch.it.returned() == 103
    assert watch.it.times() == ((0, 0, 1, 0), 1, 3.0, 3.0, 103.0)


def test_a_clock_that_says_no_number_counts_nothing(watch: Watch) -> None:
    watch.hands.now = "late"
    with pytest.raises(TypeError):
        watch.it.returned()
    assert watch.it.times()[0] == (0, 0, 0, 0)


def use_up(watch: Any) -> list[Callable[[], Any]]:
    return [watch.begin, watch.returned, watch.raised]


@pytest.mark.parametrize("which", range(3))
def test_what_the_clock_raises_comes_out_and_counts_nothing(made: Any, which: int) -> None:
    readings = iter([1.0])
    watch = made.Stopwatch(readings.__next__, BOUNDS)
    before = watch.times()
    with pytest.raises(StopIteration):
        use_up(watch)[which]()
    assert watch.times() == before


def test_what_reads_its_own_watch_is_garbage_with_it(made: Any) -> None:
    class Owner:
        def __init__(self) -> None:
            self.watch = made.Stopwatch(self.read, BOUNDS)

        def read(self) -> float:
            return 1.0

    owner = Owner()
    ref = weakref.ref(owner)
    owner.watch.returned()
    del owner
    gc.collect()
    assert ref() is None


@pytest.mark.stress
def test_who_reads_meanwhile_sees_numbers_that_only_grow(made: Any) -> None:
    time = itertools.count(0.0, 1.0)
    watch = made.Stopwatch(time.__next__, (0.5, 2.0))
    over = threading.Event()
    seen: list[list[Any]] = [[], []]

    def read(found: list[Any]) -> None:
        while not over.is_set():
            found.append(watch.times())

    readers = [threading.Thread(target=read, args=(found,)) for found in seen]
    with often_switched():
        for reader in readers:
            reader.start()
        calls = int(SECONDS * 100_000)
        try:
            for _ in range(calls):
                watch.returned()
        finally:
            over.set()
        join(*readers)
    assert watch.times() == ((0, calls, 0), calls, float(calls), 1.0, float(calls))
    for found in seen:
        for before, after in pairwise(found):
            assert all(one <= other for one, other in zip(before[:3], after[:3], strict=True))
    if "_speed" in type(watch).__module__:
        for counts, batches, seconds, *_ in chain(*seen):
            assert sum(counts) == batches == seconds
