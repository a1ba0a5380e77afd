"""What a shared Queue says of itself: its ledger, its hooks, its failures and letters."""

import json
from typing import Any

import pytest
from helpers import Sink, wait_until
from shares import Shares, keys_in

from partitioned_buffer import (
    PartialFailure,
    Queue,
    Reject,
    RetryAfter,
    Split,
    StorageAway,
    WrongThread,
    batch_id,
    fencing_token,
)
from partitioned_buffer._core.measures import together
from partitioned_buffer.testing import RecordingHook, RecordingProcessor, assert_balanced

pytestmark = pytest.mark.both_faces
AWAY = StorageAway("the net is down")


# --- the ledger -----------------------------------------------------------------------


def test_the_ledger_is_that_of_all_processes(shares: Shares) -> None:
    shares.new(partitions=2)
    one, two = shares.queue(), shares.elsewhere()
    first, second = (keys_in(one, partition)[0] for partition in (0, 1))
    one.push(1, partition_key=first)
    two.push_all([2, 3], partition_key=second)
    shares.seen(lambda: one.stats().accepted == two.stats().accepted == 3)
    for queue, shipped in ((one, 1), (two, 2)):
        stats = queue.stats()
        assert_balanced(stats)
        assert (stats.held, stats.waiting, queue.size(), len(queue)) == (3, 3, 3, 3)
        assert [each.held for each in stats.partitions] == [1, 2]
        assert (stats.shared.shipped, stats.shared.front) == (shipped, 0)
        assert (stats.shared.workers, stats.shared.owners) == (0, {})
    worker = shares.elsewhere(RecordingProcessor())
    shares.seen(lambda: worker.stats().delivered == 3)
    stats = worker.stats()
    assert (stats.shared.workers, set(stats.shared.owners)) == (1, {0, 1})
    shares.seen(lambda: one.stats().delivered == two.stats().delivered == 3)


def test_numbers_are_plain_enough_for_json(shares: Shares) -> None:
    queue = shares.queue(RecordingProcessor())
    queue.push(1)
    shares.seen(lambda: queue.stats().delivered == 1)
    numbers = json.loads(json.dumps(queue.stats().as_dict()))
    assert numbers["balanced"]
    assert numbers["shared"] | {"age": 0.0} == {
        "shipped": 1,
        "front": 0,
        "workers": 1,
        "owners": {"0": numbers["shared"]["owners"]["0"]},
        "gaps": 0,
        "lost": 0,
        "away": None,
        "age": 0.0,
    }
    assert numbers["partitions"][0]["partition"] == 0


def test_what_is_measured_is_of_this_process_and_its_processor(shares: Shares) -> None:
    one, failing = shares.queue(), RecordingProcessor()
    one.push_all(range(10), partition_key="key")
    shares.holds(10)
    failing.fail(OSError("down"))
    worker = shares.elsewhere(failing)
    shares.seen(lambda: worker.stats().delivered == 10)

    here, there = one.stats(), worker.stats()
    assert (here.calls, here.failed_calls, here.rates.out_10s) == (0, 0, 0.0)
    assert here.rates.in_60s == pytest.approx(10 / 60)
    assert (there.rates.in_60s, there.failed_calls, there.batches) == (0.0, 1, 1)
    assert there.rates.out_60s == pytest.approx(10 / 60)
    assert there.last_failure.message == "down"
    assert sum(each.calls for each in there.partitions) == there.calls == 2


def test_what_waits_for_its_next_attempt_is_known_where_it_is(shares: Shares) -> None:
    one, failing = shares.queue(), RecordingProcessor()
    one.push_all(range(10), partition_key="key")
    shares.holds(10)
    failing.fail_always(OSError("down"))
    worker = shares.elsewhere(failing)
    shares.seen(lambda: worker.stats().retry_in is not None)
    assert one.stats().retry_in is None
    failing.recover()
    shares.seen(lambda: worker.stats().delivered == 10)
    assert worker.stats().retry_in is None


def test_the_later_claim_of_a_partition_says_when_it_is_tried_again() -> None:
    before, later = ({"calls": 1, "last_success": None, "retry_in": at} for at in (None, 3.0))
    assert together(before, later) == {"calls": 2, "last_success": None, "retry_in": 3.0}
    assert together(later, before)["retry_in"] is None


def test_before_it_was_started_nothing_is_known(shares: Shares) -> None:
    queue = shares.queue(start=False)
    stats = queue.stats()
    assert (stats.accepted, stats.partitions, stats.shared.age) == (0, (), None)
    assert queue.size() == 0


def test_a_call_that_takes_too_long_is_counted_where_it_is(shares: Shares) -> None:
    shares.new(partitions=3, lease=1000.0)
    one = RecordingProcessor()
    producer = shares.elsewhere()
    producer.push(1, partition_key=keys_in(producer, 2)[0])
    shares.holds(1)
    one.block()
    queue = shares.queue(one, processing_timeout=5.0)
    one.wait_for_call()
    shares._clock.jump(6.0)
    wait_until(lambda: queue.stats().overdue == 1)
    assert [each.overdue for each in queue.stats().partitions] in ([0, 0, 1], [])
    one.unblock()


def test_the_front_is_never_overdue(shares: Shares) -> None:
    hook = RecordingHook()
    queue = shares.queue(processing_timeout=5.0, hooks=[hook])
    shares.shared.fails = AWAY
    queue.push(1)
    shares._clock.advance(20.0)
    assert queue.stats().overdue == 0
    assert hook.events == []


def test_tasks_may_wait_for_their_loop_and_a_window_has_one_worker(shares: Shares) -> None:
    shares.new(window=10)
    shares.fill(*range(60), apart=True)
    one = RecordingProcessor()
    queue = shares.queue(one, processing_batch_size=2)
    run = queue._run
    shares.seen(lambda: len(one.items) == 60)
    assert one.items == list(range(60))
    assert len(run.guests) == 1


# --- hooks ---------------------------------------------------------------------------------


def test_hooks_hear_of_batches_once_with_the_servers_partitions(shares: Shares) -> None:
    hook = RecordingHook()
    shares.new(partitions=4)
    queue = shares.queue(RecordingProcessor(), hooks=[hook])
    for partition in range(4):
        queue.push(partition, partition_key=keys_in(queue, partition)[0])
    shares.seen(lambda: queue.stats().delivered == 4)
    names = [type(event).__name__ for event in hook.events]
    assert names.count("ProcessingStarted") == names.count("ProcessingStopped") == 4
    assert {event.partition for event in hook.events} == set(range(4))
    queue.stop()
    names = [type(event).__name__ for event in hook.events]
    assert names.count("PartitionStarted") == names.count("PartitionStopped") == 4


# --- failures ------------------------------------------------------------------------------


def test_what_fails_is_tried_again_in_order(shares: Shares) -> None:
    one = RecordingProcessor()
    one.fail(OSError(), RetryAfter(2.0), PartialFailure([1]))
    queue = shares.queue(one)
    queue.push_all(range(3))
    shares.seen(lambda: shares.shared.held() == 0)
    assert one.items == [1]
    assert one.attempts == [[0, 1, 2], [0, 1, 2], [0, 1, 2], [1]]


def test_a_batch_may_be_split(shares: Shares) -> None:
    one = RecordingProcessor()
    one.fail(Split())
    queue = shares.queue(one)
    queue.push_all(range(4))
    shares.seen(lambda: shares.shared.held() == 0)
    assert one.items == list(range(4))


def test_what_is_given_up_is_kept_on_the_server(shares: Shares) -> None:
    one = RecordingProcessor()
    one.fail(Reject())
    queue = shares.queue(one)
    queue.push_all([1, 2])
    shares.seen(lambda: shares.shared.held() == 0)
    queue.push(3)
    shares.seen(lambda: queue.stats().delivered == 1)
    assert shares.shared.dead_items() == [1, 2]
    stats = queue.stats()
    assert (stats.accepted, stats.delivered, stats.dead_lettered) == (3, 1, 2)
    assert queue.stop().dead_lettered == 0


@pytest.mark.parametrize("kind", ["queue", "map"])
@pytest.mark.parametrize("handled", [False, True])
def test_what_is_given_up_is_held_until_it_is_settled(
    shares: Shares, kind: str, handled: bool
) -> None:
    """Though a worker dies in between, each is one thing in the end, and counted once."""
    sink, calls = Sink(), list[list[int]]()
    owner: dict[str, Any] = {"dead_letter": sink.bury} if handled else {}

    def process(batch: list[Any]) -> None:
        numbers = [each if kind == "queue" else each.key for each in batch]
        calls.append(numbers)
        if {1, 3} <= {*numbers}:
            raise PartialFailure(retry=batch[:1], reject=batch[2:3])
        if len(calls) == 2:  # what was kept of the first
            shares.shared.expire(0)

    def fill(buffer: Any) -> None:
        numbers = [1, 2, 3, 4]
        buffer.push_all(numbers) if kind == "queue" else buffer.put_all([(n, n) for n in numbers])

    def letters() -> int:
        return len(sink.dead) if handled else shares.shared._server.depth(0)[0].kept

    one = getattr(shares, kind)(process, **owner)
    fill(one)
    shares.seen(lambda: letters() == 1)
    (depth,) = shares.shared._server.depth(0)
    assert depth.settled - depth.dead in ({0} if kind == "queue" else {0, 2})  # a prefix, or keys
    assert depth.dead in ({0} if kind == "queue" else {0, 1})
    shares.seen(lambda: one.stats().delivered == 3)
    stats = one.stats()
    assert_balanced(stats)
    assert (stats.dead_lettered, stats.held) == (1, 0)
    assert len(calls) >= 3
    assert letters() == (2 if kind == "queue" else 1)


def test_what_is_given_up_goes_to_the_handler_if_there_is_one(shares: Shares) -> None:
    sink = Sink()
    sink.fail(Reject())
    queue = shares.queue(sink, dead_letter=sink.bury)
    queue.push_all([1, 2])
    shares.seen(lambda: shares.shared.held() == 0)
    assert sink.dead == [1, 2]
    assert shares.shared.dead_items() == []
    assert_balanced(queue.stats())


# --- options, identities ---------------------------------------------------------------------


def test_options_that_are_updated_reach_what_is_under_way(shares: Shares) -> None:
    one = RecordingProcessor()
    queue = shares.queue(one, processing_batch_size=2, flush_at=None, processing_interval=3600.0)
    shares._clock.advance(1.0)
    queue.push_all(range(6))
    shares.holds(6)
    assert one.attempts == []
    queue.update_options(processing_batch_size="table", flush_at=1)
    shares.seen(lambda: len(one.items) == 6)
    assert one.batches == [list(range(6))]
    queue.update_options(flush_at=3)
    queue.push_all([6, 7])
    shares._clock.advance(10.0)
    assert len(one.items) == 6
    queue.push(8)
    shares.seen(lambda: len(one.items) == 9)


def test_a_batch_has_a_token_only_where_others_may_claim_it(shares: Shares) -> None:
    seen: list[Any] = []

    def note(_batch: list[int]) -> None:
        seen.append((batch_id().partition, fencing_token()))

    queue = shares.queue(note)
    queue.push(1)
    shares.seen(lambda: len(seen) == 1)
    plain = shares.queue(note, storage=None, partitions=1)
    plain.push(1)
    shares.seen(lambda: len(seen) == 2)
    assert seen[0][1] >= 1
    assert seen[1] == (0, 0)
    with pytest.raises(WrongThread):
        fencing_token()


@pytest.mark.threads
def test_a_processor_may_be_left_out_of_a_shared_buffer_alone(shares: Shares) -> None:
    with pytest.raises(ValueError, match="processor=None"):
        Queue("nobody", None)
