"""What `get` says of a shared Map: of what waits here, and on the server."""

import asyncio
import operator
from collections.abc import Callable
from typing import Any

import pytest
from helpers import wait_until
from shares import Shares

from partitioned_buffer import AsyncMap, Map, StorageAway
from partitioned_buffer.testing import RecordingProcessor
from partitioned_buffer.testing.sharing import SharedDict

pytestmark = pytest.mark.both_faces
AWAY = StorageAway("the net is down")


@pytest.fixture
def read(face: str) -> Callable[..., Any]:
    """Read a key: a Map of threads by `get`, and one of tasks by `fetch`."""

    def read(made: Any, key: Any, default: Any = None) -> Any:
        if face == "threads":
            return made.get(key, default)
        return asyncio.run_coroutine_threadsafe(made.buffer.fetch(key, default), made._loop).result(
            60
        )

    return read


def test_what_others_have_put_is_read_until_it_is_delivered(
    shares: Shares, processor: RecordingProcessor, read: Callable[..., Any]
) -> None:
    made, other = shares.map(), shares.map_elsewhere()
    made.put("a", 1)
    shares.holds(1)
    assert (read(made, "a"), read(other, "a"), read(other, "b", 0)) == (1, 1, 0)
    processor.block()
    shares.map_elsewhere(processor)
    processor.wait_for_call()
    assert read(other, "a") == 1  # in flight
    made.put("a", 2)
    wait_until(lambda: len(shares.shared.waiting()) == 1)
    assert read(other, "a") == 2
    processor.unblock()
    shares.seen(lambda: read(other, "a", "gone") == "gone")


def test_what_waits_here_is_read_without_the_server_where_that_says_nothing_else(
    shares: Shares, read: Callable[..., Any]
) -> None:
    made = shares.map()
    shares.shared.fails = AWAY
    made.put("a", 1)
    made.delete("b")
    assert (read(made, "a"), read(made, "b", "gone")) == (1, "gone")
    with pytest.raises(StorageAway, match="the net is down"):
        read(made, "c")


def test_of_versions_the_newer_is_read(shares: Shares, read: Callable[..., Any]) -> None:
    made, other = shares.map(), shares.map_elsewhere()
    other.put_newer("a", "five", 5)
    shares.holds(1)
    shares.shared.fails = AWAY
    made.put_newer("a", "four", 4)
    shares.shared.on_call, shares.shared.fails = only("append"), None
    assert read(made, "a") == "five"
    made.put_newer("a", "six", 6)
    assert read(made, "a") == "six"
    shares.shared.on_call = None


def only(refused: str) -> Callable[[str], None]:
    def on_call(call: str) -> None:
        if call == refused:
            raise StorageAway("not now")

    return on_call


def test_of_sums_what_waits_here_is_read_with_what_is_there(
    shares: Shares, read: Callable[..., Any]
) -> None:
    made, other = (make(merge=operator.add) for make in (shares.map, shares.map_elsewhere))
    other.put("a", 1)
    shares.holds(1)
    made.put("a", 10)
    shares.seen(lambda: not made.stats().shared.front)
    shares.shared.on_call = only("append")
    made.put("a", 100)
    assert read(made, "a") == 111
    made.delete("a")
    assert read(made, "a", "gone") == "gone"
    made.put("a", 1000)
    assert read(made, "a") == 1000
    shares.shared.on_call = None


@pytest.mark.parametrize("merge", [None, operator.add])
def test_what_is_on_its_way_is_read_with_what_waits_behind_it(
    shares: Shares, read: Callable[..., Any], merge: Any
) -> None:
    made, other = (make(merge=merge) for make in (shares.map, shares.map_elsewhere))
    other.put("a", 7)
    shares.holds(1)
    shares.shared.on_call = only("append")
    made.delete("a")
    shares.seen(lambda: made.stats().shared.away is not None)
    if merge is None:
        made.put_newer("a", 1, -5)  # newer than nothing
    else:
        made.put("a", 1)
    assert read(made, "a") == 1
    shares.shared.on_call = None
    shares.seen(lambda: not made.stats().shared.front)
    assert read(other, "a") == 1


def test_a_sum_whose_reply_was_lost_is_counted_once(
    shares: Shares, read: Callable[..., Any]
) -> None:
    made = shares.map(merge=operator.add)
    shares.shared.loses_replies = lambda call: call == "append"
    made.put("a", 1)
    shares.holds(1)
    assert read(made, "a") == 1
    shares.shared.loses_replies = 0


def test_a_map_that_is_not_started_knows_its_own(
    shares: Shares, read: Callable[..., Any], face: str
) -> None:
    made = shares.map()
    shares.shared.fails = AWAY
    made.put_newer("a", 1, 1)
    made.stop(0.1)
    if face == "threads":
        assert (made.get("a"), made.get("b", 0)) == (1, 0)
    shares.shared.fails = None
    made.start()
    shares.holds(1)
    assert read(made, "a") == 1


def test_who_asks_by_a_layout_that_is_over_looks_for_the_next(
    shares: Shares, read: Callable[..., Any]
) -> None:
    shares.new(partitions=1)
    made, other = shares.map(), shares.map_elsewhere()
    made.put_all({key: key for key in range(8)})
    shares.holds(8)
    shares.shared.resize(4)
    assert [read(other, key) for key in range(8)] == list(range(8))


def test_in_asks_the_server() -> None:
    server = SharedDict()
    one: Map[str, int] = Map("one", storage=server)
    two: Map[str, int] = Map("two", storage=server.another())
    with one, two:
        one.put("a", 1)
        assert "a" in one
        assert "b" not in two


def test_a_loop_is_not_blocked_by_get_and_nobody_lists_items() -> None:
    async def main() -> None:
        tasks: AsyncMap[Any, int] = AsyncMap("tasks", storage=SharedDict())
        async with tasks:
            with pytest.raises(TypeError, match=r"expected `await fetch\(key\)`"):
                tasks.get("a")
            with pytest.raises(TypeError, match="await fetch"):
                _ = "a" in tasks
            await tasks.put("a", 1)
            assert await tasks.fetch("a") == 1
            with pytest.raises(TypeError, match="unhashable"):
                await tasks.fetch([])
        memory: AsyncMap[str, int] = AsyncMap("memory", print, processing_interval=3600)
        async with memory:
            memory.put_nowait("a", 1)
            assert await memory.fetch("a") == memory.get("a") == 1
            memory.delete_nowait("a")

    asyncio.run(main())
    shared: Map[str, int] = Map("items", storage=SharedDict())
    with shared, pytest.raises(TypeError, match="are on its server"):
        shared.items()
