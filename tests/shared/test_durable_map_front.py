"""A shared Map whose front is a storage: what is not on the server yet outlives the process."""

import asyncio
import operator
from pathlib import Path
from typing import Any

import pytest
from helpers import in_thread
from shares import Gate

from partitioned_buffer import AsyncMap, BufferFull, Map, StorageAway, StorageError
from partitioned_buffer.testing import assert_balanced
from partitioned_buffer.testing.contract.base import eventually
from partitioned_buffer.testing.sharing import SharedDict
from partitioned_buffer.testing.storage import DictStorage


@pytest.fixture(params=["dict", "sqlite"])
def front(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """A storage for the front: in memory, whose crash is told; or a file."""
    if request.param == "dict":
        return DictStorage()
    pytest.importorskip("msgspec")
    from partitioned_buffer.storage import SQLite  # noqa: PLC0415  # takes msgspec

    return SQLite(tmp_path / "front.db")


def producer(storage: Any, name: str = "producer", **options: Any) -> Any:
    return Map[Any, Any](name, None, storage=storage, **options)


def delivered(shared: SharedDict, **options: Any) -> list[tuple[Any, Any]]:
    """Return what the server has, as a worker gets it."""
    entries: list[Any] = []
    worker: Map[Any, Any] = Map(
        "worker", entries.extend, storage=shared.another(), processing_interval=0.01, **options
    )
    with worker:
        worker.flush(30)
    return sorted((entry.key, entry.value) for entry in entries)


def shipped(made: Any) -> None:
    eventually(lambda: made._size_here() == 0)


def test_what_is_written_is_brought_to_the_server(front: Any) -> None:
    shared = SharedDict(partitions=3)
    with producer(shared.another(front=front)) as made:
        for number in range(30):
            made.put(number % 10, number)
        made.put_all({"a": 1, "b": 2})
        made.put_newer("v", "new", 5)
        made.put_all_newer([("v", "old", 4), ("w", 1, 1)])
        made.put("gone", 1)
        made.delete("gone")
        shipped(made)
        assert made.get("v") == "new"
        assert (made.get("gone"), made.get(0)) == (None, 20)
        assert_balanced(made.stats())
        eventually(lambda: (made.stats().coalesced, made.stats().deleted) == (21, 1))
        assert made.stats().accepted == 36

    wanted = [(number, 20 + number) for number in range(10)]
    got = delivered_as_text(shared)
    assert got == sorted(map(str, [*wanted, ("a", 1), ("b", 2), ("v", "new"), ("w", 1)]))


def delivered_as_text(shared: SharedDict) -> list[str]:
    entries: list[Any] = []
    worker: Map[Any, Any] = Map(
        "worker", entries.extend, storage=shared.another(), processing_interval=0.01
    )
    with worker:
        worker.flush(30)
    return sorted(str((entry.key, entry.value)) for entry in entries)


def test_what_a_stop_leaves_stays_and_is_brought_by_the_next_one(front: Any) -> None:
    shared = SharedDict(partitions=2)
    storage = shared.another(front=front)
    made = producer(storage).start()
    storage.on_call = refuse("append")
    for number in range(10):
        made.put(number, number)
    made.delete(3)

    report = made.stop(0.1)

    assert len(report.left) == 11
    eventually(lambda: sorted(entry.value for entry in report.left) == list(range(10)))
    storage.on_call = None
    with producer(storage) as again:
        shipped(again)
    assert delivered(shared) == [(number, number) for number in range(10) if number != 3]


def refuse(refused: str) -> Any:
    def on_call(call: str) -> None:
        if call == refused:
            raise StorageAway("not now")

    return on_call


@pytest.mark.parametrize("partitions", [3, 2])
def test_lost_replies_and_a_crash_add_nothing_twice_whatever_the_partitions_are(
    partitions: int,
) -> None:
    front = DictStorage()
    shared = SharedDict(partitions=3)
    storage = shared.another(front=front)
    made = producer(storage, merge=operator.add).start()
    storage.loses_replies = 10**9
    made.put_all([(number % 5, 1) for number in range(30)])
    eventually(lambda: shared.appended == 30)

    front.crash()  # before anybody has heard that the server has them
    storage.fails = StorageError("the process is gone")
    if partitions != 3:
        shared.resize(partitions)
    with producer(shared.another(front=front), "again", merge=operator.add) as again:
        for number in range(10):
            again.put(number % 5, 1)
        shipped(again)
        assert shared.appended == 40
    made.stop(0)

    assert delivered(shared, merge=operator.add) == [(number, 8) for number in range(5)]


def test_a_front_takes_writes_while_the_server_is_away_and_no_longer(front: Any) -> None:
    shared = SharedDict()
    storage = shared.another(front=front)
    with producer(storage, max_size=3, when_full="raise") as made:
        storage.fails = StorageAway("away")
        made.put_all({1: 1, 2: 2, 3: 3})
        with pytest.raises(BufferFull):
            made.put(4, 4)
        with pytest.raises(StorageAway):
            made.get(1)
        storage.fails = None
        shipped(made)
    assert delivered(shared) == [(1, 1), (2, 2), (3, 3)]


def test_what_is_read_is_what_was_written_here(front: Any) -> None:
    with producer(SharedDict(partitions=3).another(front=front)) as made:
        for number in range(30):
            made.put("a", number)
            assert made.get("a") == number
        made.put_newer("b", "new", 5)
        made.put_newer("b", "old", 4)
        assert made.get("b") == "new"
        made.delete("a")
        assert "a" not in made
        made.put("a", "again")
        assert "a" in made


def test_who_reads_waits_until_the_server_has_what_was_written(front: Any) -> None:
    storage, gate = SharedDict().another(front=front), Gate("append")
    with producer(storage) as made:
        storage.on_call = gate
        made.put("a", 1)
        thread, outcome = in_thread(lambda: made.get("a"))
        assert gate.entered.wait(60)
        assert not outcome
        gate.open()
        thread.join(60)
        assert outcome == [1]
        assert not any(each._flushes for each in made._run.workers)


def test_who_reads_waits_no_longer_than_for_an_acknowledgement(front: Any) -> None:
    storage, gate = SharedDict(ack_timeout=0.01).another(front=front), Gate("append")
    with producer(storage) as made:
        storage.on_call = gate
        made.put_all({"a": 1, "b": 2})
        with pytest.raises(StorageAway, match=r"2 of the writes in its front .*it is slow"):
            made.get("a")
        assert not any(each._flushes for each in made._run.workers)
        gate.open()


def test_who_reads_does_not_wait_for_a_server_that_is_away(front: Any) -> None:
    storage = SharedDict(ack_timeout=None).another(front=front)
    with producer(storage) as made:
        storage.fails = StorageAway("the net is down")
        made.put("a", 1)
        eventually(lambda: made.stats().shared.away is not None)
        with pytest.raises(StorageAway, match=r"1 of the writes in its front .*the net is down"):
            made.get("a")
        storage.fails = None
        shipped(made)
        assert made.get("a") == 1


def test_tasks_write_and_read(front: Any) -> None:
    shared = SharedDict(partitions=1)

    async def main() -> None:
        made: AsyncMap[str, int] = AsyncMap("tasks", storage=shared.another(front=front))
        async with made:
            await made.put("a", 1)
            await made.put_newer("b", 2, 7)
            await made.delete("a")
            with pytest.raises(TypeError):
                made.put_nowait("c", 1)
            assert await made.fetch("b") == 2
            assert await made.fetch("a") is None
            for number in range(10):
                await made.put("c", number)
                assert await made.fetch("c") == number
            await made.delete("c")

    asyncio.run(main())
    assert delivered(shared) == [("b", 2)]
