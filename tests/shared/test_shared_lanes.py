"""A shared Queue whose server is several: that one is not reached holds up none of the others."""

import pytest
from shares import Shares, keys_in

from partitioned_buffer.testing import RecordingProcessor

pytestmark = pytest.mark.both_faces


def test_a_dead_lane_holds_up_nobody_else(shares: Shares) -> None:
    shares.new(partitions=4, lanes=2)
    one = RecordingProcessor()
    queue = shares.queue(one)
    dead, alive = (keys_in(queue, partition)[0] for partition in (0, 1))
    shares.shared.down_lanes.add(0)
    for number in range(10):
        queue.push(number, partition_key=dead)
        queue.push(number + 100, partition_key=alive)
        shares.delivered(one, *range(100, 101 + number))
    stats = queue.stats()
    assert stats.shared.front == 10
    assert stats.shared.away == "lane 0 of the SharedDict is down"
    with pytest.raises(TimeoutError):
        queue.flush(3.0)
    shares.shared.down_lanes.clear()
    queue.flush(60.0)
    assert one.items[10:] == list(range(10))


def test_all_lanes_are_written_to_in_every_way(shares: Shares) -> None:
    for ack in ("local", "server"):
        shares.new(partitions=6, lanes=3, ack=ack)
        one = RecordingProcessor()
        queue = shares.queue(one)
        for number in range(12):
            queue.push(number)
        for number in range(12, 40):
            queue.push(number, partition_key=number)
        queue.push_all(range(40, 60), partition_key=lambda item: item)
        queue.push_all(range(60, 70))
        queue.flush(60.0)
        assert sorted(one.items) == list(range(70))
        assert {h.partition % 3 for h in shares.shared.history if h.what == "append"} == {0, 1, 2}


def test_what_is_left_of_many_lanes_goes_on_in_the_next_life(shares: Shares) -> None:
    shares.new(partitions=4, lanes=2)
    queue = shares.queue(partition_key=lambda item: item)
    shares.shared.loses_replies = lambda call: call == "append"
    queue.push_all(range(20))
    shares.holds(20)
    shares.shared.loses_replies = 0
    shares.shared.down_lanes |= {0, 1}
    queue.push_all(range(20, 40))
    assert len(queue.stop(1.0).left) >= 20
    shares.shared.down_lanes.clear()
    queue.start()
    shares.holds(40)
    assert queue.stop().left == ()
    assert shares.shared.appended == 40


def test_claims_are_fair_over_lanes(shares: Shares) -> None:
    shares.new(partitions=6, lanes=2)
    made = [shares.elsewhere(RecordingProcessor()) for _ in range(2)]

    def fair() -> bool:
        held = [sum(len(pump.windows) for pump in each._admission.sharing.pumps) for each in made]
        return held == [3, 3]

    shares.seen(fair)
