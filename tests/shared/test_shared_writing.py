"""How items get into a shared Queue: what is acknowledged when, where it goes, and what is not."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from helpers import in_thread, wait_until
from shares import Gate, Shares, keys_in, of_key

from partitioned_buffer import (
    AsyncQueue,
    BufferFull,
    BufferNotRunning,
    InvalidOption,
    Queue,
    StorageAway,
    by_content,
)
from partitioned_buffer.testing import FakeClock, RecordingProcessor

pytestmark = pytest.mark.both_faces
AWAY = StorageAway("the net is down")


# --- acknowledged by the front, or by the server ---------------------------------


def test_what_is_pushed_is_on_the_server_soon(shares: Shares) -> None:
    queue = shares.queue()
    for number in range(3):
        queue.push(number)
    shares.holds(3)
    assert shares.waiting() == [0, 1, 2]
    assert queue.stats().shared.shipped == 3


def test_a_push_to_the_front_does_not_wait_for_the_server(shares: Shares) -> None:
    queue = shares.queue()
    shares.shared.fails = AWAY
    queue.push(1)
    queue.push_all([2, 3])
    assert queue.size() == queue.stats().shared.front == 3
    shares.shared.fails = None
    shares.holds(3)
    assert shares.waiting() == [1, 2, 3]


def test_a_push_that_the_server_is_to_have_is_there_when_it_returns(shares: Shares) -> None:
    shares.new(ack="server")
    queue = shares.queue()
    queue.push(1)
    assert shares.waiting() == [1]
    queue.push_all([2, 3])
    assert shares.waiting() == [1, 2, 3]
    queue.push_all([])
    queue.push(4, partition_key="a")
    assert shares.waiting() == [1, 2, 3, 4]


def test_a_push_that_is_not_acknowledged_in_time_still_goes(shares: Shares) -> None:
    shares.new(ack="server", ack_timeout=3.0)
    queue = shares.queue()
    shares.shared.fails = AWAY
    with pytest.raises(TimeoutError, match=r"in line, and will still go there: the net is down"):
        queue.push(1)
    assert queue.size() == 1
    shares.shared.fails = None
    shares.holds(1)


def test_a_push_of_many_waits_for_all_of_them(shares: Shares) -> None:
    shares.new(ack="server", partitions=2, lanes=2, ack_timeout=None)
    queue = shares.queue()
    first, second = (keys_in(queue, partition)[0] for partition in (0, 1))
    shares.shared.down_lanes.add(1)
    thread, outcome = in_thread(lambda: queue.push_all([first, second], partition_key=lambda i: i))
    shares.holds(1)
    assert thread.is_alive()
    shares.shared.down_lanes.clear()
    shares.holds(2)
    thread.join(60)
    assert outcome == [None]
    assert (shares.waiting(0), shares.waiting(1)) == ([first], [second])


@pytest.mark.parametrize("timeout", [None, 60.0])
def test_who_waits_for_the_server_hears_of_a_stop(shares: Shares, timeout: float | None) -> None:
    shares.new(ack="server", ack_timeout=timeout)
    queue = shares.queue()
    shares.shared.fails = AWAY
    thread, outcome = in_thread(lambda: queue.push(1))
    wait_until(lambda: queue.size() == 1)
    assert list(queue.stop(0).left) == [1]
    thread.join(60)
    (error,) = outcome
    assert isinstance(error, BufferNotRunning)
    assert "among what the stop has left" in str(error)
    shares.shared.fails = None
    queue.start()
    shares.holds(1)


def test_a_lost_reply_is_no_acknowledgement_and_no_second_record(shares: Shares) -> None:
    shares.new(ack="server", ack_timeout=None)
    queue = shares.queue()
    shares.shared.loses_replies = 2
    queue.push(1)
    assert shares.shared.loses_replies == 0
    assert shares.waiting() == [1]


@pytest.mark.threads
def test_many_writers_are_acknowledged_together(shares: Shares) -> None:
    shares.new(ack="server", ack_timeout=None)
    gate = Gate("append")
    queue = shares.queue()
    shares.shared.on_call = gate
    writers = [in_thread(lambda n=n: queue.push(n)) for n in range(20)]  # type: ignore[misc]
    wait_until(lambda: queue.stats().shared.front == 20)
    gate.open()
    for thread, outcome in writers:
        thread.join(60)
        assert outcome == [None]
    assert sorted(shares.waiting()) == list(range(20))
    assert len(shares.shared.chunks()) <= 3, "a parcel for all that came while one was under way"


# --- where they go -----------------------------------------------------------------


def test_a_key_goes_to_the_same_partition_from_every_process(shares: Shares) -> None:
    shares.new(partitions=5)
    one, two = shares.queue(), shares.elsewhere()
    for key in range(30):
        where = of_key(one, key)
        assert of_key(two, key) == where
        before = shares.shared.held(where)
        one.push(key, partition_key=key)
        two.push_all([key], partition_key=lambda item: item)
        shares.holds(before + 2, where)
    assert {of_key(one, key) for key in range(30)} == set(range(5))


def test_the_partition_of_an_item_is_known_once_the_server_is(shares: Shares) -> None:
    shares.new(partitions=3)
    queue = shares.queue(start=False, partition_key=lambda item: item["key"])
    assert queue.partition_of({"key": "a"}) is None
    queue.start()
    where = queue.partition_of({"key": "a"})
    assert where in range(3)
    assert queue.partition_of({"key": "b"}, partition_key="a") == where
    queue.push({"key": "a"})
    shares.holds(1, where)


def test_items_without_a_key_take_turns_by_parcels(shares: Shares) -> None:
    shares.new(partitions=3)
    queue = shares.queue()
    assert queue.partition_of(1) is None
    for number in range(6):
        queue.push(number)
        shares.holds(number + 1)
    assert [shares.shared.held(partition) for partition in range(3)] == [2, 2, 2]


def test_many_items_without_a_key_stay_together(shares: Shares) -> None:
    shares.new(partitions=3)
    queue = shares.queue()
    queue.push_all(range(30))
    shares.holds(30)
    assert sorted(shares.shared.held(partition) for partition in range(3)) == [0, 0, 30]


def test_many_items_with_keys_go_where_each_belongs_in_order(shares: Shares) -> None:
    shares.new(partitions=3)
    queue = shares.queue(partition_key=lambda item: item % 7)
    queue.push_all(range(70))
    shares.holds(70)
    for partition in range(3):
        here = [item for item in range(70) if of_key(queue, item % 7) == partition]
        assert shares.waiting(partition) == here


# --- bounds --------------------------------------------------------------------------


def test_a_full_front_blocks_until_the_server_is_back(shares: Shares) -> None:
    queue = shares.queue(max_size=2)
    shares.shared.fails = AWAY
    queue.push_all([1, 2])
    thread, outcome = in_thread(lambda: queue.push(3))
    wait_until(lambda: queue.stats().blocked == 1)
    shares.shared.fails = None
    shares.holds(3)
    thread.join(60)
    assert outcome == [None]
    assert shares.waiting() == [1, 2, 3]


def test_a_full_front_raises_when_told_and_in_time(shares: Shares) -> None:
    queue = shares.queue(max_size=2, when_full="raise")
    patient = shares.elsewhere(max_size=1, block_timeout=2.0)
    shares.shared.fails = patient._settings.storage.fails = AWAY
    queue.push_all([1, 2])
    with pytest.raises(BufferFull):
        queue.push(3)
    with pytest.raises(BufferFull):
        queue.push_all([4, 5])
    patient.push(6)
    with pytest.raises(BufferFull, match=r"for 2.0 s"):
        patient.push(7)
    assert queue.size() == 2


@pytest.mark.parametrize("policy", ["drop_newest", "drop_oldest"])
def test_a_full_front_drops(shares: Shares, policy: str) -> None:
    dropped: list[Any] = []
    hooks = [lambda event: dropped.append(event) if hasattr(event, "count") else None]
    queue = shares.queue(max_size=3, when_full=policy, hooks=hooks)
    shares.shared.fails = AWAY
    for number in range(5):
        queue.push(number)
    stats = queue.stats()
    assert (stats.accepted, stats.held, stats.dropped) == (5, 3, 2)
    shares.shared.fails = None
    shares.holds(3)
    left = shares.waiting()
    assert left == sorted(left)
    assert policy == "drop_oldest" or left == [0, 1, 2]
    wait_until(lambda: sum(event.count for event in dropped) == 2)
    assert queue.stats().dropped == 2


def test_bytes_are_those_of_the_records(shares: Shares) -> None:
    queue = shares.queue(max_bytes=10, when_full="raise")
    shares.shared.fails = AWAY
    queue.push("123456")  # and its quotes
    with pytest.raises(BufferFull):
        queue.push("1")
    queue.push(12)
    with pytest.raises(BufferFull, match="one write of more"):
        queue.push("123456789")
    shares.shared.fails = None
    shares.holds(2)
    shares.seen(lambda: queue.stats().shared.front == 0)
    queue.push_all(["12", "34"])
    shares.holds(4)


def test_a_full_server_holds_the_front_and_its_writers(
    shares: Shares, processor: RecordingProcessor
) -> None:
    shares.new(limit=3)
    queue = shares.queue(max_size=2, when_full="raise")
    queue.push_all([1, 2, 3][:2])
    shares.holds(2)
    shares.seen(lambda: queue.stats().shared.front == 0)
    queue.push_all([3, 4])
    shares.seen(lambda: queue.stats().shared.away is not None)
    with pytest.raises(BufferFull):
        queue.push(5)
    assert shares.waiting() == [1, 2]
    shares.elsewhere(processor)
    shares.delivered(processor, 1, 2, 3, 4)
    queue.push(5)
    shares.delivered(processor, 1, 2, 3, 4, 5)


# --- what is not accepted ------------------------------------------------------------


def test_what_cannot_be_encoded_raises_where_it_is_pushed(shares: Shares) -> None:
    queue = shares.queue()
    with pytest.raises(TypeError):
        queue.push({1, 2})
    with pytest.raises(TypeError):
        queue.push_all([1, {2}])
    with pytest.raises(TypeError):
        queue.push(1, partition_key=object())
    assert queue.size() == 0
    assert queue.stats().accepted == 0


def test_a_buffer_that_does_not_run_takes_nothing(shares: Shares) -> None:
    for ack in ("local", "server"):
        shares.new(ack=ack)
        queue = shares.queue(start=False)
        writes: list[Callable[[], object]] = [
            lambda: queue.push(1),
            lambda: queue.push(1, partition_key=1),
            lambda: queue.push_all([1]),
        ]
        for write in writes:
            with pytest.raises(BufferNotRunning, match="has not been started"):
                write()
        queue.start()
        queue.stop()
        for write in writes:
            with pytest.raises(BufferNotRunning, match="has been stopped"):
                write()
        assert shares.shared.appended == 0


@pytest.mark.threads
def test_options_that_do_not_go_together_are_refused(shares: Shares) -> None:
    with pytest.raises(InvalidOption, match="by_content"):
        Queue("refused", None, storage=shares.shared, partition_key=by_content)
    shares.new(ack="server")
    with pytest.raises(InvalidOption, match="ack='local'"):
        Queue("refused", None, storage=shares.shared, max_size=1, when_full="drop_oldest")


@pytest.mark.threads
def test_a_subclass_may_have_its_own_push(shares: Shares, clock: FakeClock) -> None:
    class Doubling(Queue[int]):
        def push(self, item: int, *, partition_key: object = None) -> None:
            super().push(2 * item, partition_key=partition_key)

    for again in range(2):
        with Doubling(f"doubling-{again}", storage=shares.new(), clock=clock, processor=None) as it:
            it.push(1)
            it.push(2, partition_key=1)
            shares.holds(2)
    assert shares.waiting() == [2, 4]


@pytest.mark.threads
def test_what_must_not_wait_is_refused_where_the_server_is_to_have_it(shares: Shares) -> None:
    async def main() -> None:
        queue: AsyncQueue[int] = AsyncQueue("nowait", None, storage=shares.new(ack="server"))
        async with queue:
            with pytest.raises(TypeError, match="await the method without _nowait"):
                queue.push_nowait(1)
            with pytest.raises(TypeError, match="await the method without _nowait"):
                queue.push_all_nowait([1, 2])
            assert queue.size() == 0
            await queue.push(3)
        queue = AsyncQueue("nowait", None, storage=shares.shared.another(ack="local"))
        async with queue:
            queue.push_nowait(4)
            queue.push_all_nowait([5, 6], partition_key="a")
            await queue.stop()

    asyncio.run(main())
    assert shares.waiting() == [3, 4, 5, 6]


@pytest.mark.threads
def test_a_write_that_begins_before_the_first_start_is_refused(shares: Shares) -> None:
    """Its table is one of those that there were before it was known how many lanes there are."""
    shares.new(partitions=4, lanes=2)
    codec = shares.shared.codec
    began, goes_on = threading.Event(), threading.Event()

    class Slow:
        def __getattr__(self, name: str) -> Any:
            return getattr(codec, name)

        def encode(self, item: Any) -> bytes:
            if item == "early":
                began.set()
                goes_on.wait(60)
            return codec.encode(item)

    shares.shared.codec = Slow()  # type: ignore[assignment]
    queue = shares.queue(start=False)
    thread, outcome = in_thread(lambda: queue.push("early", partition_key=1))
    assert began.wait(60)
    queue.start()
    goes_on.set()
    thread.join(60)
    assert [type(each) for each in outcome] == [BufferNotRunning]
    queue.push("late", partition_key=1)
    shares.holds(1)
