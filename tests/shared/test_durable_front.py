"""A shared Queue whose front is a storage: what is not on the server yet outlives the process."""

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from partitioned_buffer import AsyncQueue, InvalidOption, Queue, StorageAway, StorageError
from partitioned_buffer.testing import assert_balanced
from partitioned_buffer.testing.contract.base import eventually
from partitioned_buffer.testing.sharing import SharedDict
from partitioned_buffer.testing.storage import DictStorage

FRONTS = ["dict", "sqlite"]


@pytest.fixture(params=FRONTS)
def front(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """A storage for the front: in memory, whose crash is told; or a file."""
    if request.param == "dict":
        return DictStorage()
    pytest.importorskip("msgspec")
    from partitioned_buffer.storage import SQLite  # noqa: PLC0415  # takes msgspec

    return SQLite(tmp_path / "front.db")


def delivered(shared: SharedDict) -> list[Any]:
    """Return all items that the server has, as a worker gets them."""
    items: list[Any] = []
    with Queue(
        "worker", items.extend, storage=shared.another(), processing_interval=0.01
    ) as worker:
        worker.flush(30)
    return items


def shipped(queue: Queue[Any]) -> None:
    """Wait until the front is empty."""
    eventually(lambda: queue._size_here() == 0)


def test_what_is_written_is_brought_to_the_server_once(front: Any) -> None:
    shared = SharedDict(partitions=3)
    with Queue[int]("producer", storage=shared.another(front=front, deliver=False)) as queue:
        for item in range(50):
            queue.push(item)
        queue.push_all(range(50, 100))
        queue.push(100, partition_key="a")
        shipped(queue)
        assert_balanced(queue.stats())

    assert sorted(delivered(shared)) == list(range(101))


def test_keys_keep_their_order_and_their_partition(front: Any) -> None:
    shared = SharedDict(partitions=4)
    storage = shared.another(front=front, deliver=False)
    got: dict[str, list[int]] = defaultdict(list)
    with Queue[Any]("producer", storage=storage) as queue:
        wanted = {key: queue.partition_of(0, partition_key=key) for key in "abcdefg"}
        for number, key in itertools.product(range(20), "abcdefg"):
            queue.push((key, number), partition_key=key)
        shipped(queue)
        assert queue.partition_of(0) is None

    memory = shared.another(deliver=False)
    with Queue[Any]("other producer", storage=memory) as other:
        assert {key: other.partition_of(0, partition_key=key) for key in "abcdefg"} == wanted
    for key, number in delivered(shared):
        got[key].append(number)
    assert dict(got) == {key: list(range(20)) for key in "abcdefg"}


def test_what_a_stop_leaves_stays_and_is_brought_by_the_next_one(front: Any) -> None:
    shared = SharedDict(partitions=2)
    storage = shared.another(front=front, deliver=False)
    queue = Queue[int]("producer", storage=storage).start()
    storage.down_lanes.add(0)
    queue.push_all(range(10))
    for item in range(10, 20):
        queue.push(item)

    report = queue.stop(0.1)

    assert len(report.left) == 20
    eventually(lambda: list(report.left) == list(range(20)))  # when the file has been let go of
    storage.down_lanes.clear()
    with Queue[int]("producer", storage=storage) as again:
        shipped(again)
    assert sorted(delivered(shared)) == list(range(20))


def test_lost_replies_and_a_crash_bring_nothing_twice() -> None:
    front = DictStorage()
    shared = SharedDict(partitions=3)
    storage = shared.another(front=front, deliver=False)
    queue = Queue[int]("producer", storage=storage).start()
    storage.loses_replies = 10**9
    queue.push_all(range(30))
    eventually(lambda: shared.appended == 30)

    front.crash()  # before anybody has heard that the server has them
    storage.fails = StorageError("the process is gone")
    there = shared.another(front=front, deliver=False)
    with Queue[int]("producer again", storage=there, partitions=3) as again:
        for item in range(30, 40):
            again.push(item)
        shipped(again)
        assert shared.appended == 40
        had = [had for had, _ in again._admission.sharing.shippers[0]._had.values()]
        assert sum(had) == 40, "each counts once where a loss would be counted"
    queue.stop(0)

    assert sorted(delivered(shared)) == list(range(40))


@pytest.mark.parametrize("sizes", [[2], [1], [2, 7]])
@pytest.mark.parametrize("keyed", [True, False])
def test_a_crash_and_then_other_partitions_bring_nothing_twice(
    sizes: list[int], keyed: bool
) -> None:
    front = DictStorage()
    shared = SharedDict(partitions=3)
    storage = shared.another(front=front, deliver=False)
    options: dict[str, Any] = {"partition_key": lambda item: item % 5} if keyed else {}
    queue = Queue[int]("producer", storage=storage, **options).start()
    storage.loses_replies = 10**9
    queue.push_all(range(30))
    eventually(lambda: shared.appended == 30)
    queue.push_all(range(30, 40))  # waits behind what is not known to be there

    front.crash()  # before anybody has heard that the server has them
    storage.fails = StorageError("the process is gone")
    for size in sizes:
        shared.resize(size)
    again_there = shared.another(front=front, deliver=False)
    tries = iter(range(3))
    again_there.on_call = refuse_now_and_then(tries)
    with Queue[int]("producer again", storage=again_there, **options) as again:
        again.push_all(range(40, 50))
        shipped(again)
        assert shared.appended == 50
        eventually(lambda: again._admission.sharing.trouble is None)
    queue.stop(0)

    assert sorted(delivered(shared)) == list(range(50))


def test_what_a_server_lost_is_counted_in_a_later_life(front: Any) -> None:
    shared = SharedDict(partitions=1)

    def begun() -> Queue[int]:
        return Queue[int]("producer", storage=shared.another(front=front, deliver=False))

    with begun() as queue:
        queue.push_all(range(10))
        shipped(queue)
    with begun() as queue:
        for item in range(10, 15):
            queue.push(item)
            shipped(queue)
        shared.forgets(3)
        queue.push(15)
        shipped(queue)
        numbers = queue.stats().shared
        assert numbers is not None
        assert (numbers.gaps, numbers.lost) == (1, 3)


def refuse_now_and_then(tries: Iterator[int]) -> Callable[[str], None]:
    """Have a few looks at what is there fail."""

    def on_call(call: str) -> None:
        if call == "depth" and next(tries, None) is not None:
            raise StorageAway("not now")

    return on_call


def test_a_batch_that_was_partly_there_at_a_crash_is_not_brought_twice() -> None:
    front = DictStorage()
    shared = SharedDict(partitions=1)
    storage = shared.another(front=front, deliver=False)
    queue = Queue[int]("producer", storage=storage).start()
    storage.loses_replies = 10**9
    queue.push_all(range(5))
    eventually(lambda: shared.appended == 5)
    queue.push_all(range(5, 12))  # waits behind what is not known to be there

    front.crash()
    storage.fails = StorageError("the process is gone")
    with Queue[int]("producer again", storage=shared.another(front=front)) as again:
        shipped(again)
    queue.stop(0)

    assert delivered(shared) == list(range(12))


def test_a_front_takes_writes_while_the_server_is_away_and_no_longer(front: Any) -> None:
    shared = SharedDict()
    storage = shared.another(front=front, deliver=False)
    with Queue[int]("producer", storage=storage, max_size=3, when_full="raise") as queue:
        storage.fails = StorageError("away")
        for item in range(3):
            queue.push(item)
        with pytest.raises(Exception, match="full"):
            queue.push(3)
        storage.fails = None
        shipped(queue)

    assert delivered(shared) == [0, 1, 2]


def test_a_write_to_a_stored_front_returns_when_it_is_there() -> None:
    shared = SharedDict()
    storage = shared.another(front=DictStorage(), ack="server")
    with pytest.raises(InvalidOption, match="ack='server': expected 'local' with a front"):
        Queue("events", storage=storage)

    made = AsyncQueue[int]("events", storage=shared.another(front=DictStorage()))
    with pytest.raises((TypeError, RuntimeError)):
        made.push_nowait(1)


def test_what_was_in_the_file_counts_as_recovered(front: Any) -> None:
    shared = SharedDict()
    storage = shared.another(front=front, deliver=False)
    queue = Queue[int]("producer", storage=storage).start()
    storage.down_lanes.add(0)
    queue.push_all(range(5))
    queue.stop(0.1)
    with Queue[int]("producer", storage=storage) as again:
        assert again.stats().recovered == 5
        assert_balanced(again.stats())
        storage.down_lanes.clear()
