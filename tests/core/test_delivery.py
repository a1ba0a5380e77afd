"""The delivery policy, driven by hand: no thread, no clock, every outcome a literal."""

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest

from partitioned_buffer import Entry, PartialFailure, Reject, Retry, RetryAfter
from partitioned_buffer._core.policy.deliver import deliver
from partitioned_buffer._core.policy.effects import (
    FLUSH,
    FULL,
    DeadLetter,
    Find,
    Process,
    Wait,
)
from partitioned_buffer._core.policy.front import Front
from partitioned_buffer._core.policy.names import Names
from partitioned_buffer._core.policy.trial import Trial
from partitioned_buffer._core.tables.queue import QueueTable

CALM = Retry(attempts=3, wait_initial=1.0, multiplier=2.0, jitter=0.0)
down, bad = OSError("down"), ValueError("bad")


class Run:
    """What `deliver` asked for, with a processor in a function and time that only waits take."""

    def __init__(
        self,
        items: list[Any],
        processor: Callable[[list[Any]], BaseException | None],
        *,
        size: int | None = None,
        retry: Retry = CALM,
        cut_short: bool = False,
    ) -> None:
        self.table = QueueTable()
        self.table.open(lambda: None, None)
        self.table.push_all(items)
        self.table.swap()
        self.now = 0.0
        self.effects: list[Any] = []
        self.delivered: list[Any] = []
        self.dead: list[Any] = []
        self.calls: list[list[Any]] = []
        trial = Trial(self.table, retry, Front(), lambda: self.now)
        steps = deliver(trial, lambda: self.table.take(size), size)
        outcome: Any = None
        try:
            while True:
                effect = steps.send(outcome)
                self.effects.append(copy.deepcopy(effect) if type(effect) is Process else effect)
                assert len(self.effects) < 1000, "it does not end"
                outcome = self._do(effect, processor, cut_short)
        except StopIteration:
            pass
        assert self.table.counts()["in_flight"] == 0
        assert self.table.delivered == len(self.delivered)
        assert self.table.counts()["dead_lettered"] == len(self.dead)

    def _do(self, effect: Any, processor: Any, cut_short: bool) -> Any:
        match effect:
            case Wait(seconds=seconds):
                if not cut_short:
                    self.now += seconds
                return FLUSH if cut_short else FULL
            case Find(names=names):
                names()
                return None
            case DeadLetter(items=items):
                self.dead += items
                return None
            case Process(batch=batch):
                given, batch[:] = batch[:], [None] * len(batch)  # it is the processor's own
                self.calls.append(given)
                error = processor(given)
                if error is None:
                    self.delivered += given
                elif isinstance(error, PartialFailure) and all(f in given for f in error.failed):
                    self.delivered += [item for item in given if item not in error.failed]
                return error

    @property
    def waits(self) -> list[float]:
        return [effect.seconds for effect in self.effects if isinstance(effect, Wait)]


def in_turn(*outcomes: BaseException | None) -> Callable[[list[Any]], BaseException | None]:
    """Return a processor with these outcomes, then good ones."""
    left = list(outcomes)
    return lambda _: left.pop(0) if left else None


def poisoned(*poison: Any, error: BaseException = bad) -> Callable[[list[Any]], Any]:
    """Return a processor that fails on any batch with *poison* in it."""
    return lambda batch: error if set(poison) & set(batch) else None


def test_all_is_delivered_in_batches() -> None:
    run = Run([1, 2, 3], in_turn(), size=2)

    assert run.effects == [Process([1, 2]), Process([3])]


def test_the_whole_table_is_one_batch() -> None:
    assert Run([1, 2, 3], in_turn()).effects == [Process([1, 2, 3])]


def test_nothing_in_flight_is_no_effect() -> None:
    assert Run([], in_turn()).effects == []


def test_a_failed_batch_is_tried_again_before_its_successors_with_growing_waits() -> None:
    run = Run([1, 2, 3], in_turn(None, down, down), size=1)

    assert run.effects == [
        Process([1]),
        Process([2]),
        Wait(1.0, down, 1),
        Process([2], 2),
        Wait(2.0, down, 2),
        Process([2], 3),
        Process([3]),
    ]


def test_waits_have_a_greatest_and_take_jitter() -> None:
    flat = Retry(attempts=math.inf, wait_initial=1.0, wait_max=5.0, multiplier=10.0, jitter=0.0)
    assert Run([1], in_turn(*[down] * 4), retry=flat).waits == [1.0, 5.0, 5.0, 5.0]

    jittery = Retry(attempts=math.inf, wait_initial=1.0, multiplier=1.0, jitter=0.25)
    waits = Run([1], in_turn(*[down] * 50), retry=jittery).waits
    assert all(0.75 <= wait <= 1.0 for wait in waits)
    assert len(set(waits)) > 25


def test_waits_do_not_overflow() -> None:
    forever = Retry(attempts=math.inf, wait_max=7.0, jitter=0.0)

    assert forever.wait(5000) == 7.0


def test_the_last_of_the_attempts_is_the_last() -> None:
    run = Run([1, 2], poisoned(1), size=1)

    assert run.calls == [[1], [1], [1], [2]]
    assert run.effects[-2] == DeadLetter([1], bad, 3)
    assert run.dead == [1]
    assert run.delivered == [2]


@pytest.mark.parametrize("poison", [{3}, {0}, {15}, {0, 15}, {4, 5, 6}, set(range(16))])
def test_the_poison_is_found_and_the_others_are_delivered(poison: set[int]) -> None:
    items = list(range(16))
    run = Run(items, poisoned(*poison))

    assert run.dead == sorted(poison), "in order"
    assert run.delivered == [item for item in items if item not in poison], "in order"


@pytest.mark.parametrize("size", [2, 3, 10, 64, 1000])
def test_one_poison_item_costs_two_calls_for_each_halving(size: int) -> None:
    for place in {0, size // 2, size - 1}:
        run = Run(list(range(size)), poisoned(place))

        halvings = (size - 1).bit_length()
        assert len(run.calls) <= CALM.attempts + 2 * halvings  # type: ignore[operator]
        assert run.dead == [place]


def test_the_attempts_of_a_dead_letter_are_those_that_had_it_in() -> None:
    run = Run(list(range(8)), poisoned(0, 5), retry=Retry(attempts=1))

    assert [e for e in run.effects if isinstance(e, DeadLetter)] == [
        DeadLetter([0], bad, 4),
        DeadLetter([5], bad, 4),
    ]


def test_splitting_can_be_switched_off() -> None:
    run = Run([1, 2, 3], poisoned(2), retry=Retry(attempts=2, jitter=0.0, split=False))

    assert run.effects[-1] == DeadLetter([1, 2, 3], bad, 2)
    assert run.delivered == []


def test_errors_that_are_permanent_are_not_waited_for() -> None:
    never = Retry(never=ValueError)
    assert Run([1, 2], poisoned(2), retry=never).waits == []
    assert Run([1, 2], poisoned(2), retry=never).dead == [2]

    only = Retry(on=(OSError, TimeoutError))
    assert Run([1], in_turn(bad), retry=only).dead == [1]
    assert Run([1], in_turn(down, TimeoutError()), retry=only).delivered == [1]


def test_a_deadline_ends_what_attempts_do_not() -> None:
    patient = Retry(attempts=math.inf, wait_initial=1.0, jitter=0.0, deadline=10.0)
    run = Run([1], poisoned(1), retry=patient)

    assert run.waits == [1.0, 2.0, 4.0], "8 more would be too late"
    assert run.dead == [1]


def test_a_deadline_still_allows_an_attempt_at_that_instant() -> None:
    retry = Retry(attempts=math.inf, wait_initial=2.0, multiplier=1.0, jitter=0.0, deadline=4.0)

    assert Run([1], in_turn(*[down] * 9), retry=retry).waits == [2.0, 2.0]


def test_an_attempt_made_early_is_not_counted() -> None:
    run = Run([1], in_turn(*[down] * 9), cut_short=True)

    assert run.delivered == [1]
    assert run.waits == [1.0] * 9, "nor does the wait grow"
    assert run.effects[-1] == Process([1], 10)


def test_a_partial_failure_keeps_only_what_failed() -> None:
    run = Run([1, 2, 3, 4], in_turn(PartialFailure([3, 1]), PartialFailure([3])), size=3)

    assert run.calls == [[1, 2, 3], [1, 3], [3], [4]]
    assert sorted(run.delivered) == [1, 2, 3, 4]


def test_a_partial_failure_that_names_a_stranger_is_a_failure_of_all() -> None:
    run = Run([1, 2, 3, 4], in_turn(PartialFailure([2, 4])), size=3)

    assert run.calls == [[1, 2, 3], [1, 2, 3], [4]]


def test_a_table_with_nothing_in_hand_gives_nothing_again() -> None:
    table = QueueTable()
    table.open(lambda: None, None)
    table.push_all([1, 2, 3])
    table.swap()
    table.take(2)

    assert table.keep([]) == 0
    assert table.again(None) is None
    assert table.take(None) == [3]


def test_a_partial_failure_of_nothing_is_a_success() -> None:
    run = Run([1, 2], in_turn(PartialFailure([])), size=1)

    assert run.effects[0] == Process([1])
    assert run.calls == [[1], [2]]


def places(named: PartialFailure, batch: list[Any], *, keyed: bool = False) -> list[int] | None:
    """Return which places of *batch* are *named*; None: one is a stranger's."""
    names = Names([named], batch, keyed=keyed)
    names()
    return None if names.found is None else sorted(names.found)


def test_a_partial_failure_means_the_same_object_before_an_equal_one() -> None:
    first, second = [7], [7]

    assert places(PartialFailure([second]), [first, second]) == [1]
    assert places(PartialFailure([second, first]), [first, second]) == [0, 1]
    assert places(PartialFailure([[7], second]), [first, second]) == [0, 1]


def test_a_partial_failure_of_equal_items_counts_each() -> None:
    assert places(PartialFailure([1, 1]), [1.0, 1.0, 1.0]) == [0, 1]
    assert places(PartialFailure([[1], [1]]), [[1], [2], [1], [1]]) == [0, 2]


def test_to_name_an_item_twice_is_to_name_it() -> None:
    assert places(PartialFailure([1, 1, 1]), [0, 1]) == [1]
    assert places(PartialFailure([[1], [1]]), [[0], [1]]) == [1]


def test_a_partial_failure_that_cannot_be_compared_is_a_failure_of_all() -> None:
    class Odd:
        def __eq__(self, other: object) -> bool:
            raise RuntimeError

        __hash__ = None  # type: ignore[assignment]

    table = QueueTable()
    table.open(lambda: None, None)
    table.push_all([1, 2])
    table.swap()
    trial = Trial(table, CALM, Front(), lambda: 0.0)
    steps = deliver(trial, lambda: table.take(None), None)
    next(steps)
    find = steps.send(PartialFailure([Odd()]))
    assert isinstance(find, Find)
    with pytest.raises(RuntimeError) as raised:
        find.names()

    assert isinstance(steps.send(raised.value), Wait)
    assert steps.send(FULL) == Process([1, 2], 2)


def test_a_partial_failure_of_a_map_names_keys_or_entries() -> None:
    batch = [Entry("a", 1, 0, 0), Entry("b", 2, 0, 0), Entry("c", 3, 0, 0)]

    assert places(PartialFailure(["c", batch[0]]), batch, keyed=True) == [0, 2]
    assert places(PartialFailure([("c", 3)]), batch, keyed=True) is None


def test_a_partial_failure_may_name_places() -> None:
    assert places(PartialFailure.at([2, 0]), [7, 7, 7]) == [0, 2]
    assert places(PartialFailure.at(reject={1: "no"}), [7, 7]) == [1]
    assert places(PartialFailure.at([3]), [7, 7, 7]) is None
    assert places(PartialFailure.at([-1]), [7, 7, 7]) is None


@pytest.mark.parametrize(
    "make", [lambda n: {"id": n}, lambda n: (n,)], ids=["unhashable", "hashed"]
)
def test_naming_equal_items_is_linear(make: Callable[[int], Any]) -> None:
    class Counted:
        compared = 0

        def __init__(self, number: int) -> None:
            self.thing = make(number)

        def __eq__(self, other: object) -> bool:
            Counted.compared += 1
            return isinstance(other, Counted) and self.thing == other.thing

        def __hash__(self) -> int:
            return hash(self.thing)

    size = 2000
    named = PartialFailure([Counted(n) for n in range(0, size, 2)])

    assert places(named, [Counted(n) for n in range(size)]) == list(range(0, size, 2))
    assert Counted.compared <= 3 * size


def test_what_keeps_failing_partially_is_dead_lettered_alone() -> None:
    def processor(batch: list[int]) -> BaseException | None:
        return PartialFailure([3]) if 3 in batch else None

    run = Run([1, 2, 3, 4], processor)

    assert run.dead == [3]
    assert run.delivered == [1, 2, 4]


def test_reject_means_dead_letter_now_and_whole() -> None:
    reject = Reject("nonsense")
    run = Run([1, 2, 3], in_turn(reject), size=2)

    assert run.effects == [Process([1, 2]), DeadLetter([1, 2], reject, 1), Process([3])]


def test_reject_of_a_part_spares_the_others() -> None:
    reject = Reject()
    # All of it fails, three times; then the first half is rejected, the second is good.
    run = Run([1, 2, 3, 4], in_turn(down, down, down, reject, None))

    assert run.dead == [1, 2]
    assert run.delivered == [3, 4]


def test_retry_after_waits_as_told_and_uses_up_no_attempt() -> None:
    later = RetryAfter(30)
    run = Run([1], in_turn(*[later] * 5, down, down, None))

    assert run.waits == [30.0] * 5 + [1.0, 2.0]
    assert run.delivered == [1]


def test_retry_after_is_ended_by_the_deadline() -> None:
    run = Run([1], in_turn(*[RetryAfter(30)] * 9), retry=Retry(deadline=100.0))

    assert run.waits == [30.0] * 3
    assert run.dead == [1]


def test_retry_after_in_the_middle_of_splitting() -> None:
    later = RetryAfter(9)
    run = Run([1, 2], in_turn(down, down, down, later, None, bad, None))

    assert run.calls == [[1, 2], [1, 2], [1, 2], [1], [1], [2]]
    assert run.waits == [1.0, 2.0, 9.0]
    assert Wait(9.0, later, 4) in run.effects
    assert run.dead == [2]
    assert run.delivered == [1]


def test_retry_after_in_the_middle_of_splitting_is_ended_by_the_deadline() -> None:
    retry = Retry(attempts=1, jitter=0.0, deadline=5.0)
    run = Run([1, 2], in_turn(down, RetryAfter(9)), retry=retry)

    assert run.waits == []
    assert run.dead == [1]
    assert run.delivered == [2]


@pytest.mark.parametrize("seconds", [-1, float("inf"), float("nan")])
def test_retry_after_takes_seconds(seconds: Any) -> None:
    with pytest.raises(ValueError, match="expected a finite number from 0"):
        RetryAfter(seconds)


def test_the_errors_of_an_outage_are_no_strikes_against_an_item() -> None:
    errors = iter([down] * 20)
    retry = Retry(always=OSError, jitter=0.0)
    run = Run([1, 2], lambda batch: next(errors, bad) if 1 in batch else None, size=1, retry=retry)

    assert run.dead == [1]
    assert run.calls.count([1]) >= 20 + 8
