"""What a front holds gets to the server, each record once, whatever happens on the way."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from shares import Shares, of_key

from partitioned_buffer import StorageAway
from partitioned_buffer.abc.sharing import Parcel
from partitioned_buffer.testing import RecordingProcessor
from partitioned_buffer.testing.sharing import SharedDict, SharedDictStore

pytestmark = pytest.mark.both_faces
AWAY = StorageAway("the net is down")


def test_lost_replies_make_nothing_twice(shares: Shares) -> None:
    queue = shares.queue()
    for number in range(20):
        shares.shared.loses_replies = number % 3
        queue.push(number)
    shares.holds(20)
    shares.seen(lambda: queue.stats().shared.front == 0)
    assert shares.waiting() == list(range(20))
    assert queue.stats().shared.gaps == 0


def test_an_outage_costs_nothing(shares: Shares) -> None:
    queue = shares.queue()
    shares.shared.fails = AWAY
    for number in range(10):
        queue.push(number, partition_key=number % 2)
    shares.seen(lambda: queue.stats().shared.away == "the net is down")
    assert queue.stats().held == queue.size() == 10
    shares.shared.fails = None
    shares.holds(10)
    shares.seen(lambda: queue.stats().shared.away is None)
    assert shares.waiting() == list(range(10))


def test_what_a_server_lost_is_counted_and_the_rest_goes_on(shares: Shares) -> None:
    queue = shares.queue()
    for number in range(4):
        queue.push(number)
        shares.holds(number + 1)
    shares.shared.forgets(2)
    assert shares.waiting() == [0, 1]
    queue.push_all([4, 5])
    shares.holds(4)
    assert shares.waiting() == [0, 1, 4, 5]
    shares.seen(lambda: queue.stats().shared.gaps == 1)
    assert queue.stats().shared.lost == 2
    queue.push(6)
    shares.holds(5)
    assert queue.stats().shared.gaps == 1


class Parting:
    """Has the server get half of the next parcel, and the reply lost."""

    def __init__(self, storage: SharedDict, monkeypatch: pytest.MonkeyPatch) -> None:
        self.parted = 0
        append, codec = SharedDictStore.append, storage.codec

        def part(
            store: SharedDictStore, lane: int, producer: str, parcels: Sequence[Parcel]
        ) -> Any:
            first = parcels[0]
            if self.parted or first.count < 2:
                return append(store, lane, producer, parcels)
            self.parted, half = first.count, first.count // 2
            records = codec.split(first.data[1:])[:half]
            last, data = first.first + half - 1, b"\0" + codec.join(records)
            append(store, lane, producer, [first._replace(last=last, count=half, data=data)])
            raise AWAY

        monkeypatch.setattr(SharedDictStore, "append", part)


@pytest.mark.parametrize("ack", ["local", "server"])
def test_what_the_server_has_in_part_goes_on_from_there(
    shares: Shares, monkeypatch: pytest.MonkeyPatch, ack: str
) -> None:
    shares.new(ack=ack, ack_timeout=None)
    queue, parting = shares.queue(), Parting(shares.shared, monkeypatch)
    queue.push_all(range(7))
    shares.holds(7)
    assert parting.parted == 7
    assert shares.waiting() == list(range(7))
    queue.push(7)
    shares.holds(8)
    assert queue.stats().shared.gaps == 0


def test_a_producer_that_was_idle_for_long_is_not_taken_for_a_gap(shares: Shares) -> None:
    queue = shares.queue()
    queue.push(1)
    shares.holds(1)
    shares.seen(lambda: queue.stats().shared.front == 0)
    (shipper,) = queue._admission.sharing.shippers
    shares.shared._server.retire(shipper.producer)  # forgotten, as after a day
    shares._clock.jump(2 * 3600.0)
    queue.push(2)
    shares.holds(2)
    assert queue.stats().shared.gaps == 0


# --- another layout ---------------------------------------------------------------


@pytest.mark.parametrize(("before", "after"), [(1, 3), (4, 2), (3, 3)])
def test_a_resize_loses_nothing_and_keeps_the_order_of_each_key(
    shares: Shares, before: int, after: int
) -> None:
    processor = RecordingProcessor()
    shares.new(partitions=before)
    one, two = shares.queue(), shares.elsewhere(processor, partition_key=lambda item: item[0])
    for number in range(60):
        if number == 30:
            shares.shared.resize(after)
        one.push([number % 7, number], partition_key=number % 7)
    shares.seen(lambda: len(processor.items) == 60)
    for key in range(7):
        numbers = [number for of, number in processor.items if of == key]
        assert numbers == sorted(numbers)
    assert max(Counter(map(str, processor.items)).values()) == 1
    shares.seen(lambda: one._admission.sharing.partitions == after)
    two.push([0, 100])
    shares.seen(lambda: len(processor.items) == 61)
    shares.seen(lambda: len(one.stats().partitions) == after)


def test_all_partitions_of_another_layout_are_worked_on(shares: Shares) -> None:
    """A worker lets go of those of the former one, which would count against it."""
    processor = RecordingProcessor()
    shares.new(partitions=2)
    queue = shares.queue(processor)
    for partitions in (5, 1, 4):
        shares.shared.resize(partitions)
        shares.seen(lambda count=partitions: queue._admission.sharing.partitions == count)  # type: ignore[misc]
        before = len(processor.items)
        keys = range(200)
        assert {of_key(queue, key) for key in keys} == set(range(partitions))
        for key in keys:
            queue.push(key, partition_key=key)
        shares.seen(lambda count=before + 200: len(processor.items) == count)  # type: ignore[misc]


def test_what_may_have_arrived_before_a_resize_is_not_sent_to_the_new_layout(
    shares: Shares,
) -> None:
    queue = shares.queue()
    shares.shared.loses_replies = lambda call: call == "append"
    queue.push_all([1, 2])
    shares.holds(2)
    shares.shared.resize(2)
    queue.push_all([3, 4], partition_key=1)
    shares.shared.loses_replies = 0
    shares.holds(4)
    shares.seen(lambda: queue.stats().shared.front == 0)
    assert shares.shared.appended == 4


# --- ends and lives -----------------------------------------------------------------


def test_what_a_stop_has_left_is_what_is_not_on_the_server(shares: Shares) -> None:
    queue = shares.queue()
    queue.push(1)
    shares.holds(1)
    shares.seen(lambda: queue.stats().shared.front == 0)
    shares.shared.fails = AWAY
    queue.push_all([{"a": 2}, [3]])
    report = queue.stop(1.0)
    assert list(report.left) == [{"a": 2}, [3]]
    assert report.left == [{"a": 2}, [3]]
    assert (len(report.left), report.left[1], report.delivered) == (2, [3], 0)
    shares.shared.fails = None
    queue.start()
    shares.holds(3)
    assert shares.waiting() == [1, {"a": 2}, [3]]
    assert queue.stop().left == ()


def test_what_had_no_reply_before_a_stop_is_not_sent_as_something_else(shares: Shares) -> None:
    queue = shares.queue()
    shares.shared.loses_replies = lambda call: call == "append"
    queue.push_all([1, 2])
    shares.holds(2)
    assert list(queue.stop(0).left) == [1, 2], "nobody knows that it is there"
    shares.shared.loses_replies = 0
    queue.start()
    queue.push(3)
    shares.holds(3)
    assert shares.waiting() == [1, 2, 3]
    assert queue.stop().left == ()
    assert queue.stats().shared.gaps == 0


def test_what_was_sent_and_then_dropped_does_no_harm(shares: Shares) -> None:
    queue = shares.queue(max_size=2, when_full="drop_oldest")
    shares.shared.loses_replies = lambda call: call == "append"
    queue.push_all([1, 2])
    shares.holds(2)
    queue.stop(0)
    shares.shared.loses_replies = 0
    shares.shared.fails = AWAY
    shares.shared.fails = None
    queue.start()
    for number in range(3, 9):
        queue.push(number)
    shares.seen(lambda: queue.stats().shared.front == 0)
    found = shares.waiting()
    assert found == sorted(set(found))
    assert found[:2] == [1, 2]


def test_a_life_after_the_other_is_no_gap(shares: Shares) -> None:
    queue = shares.queue()
    for life in range(4):
        queue.push(life)
        queue.stop()
        queue.start()
        queue.push(life + 10)
    shares.holds(8)
    assert queue.stats().shared.gaps == 0
    assert Counter(shares.waiting()) == Counter([*range(4), *range(10, 14)])


def test_a_start_while_the_server_is_away_raises_and_keeps_what_is_left(shares: Shares) -> None:
    queue = shares.queue()
    shares.shared.fails = AWAY
    queue.push(1)
    queue.stop(0)
    with pytest.raises(StorageAway):
        queue.start()
    assert queue.size() == 1
    assert not queue.running
    shares.shared.fails = None
    queue.start()
    shares.holds(1)
