"""Whose partition it is: shares as workers come and go, claims that are lost, tokens."""

import time
from collections import Counter
from typing import Any

import pytest
from helpers import wait_until
from shares import Gate, Shares, counted, of_key

from partitioned_buffer import PartialFailure, StorageAway, batch_id, fencing_token
from partitioned_buffer.testing import RecordingProcessor

pytestmark = pytest.mark.both_faces
AWAY = StorageAway("the net is down")


def owned(shares: Shares) -> list[int]:
    """Return how many partitions each worker has, most first."""
    depths = shares.shared._server.depth(len(shares.shared._server.generations) - 1)
    counts = Counter(depth.owner for depth in depths if depth.owner is not None)
    return sorted(counts.values(), reverse=True)


@pytest.mark.parametrize(
    ("partitions", "workers", "fair"),
    [(8, 2, [4, 4]), (8, 3, [3, 3, 2]), (2, 3, [1, 1]), (7, 2, [4, 3])],
)
def test_shares_are_fair_as_workers_come_and_go(
    shares: Shares, partitions: int, workers: int, fair: list[int]
) -> None:
    shares.new(partitions=partitions)
    processors = [RecordingProcessor() for _ in range(workers)]
    made = [shares.elsewhere(processors[0])]
    shares.seen(lambda: owned(shares) == [partitions])
    made += [shares.elsewhere(processor) for processor in processors[1:]]
    shares.seen(lambda: owned(shares) == fair)
    shares._clock.advance(5.0)
    assert owned(shares) == fair, "and they stay so"
    made[0].stop()
    rest = sorted(
        (
            partitions // (workers - 1) + (n < partitions % (workers - 1))
            for n in range(workers - 1)
        ),
        reverse=True,
    )
    shares.seen(lambda: owned(shares) == [each for each in rest if each])
    shares.seen(lambda: made[1].stats().shared.workers == workers - 1)


def test_nothing_comes_twice_as_workers_come_and_go(shares: Shares) -> None:
    shares.new(partitions=4)
    processors = [RecordingProcessor() for _ in range(3)]
    producer = shares.queue(partition_key=lambda item: item % 9)
    made: list[Any] = []
    for number in range(120):
        producer.push(number)
        if number % 30 == 10:
            made.append(shares.elsewhere(processors[number // 30 % 3]))
        if number == 80:
            made[0].stop()
        shares._clock.advance(0.2)
    shares.seen(lambda: shares.shared.held() == 0)
    items = [item for processor in processors for item in processor.items]
    assert sorted(items) == list(range(120))


def test_a_worker_that_dies_is_missed_after_a_lease(shares: Shares) -> None:
    shares.new(lease=6.0)
    one, two = RecordingProcessor(), RecordingProcessor()
    first = shares.queue(one, flush_at=100, processing_interval=60.0)
    shares.fill(*range(5))
    shares.seen(lambda: first.stats().in_flight == 5)
    shares.shared.fails = AWAY  # the first one is cut off
    shares.elsewhere(two)
    shares._clock.advance(5.0)
    assert two.items == []
    shares.seen(lambda: len(two.items) == 5)
    assert two.items == list(range(5))
    shares._clock.advance(70.0)
    assert one.items == [], "its claim was over before its interval"


def test_a_batch_whose_claim_is_lost_is_not_delivered_further(shares: Shares) -> None:
    one, two = RecordingProcessor(), RecordingProcessor()
    shares.fill(*range(6))
    one.block()
    first = shares.queue(one, processing_batch_size=2)
    one.wait_for_call()  # with the first two
    shares.shared.fails = AWAY  # for the first one, which is missed after a lease
    second = shares.elsewhere(two)
    wait_until(lambda: _stepping(shares, 6, two))
    one.unblock()
    shares.seen(lambda: shares.shared.held() == 0)
    shares._clock.advance(1.0)
    shares.shared.fails = None
    shares._clock.advance(20.0)
    assert one.items == [0, 1]
    assert two.items == list(range(6)), "from the prefix that was settled"
    assert first.stats().balanced
    assert second.stats().delivered == 6


def _stepping(shares: Shares, count: int, processor: RecordingProcessor) -> bool:
    shares._clock.jump(0.1)
    return len(processor.items) == count


def test_a_processor_is_not_called_once_its_claim_is_over_by_the_clock(shares: Shares) -> None:
    """A process that slept for longer than its lease wakes up, and goes on where it was."""
    shares.new(lease=6.0)
    one = RecordingProcessor()
    shares.fill(*range(3))
    shares.queue(one, processing_interval=3.0, flush_at=100)
    shares._clock.advance(0.5)
    gate = Gate()
    shares.shared.on_call = gate
    _pass(shares, 2.0)
    gate.entered.wait(60)
    shares._clock.jump(20.0)  # nobody says so
    _pass(shares, 1.0)
    assert one.attempts == []
    shares.elsewhere(two := RecordingProcessor())
    wait_until(lambda: _stepping(shares, 3, two))
    gate.open()
    shares.shared.on_call = None
    shares._clock.advance(10.0)
    assert one.items == []
    assert two.items == [0, 1, 2]


def _pass(shares: Shares, seconds: float) -> None:
    """Let time pass, though somebody is blocked."""
    for _ in range(round(seconds / 0.1)):
        shares._clock.jump(0.1)
        time.sleep(0.002)


def test_a_slow_processor_keeps_its_claim(shares: Shares) -> None:
    shares.new(lease=3.0)
    one, two = RecordingProcessor(), RecordingProcessor()
    shares.fill(1)
    one.block()
    shares.queue(one)
    one.wait_for_call()
    shares.elsewhere(two)
    for _ in range(200):
        shares._clock.jump(0.1)
        wait_until(lambda: sum(not each.idle for each in [*shares._clock._signals]) <= 1)
    assert shares.shared._server.depth(0)[0].owner is not None
    one.unblock()
    shares.seen(lambda: shares.shared.held() == 0)
    assert (one.items, two.items) == ([1], [])


def test_a_takeover_goes_on_from_a_prefix_never_from_a_count(shares: Shares) -> None:
    """The first fails for ever, and all the others are settled: they come again, it is not lost."""
    one, two = RecordingProcessor(), RecordingProcessor()

    def fails_first(batch: list[int]) -> None:
        one.batches.append([item for item in batch if item])
        if 0 in batch:
            raise PartialFailure([0])

    first = shares.queue(fails_first, processing_batch_size=5)
    shares.fill(*range(10))
    shares.seen(lambda: len(one.batches) >= 1)
    shares._clock.advance(2.0)
    assert shares.shared.held() == 10, "nothing before the first one is settled"
    first._admission.sharing.store._faults.fails = AWAY
    shares._clock.advance(1.0)
    shares.shared.expire()
    shares.elsewhere(two)
    shares.seen(lambda: len(two.items) == 10)
    assert two.items == list(range(10))


def test_at_most_a_window_is_in_hand(shares: Shares) -> None:
    shares.new(window=6)
    one = RecordingProcessor()
    one.fail_always(OSError())
    queue = shares.queue(one, processing_batch_size=2)
    shares.fill(*range(50), apart=True)
    shares._clock.advance(3.0)
    assert queue.stats().in_flight <= 6
    (window,) = queue._admission.sharing.pumps[0].windows.values()
    assert len(window.table) <= 6
    assert window.read_to - window.settled <= 6 + 3
    one.recover()
    shares.seen(lambda: len(one.items) == 50)
    assert one.items == list(range(50))


def test_a_parcel_of_more_than_a_window_lands_by_parts(shares: Shares) -> None:
    shares.new(window=6)
    one = RecordingProcessor()
    one.fail_always(OSError())
    shares.fill(*range(50))
    queue = shares.queue(one, processing_batch_size=2)
    shares._clock.advance(3.0)
    (window,) = queue._admission.sharing.pumps[0].windows.values()
    assert 0 < len(window.table) <= 6
    one.recover()
    shares.seen(lambda: len(one.items) == 50)
    assert one.items == list(range(50))


@pytest.mark.parametrize("window", [1, 2, 3, 5, 1000])
def test_any_window_delivers_all_in_order(shares: Shares, window: int) -> None:
    shares.new(window=window)
    one = RecordingProcessor()
    shares.fill(*range(30))
    shares.fill(*range(30, 40), apart=True)
    shares.queue(one, processing_batch_size=3, flush_at=None)
    shares.seen(lambda: len(one.items) == 40)
    assert one.items == list(range(40))
    assert max(map(len, one.batches)) <= 3


def test_a_window_lost_comes_twice_and_no_more(shares: Shares) -> None:
    shares.new(window=8)
    one = RecordingProcessor()
    shares.fill(*range(40), apart=True)
    shares.queue(one, processing_batch_size=2)
    for _ in range(3):
        shares.shared.expire()
        shares._clock.advance(1.0)
    shares.seen(lambda: shares.shared.held() == 0)
    items = one.items
    assert set(items) == set(range(40))
    assert len(items) - 40 <= 3 * 8


def test_a_batch_is_known_again_after_a_takeover_and_its_token_is_greater(shares: Shares) -> None:
    seen: list[tuple[Any, int, list[int]]] = []

    def note(batch: list[int]) -> None:
        seen.append((batch_id(), fencing_token(), list(batch)))
        if len(seen) == 2:
            raise OSError

    shares.new(lease=3.0)
    shares.fill(*range(8))
    first = shares.queue(note, processing_batch_size=4)
    shares.seen(lambda: len(seen) >= 2)
    shares._clock.advance(0.5)
    first._admission.sharing.store._faults.fails = AWAY
    shares._clock.advance(0.5)
    shares.shared.expire()
    shares.elsewhere(note, processing_batch_size=4)
    shares.seen(lambda: shares.shared.held() == 0)
    (_, token, _), (failed, again, items), *rest = seen
    assert token == again
    assert (failed[1:], items) in [(identity[1:], batch) for identity, _, batch in rest]
    assert all(later > token for _, later, _ in rest)
    assert failed.buffer != ""


def test_a_pump_that_cannot_reach_its_server_does_not_spin(shares: Shares) -> None:
    shares.new(window=4)
    one, calls, is_away = RecordingProcessor(), dict[str, int](), [True]
    shares.fill(*range(40), apart=True)

    def fail(call: str) -> None:
        if is_away and one.items:  # with more to read
            counted(calls)(call)
            raise AWAY

    shares.shared.on_call = fail
    queue = shares.queue(one, processing_batch_size=2)
    shares.seen(lambda: len(one.items) >= 2)
    shares._clock.advance(3.0)
    assert 3 < calls["step"] < 40
    is_away.clear()
    shares.seen(lambda: len(one.items) == 40)
    assert one.items == list(range(40))
    shares.seen(lambda: queue.stats().shared.away is None)


def test_news_that_are_lost_cost_a_moment(shares: Shares) -> None:
    one = RecordingProcessor()
    shares.queue(one)
    producer = shares.elsewhere()
    shares.shared.deaf = True
    producer.push(1)
    shares.seen(lambda: one.items == [1])


def test_what_has_a_processor_need_not_deliver(shares: Shares) -> None:
    one, two = RecordingProcessor(), RecordingProcessor()
    queue = shares.elsewhere(one, deliver=False)
    queue.push(1)
    shares.holds(1)
    shares._clock.advance(3.0)
    assert queue.stats().shared.workers == 0
    shares.elsewhere(two)
    shares.delivered(two, 1)
    assert one.attempts == []


def test_keys_are_delivered_in_order_by_many_workers(shares: Shares) -> None:
    shares.new(partitions=4, window=10)
    processors = [RecordingProcessor() for _ in range(2)]
    for processor in processors:
        shares.elsewhere(processor, processing_batch_size=3)
    queue = shares.queue(partition_key=lambda item: item % 11)
    queue.push_all(range(300))
    shares.seen(lambda: sum(len(each.items) for each in processors) == 300)
    for processor in processors:
        for partition in range(4):
            mine = [item for item in processor.items if of_key(queue, item % 11) == partition]
            assert mine == sorted(mine)
