"""What is measured beside the ledger: rates, how long the processor takes, what failed last."""

import dataclasses
import itertools
import json
import math
import random
import threading
from typing import Any

import pytest
from helpers import Buffers, unwoken, wait_until

from partitioned_buffer import (
    Durations,
    Failure,
    PartialFailure,
    PartitionStats,
    Rates,
    Reject,
    Retry,
    Stats,
)
from partitioned_buffer._core.ledger import Ledger
from partitioned_buffer._core.measures import BOUNDS, QUICK
from partitioned_buffer.events import Event
from partitioned_buffer.testing import FakeClock, RecordingProcessor

pytestmark = pytest.mark.both_faces


class Taking:
    """A processor that takes so many seconds of the clock: those next in line, or the last."""

    def __init__(self, clock: FakeClock, *seconds: float) -> None:
        self._clock, self._seconds = clock, list(seconds)

    def __call__(self, _batch: list[Any]) -> None:
        self._clock.jump(self._seconds.pop(0) if len(self._seconds) > 1 else self._seconds[0])


def about(time: float) -> Any:
    """Return what equals a wall-clock *time*, as near as floats are."""
    return pytest.approx(time, rel=0, abs=QUICK / 10)


# --- rates -----------------------------------------------------------------------------


def test_rates_are_those_of_the_last_ten_seconds_and_minute(
    buffers: Buffers, clock: FakeClock
) -> None:
    queue = unwoken(buffers.queue(processing_interval=1.0))
    for _ in range(5):
        queue.push_all(range(12))
        clock.advance(1.0)
    rates = queue.stats().rates
    assert (rates.in_10s, rates.out_10s) == (6.0, 6.0)
    assert (rates.in_60s, rates.out_60s) == (1.0, 1.0)

    clock.advance(11.0)  # each count is known to a second, or an interval
    rates = queue.stats().rates
    assert (rates.in_10s, rates.out_10s, rates.out_60s) == (0.0, 0.0, 1.0)

    clock.advance(50.0)
    assert queue.stats().rates == Rates()


def test_what_is_not_delivered_comes_in_and_not_out(buffers: Buffers, clock: FakeClock) -> None:
    queue = unwoken(buffers.queue(processing_interval=1000.0))
    queue.push_all(range(30))
    rates = queue.stats().rates
    assert (rates.in_10s, rates.in_60s, rates.out_10s) == (3.0, 0.5, 0.0)


def test_calls_that_raise_have_a_rate(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = unwoken(buffers.queue())
    processor.fail(OSError("one"), OSError("two"))
    queue.push(1)
    clock.advance(10.0)  # the first call, and the second
    rates = queue.stats().rates
    assert rates.failed_10s == pytest.approx(0.1, abs=0.11)
    assert rates.failed_60s == pytest.approx(2 / 60)


def test_between_looks_that_are_far_apart_rates_are_in_proportion(
    buffers: Buffers, clock: FakeClock
) -> None:
    queue = unwoken(buffers.queue(processing_interval=1000.0))
    clock.jump(30.0)
    queue.push_all(range(40))
    clock.jump(10.0)
    assert queue.stats().rates.in_10s == 1.0  # 40 in 40 seconds


def test_rates_of_all_partitions_are_added(buffers: Buffers, clock: FakeClock) -> None:
    queue = unwoken(buffers.queue(partitions=2, processing_interval=1.0))
    queue.push_all(range(20), partition_key=1)
    queue.push_all(range(20), partition_key=2)
    clock.advance(1.0)
    stats = queue.stats()
    assert stats.rates.out_10s == 4.0
    assert sum(each.rates.out_10s for each in stats.partitions) == 4.0


# --- calls, and how long they take -----------------------------------------------------


def test_durations_are_those_of_the_processor(buffers: Buffers, clock: FakeClock) -> None:
    taking = Taking(clock, *[0.02] * 98, 0.5, 4.0)
    queue = unwoken(buffers.queue(processor=taking, processing_batch_size=10))
    queue.push_all(range(1000))
    clock.advance(5.0)
    stats = queue.stats()
    assert (stats.batches, stats.calls, stats.failed_calls, stats.durations.count) == (
        100,
        100,
        0,
        100,
    )
    assert stats.p50 == pytest.approx(0.02, rel=0.14)
    assert stats.p99 == pytest.approx(0.5, rel=0.14)
    assert stats.longest == pytest.approx(4.0)
    assert stats.durations.seconds == pytest.approx(98 * 0.02 + 4.5)


def test_before_the_first_call_nothing_is_known(buffers: Buffers) -> None:
    stats = buffers.queue().stats()
    assert (stats.batches, stats.calls, stats.durations) == (0, 0, Durations())
    assert (stats.p50, stats.p99, stats.longest) == (None, None, None)
    assert (stats.last_success, stats.last_failure, stats.rates) == (None, None, Rates())


def test_quick_calls_are_counted_and_not_told_apart(buffers: Buffers, clock: FakeClock) -> None:
    queue = unwoken(buffers.queue(processing_batch_size=1))
    queue.push_all(range(7))
    clock.advance(5.0)
    stats = queue.stats()
    assert (stats.calls, stats.durations.count, stats.durations.counts[0]) == (7, 7, 7)
    assert stats.p50 == stats.p99 == stats.longest == QUICK


def test_quick_and_slow_calls_are_all_counted(buffers: Buffers, clock: FakeClock) -> None:
    taking = Taking(clock, 0.0, 0.0, 1.0, 0.0, 2.0, 0.0)
    queue = unwoken(buffers.queue(processor=taking, processing_batch_size=1))
    queue.push_all(range(9))
    clock.advance(5.0)
    durations = queue.stats().durations
    assert (durations.count, durations.counts[0], durations.seconds) == (9, 7, 3.0)
    assert durations.up_to([1.0, 1000.0]) == [8, 9]


def test_a_batch_that_is_tried_again_counts_once(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = unwoken(buffers.queue())
    processor.fail(OSError("one"), OSError("two"))
    queue.push(1)
    clock.advance(20.0)
    stats = queue.stats()
    assert (stats.batches, stats.calls, stats.failed_calls, stats.delivered) == (1, 3, 2, 1)


def test_whole_tables_are_measured_too(buffers: Buffers, clock: FakeClock) -> None:
    table = unwoken(buffers.map(processor=Taking(clock, 0.3), processing_batch_size="table"))
    table.put("key", 1)
    clock.advance(5.0)
    stats = table.stats()
    assert (stats.batches, stats.calls, stats.longest) == (1, 1, pytest.approx(0.3))


def test_partitions_have_numbers_of_their_own(buffers: Buffers, clock: FakeClock) -> None:
    queue = unwoken(buffers.queue(processor=Taking(clock, 2.0), partitions=2))
    queue.push(1, partition_key=1)
    clock.advance(5.0)
    stats = queue.stats()
    assert sorted(each.calls for each in stats.partitions) == [0, 1]
    assert stats.longest == max(each.longest or 0.0 for each in stats.partitions)
    assert stats.last_success == max(each.last_success or 0.0 for each in stats.partitions)


# --- the last success, and the last error --------------------------------------------------


def test_the_last_success_and_the_last_error_have_their_time(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = unwoken(buffers.queue())
    queue.push(1)
    clock.advance(5.0)
    succeeded = clock.time()
    processor.fail(OSError("the net is down"))
    queue.push(2)
    clock.advance(5.0)
    failed, stats = clock.time(), queue.stats()
    assert stats.last_success == about(succeeded)
    assert stats.last_failure == Failure(failed, "OSError", "the net is down")
    assert stats.partitions[0].last_failure == stats.last_failure

    clock.advance(5.0)
    stats = queue.stats()
    assert stats.last_success == about(clock.time())
    assert stats.last_failure is not None
    assert stats.last_failure.time == failed


def test_what_waits_for_its_next_attempt_is_told_from_what_the_processor_has(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    retry = Retry(wait_initial=30.0, jitter=0.0)
    queue = unwoken(buffers.queue(partitions=1, retry=retry, processing_timeout=1000.0))
    assert queue.stats().retry_in is None
    processor.fail(OSError("down"))
    queue.push(1)
    clock.advance(5.0)
    stats = queue.stats()
    assert (stats.in_flight, stats.retry_in) == (1, pytest.approx(30.0))
    clock.advance(12.0)
    assert queue.stats().partitions[0].retry_in == pytest.approx(18.0)

    processor.block()
    clock.jump(18.0)
    wait_until(lambda: queue.stats().retry_in is None)
    assert queue.stats().in_flight == 1
    processor.unblock()
    wait_until(lambda: queue.stats().held == 0)
    assert queue.stats().retry_in is None


def test_what_is_dead_lettered_is_no_success(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = unwoken(buffers.queue(dead_letter=lambda *_: clock.jump(1.0)))
    processor.fail(Reject("never"))
    queue.push(1)
    clock.advance(5.0)
    stats = queue.stats()
    assert (stats.dead_lettered, stats.last_success, stats.failed_calls) == (1, None, 1)


def test_a_partial_failure_is_a_failure(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = unwoken(buffers.queue(dead_letter=lambda *_: None))
    processor.fail(PartialFailure(reject=[2]))
    queue.push_all([1, 2])
    clock.advance(5.0)
    stats = queue.stats()
    assert (stats.calls, stats.failed_calls, stats.delivered, stats.last_success) == (1, 1, 1, None)


class Mute(Exception):
    def __str__(self) -> str:
        raise ValueError


def test_an_error_that_cannot_say_what_it_is_has_its_name(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = unwoken(buffers.queue(dead_letter=lambda *_: None))
    processor.fail(Mute())
    queue.push(1)
    clock.advance(5.0)
    failure = queue.stats().last_failure
    assert (failure.type, failure.message) == ("Mute", "")


@pytest.mark.threads
def test_a_call_that_hangs_does_not_hide_that_those_before_went_well(
    buffers: Buffers, clock: FakeClock
) -> None:
    entered, go_on, calls = threading.Event(), threading.Event(), list[int]()

    def hang(batch: list[int]) -> None:
        calls.extend(batch)
        clock.jump(QUICK / 2)
        if batch == [2]:
            clock.jump(1.0)
            entered.set()
            go_on.wait(60)

    queue = unwoken(buffers.queue(processor=hang, processing_batch_size=1))
    queue.push_all([0, 1, 2])
    clock.jump(5.0)
    assert entered.wait(60)
    try:
        stats = queue.stats()
        assert stats.last_success == about(clock.time() - 1.0 - QUICK / 2)
        assert (stats.calls, stats.durations.count, stats.in_flight) == (2, 2, 1)
    finally:
        go_on.set()
    wait_until(lambda: queue.stats().calls == 3)


# --- for JSON -----------------------------------------------------------------------------


def test_all_of_it_is_json(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = unwoken(buffers.queue())
    processor.fail(OSError("down"))
    queue.push(1)
    clock.advance(20.0)
    numbers = json.loads(json.dumps(queue.stats().as_dict()))
    for each in (numbers, *numbers["partitions"]):
        assert (each["batches"], each["calls"], each["failed_calls"]) == (1, 2, 1)
        assert (each["p50"], each["p99"], each["longest"]) == (QUICK, QUICK, QUICK)
        assert each["last_failure"]["message"] == "down"
        assert each["rates"]["failed_60s"] > 0
        assert each["durations"] == {"count": 2, "seconds": 0.0, "counts": {"0.0001": 2}}


def numbers_of(kind: type) -> set[str]:
    properties = {name for name, value in vars(Ledger).items() if isinstance(value, property)}
    return {field.name for field in dataclasses.fields(kind)} | properties


def test_every_number_is_in_it(buffers: Buffers, clock: FakeClock) -> None:
    def boom(_event: Event) -> None:
        raise ValueError("a hook")

    queue = unwoken(buffers.queue(partitions=2, hooks=[boom]))
    queue.push_all(range(3))
    clock.advance(20.0)
    stats = queue.stats()
    said = json.loads(json.dumps(stats.as_dict(), allow_nan=False))
    assert set(said) == numbers_of(Stats)
    assert {"held", "balanced", "p50", "p99", "longest", "hook_errors", "blocked"} <= set(said)
    assert [set(part) for part in said["partitions"]] == [numbers_of(PartitionStats)] * 2
    assert set(said["rates"]) == {field.name for field in dataclasses.fields(Rates)}
    assert said["hook_errors"] == stats.hook_errors > 0
    assert said["longest"] == max(part["longest"] or 0.0 for part in said["partitions"])


# --- the measures themselves -----------------------------------------------------------------


def test_bounds_are_as_far_apart_as_the_stated_error_allows() -> None:
    assert all(math.sqrt(after / bound) < 1.14 for bound, after in itertools.pairwise(BOUNDS))


def test_quantiles_are_right_to_what_is_stated(buffers: Buffers, clock: FakeClock) -> None:
    random.seed(1)
    seconds = sorted(math.exp(random.uniform(-8, 5)) for _ in range(500))
    taking = Taking(clock, *seconds)
    queue = unwoken(buffers.queue(processor=taking, processing_batch_size=1))
    queue.push_all(range(500))
    clock.advance(5.0)
    durations = queue.stats().durations
    for part in (0.1, 0.5, 0.9, 0.99):
        exact = seconds[math.ceil(part * 500) - 1]
        assert durations.quantile(part) == pytest.approx(exact, rel=0.14)
    assert durations.longest == pytest.approx(seconds[-1])


def test_calls_beyond_the_last_bound_took_as_long_as_the_longest(
    buffers: Buffers, clock: FakeClock
) -> None:
    queue = unwoken(buffers.queue(processor=Taking(clock, 5000.0)))
    queue.push(1)
    clock.advance(5.0)
    stats = queue.stats()
    assert stats.p50 == pytest.approx(5000.0)
    assert stats.durations.as_dict()["counts"] == {"inf": 1}
