"""How a buffer does, in a word."""

import threading
from typing import Any

import pytest
from asking import overview
from helpers import Buffers, wait_until

from partitioned_buffer import Queue
from partitioned_buffer.dashboard import Page
from partitioned_buffer.errors import StorageAway
from partitioned_buffer.testing import FakeClock, RecordingProcessor
from partitioned_buffer.testing.sharing import SharedDict


def states(name: str = "events") -> list[str]:
    found: list[str] = overview(Page())[name]["states"]
    return found


@pytest.mark.both_faces
def test_nothing_held_is_idle_and_what_goes_flows(buffers: Buffers, clock: FakeClock) -> None:
    queue = buffers.queue(name="events")
    assert states() == ["idle"]
    queue.push(1)
    assert states() == ["flowing"]
    clock.advance(6.0)
    assert states() == ["flowing"]  # a moment ago
    clock.advance(20.0)
    assert states() == ["idle"]


@pytest.mark.both_faces
def test_where_nothing_gets_through_there_is_an_outage(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(name="events")
    processor.fail_always(OSError("down"))
    queue.push(1)
    clock.advance(5.0)
    assert states() == ["outage", "flowing"]
    clock.advance(120.0)
    assert states() == ["outage", "flowing"]  # nor is it called behind, or stalled, for that
    processor.recover()
    clock.advance(5.0)
    assert states() == ["flowing"]


def test_where_a_part_gets_through_it_fails(buffers: Buffers, clock: FakeClock) -> None:
    def picky(batch: list[int]) -> None:
        if 0 in batch:
            raise OSError("down")

    queue = buffers.queue(
        name="events", partitions=2, processor=picky, partition_key=lambda item: item
    )
    inside = {queue.partition_of(number): number for number in range(20)}
    assert len(inside) == 2
    (well,) = [n for place, n in inside.items() if place != queue.partition_of(0)]
    queue.push(0)
    clock.advance(5.0)
    assert states()[0] == "outage"
    queue.push(well)
    assert states()[0] == "failing"


def test_one_bad_item_among_good_ones_is_no_failure(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(name="events", flush_at=1)
    queue.push(1)
    wait_until(lambda: queue.stats().delivered == 1)
    processor.fail_always(ValueError("no such user"))
    queue.push(2)
    wait_until(lambda: queue.stats().failed_calls == 1)
    assert states() == ["flowing"]  # it went well a moment ago
    clock.jump(3.5)
    assert states()[0] == "outage"


def test_a_call_that_takes_far_longer_than_any_before_is_a_stall(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(name="events", max_size=None)
    queue.push(1)
    clock.advance(5.0)
    processor.wait_for_call()
    processor.block()
    queue.push(2)
    clock.jump(5.0)
    processor.wait_for_call()
    assert states() == ["flowing"]
    clock.jump(5.0)
    assert states()[0] == "stalled"  # long before its processing_timeout
    processor.unblock()
    wait_until(lambda: queue.stats().held == 0)
    assert states() == ["flowing"]


def test_the_first_call_has_its_processing_timeout(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    processor.block()
    queue = buffers.queue(name="events", processing_timeout=30.0)
    queue.push(1)
    clock.jump(5.0)
    processor.wait_for_call()
    clock.jump(29.0)
    assert states()[0] != "stalled"
    clock.jump(1.0)
    assert states()[0] == "stalled"
    assert queue.stats().overdue == 1


@pytest.mark.parametrize("when_full", ["raise", "drop_newest", "drop_oldest"])
def test_no_room_is_full(buffers: Buffers, when_full: Any) -> None:
    queue = buffers.queue(name="events", max_size=20, when_full=when_full)
    queue.push_all(range(18))
    assert states() == ["flowing"]
    queue.push(18)
    assert states() == ["full", "flowing"]


def test_no_room_for_bytes_is_full(buffers: Buffers) -> None:
    queue = buffers.queue(name="events", max_bytes=100, when_full="raise")
    queue.push(b"x" * 90)
    assert states() == ["flowing"]
    queue.push(b"x" * 5)
    assert states() == ["full", "flowing"]


def test_writers_that_wait_have_it_be_full(
    buffers: Buffers, processor: RecordingProcessor, stood: list[int]
) -> None:
    processor.block()
    queue = buffers.queue(name="events", max_size=100, when_full="block")
    queue.push_all(range(50))
    thread = threading.Thread(target=queue.push_all, args=(range(60),))
    thread.start()
    wait_until(lambda: bool(stood) and queue.stats().blocked > 0)
    assert "full" in states()
    processor.unblock()
    thread.join()


def test_what_is_old_and_goes_slowly_is_behind(buffers: Buffers, clock: FakeClock) -> None:
    seen = list[str]()

    def slow(_batch: list[int]) -> None:
        seen.append(states()[0])
        clock.jump(10.0)

    queue = buffers.queue(name="events", processor=slow, processing_batch_size=1)
    queue.push_all(range(4))
    clock.advance(5.0)
    assert seen == ["flowing", "flowing", "behind", "behind"]  # 5, 15, 25 and 35 seconds old


def test_a_buffer_that_is_stopped_says_so() -> None:
    queue = Queue[int]("events", print)
    page = Page([queue])
    assert overview(page)["events"]["states"] == ["stopped"]


def test_what_nobody_takes_from_a_server_is_stalled(clock: FakeClock) -> None:
    storage = SharedDict(clock=clock)
    with Queue[int]("events", storage=storage, partitions=1, clock=clock) as writes:
        writes.push(1)
        clock.advance(5.0)
        assert states() == ["flowing"]
        clock.advance(100.0)
        assert states() == ["stalled", "flowing"]
        assert overview(Page())["events"]["stats"]["shared"]["away"] is None


def test_a_server_that_cannot_be_used_is_away(clock: FakeClock) -> None:
    storage = SharedDict(clock=clock)
    with Queue[int]("events", storage=storage, partitions=1, clock=clock) as writes:
        storage.fails = StorageAway("gone")
        writes.push(1)
        wait_until(lambda: "away" in states())
        assert overview(Page())["events"]["stats"]["shared"]["away"] == "gone"
        storage.fails = None
        clock.advance(10.0)
        wait_until(lambda: "away" not in states())


def test_a_server_that_has_no_room_is_full(clock: FakeClock) -> None:
    storage: Any = SharedDict(clock=clock)
    storage.limit = 10  # as Redis says it
    with Queue[int]("events", storage=storage, partitions=1, clock=clock) as writes:
        writes.push_all(range(9))
        assert "full" not in states()
        writes.push(10)
        assert states() == ["full", "flowing"]
        assert overview(Page())["events"]["limit"] == 10
