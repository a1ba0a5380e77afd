"""What can be asked of a buffer, and of all of them, without changing anything."""

import json
from dataclasses import asdict, fields
from typing import Any

import pytest
from helpers import Buffers, in_turn, unwoken

import partitioned_buffer
from partitioned_buffer import Entry, Map, Queue
from partitioned_buffer.events import ProcessingStarted
from partitioned_buffer.testing import FakeClock, RecordingHook, RecordingProcessor

pytestmark = pytest.mark.both_faces

# --- the ledger as a dict -----------------------------------------------------


def test_the_ledger_as_a_dict_has_every_number(buffers: Buffers, clock: FakeClock) -> None:
    queue = unwoken(buffers.queue(partitions=2, max_size=3, when_full="drop_newest", hooks=[angry]))
    queue.push_all(range(5), partition_key="one")
    clock.advance(0)  # until its workers have started, and told the hook
    stats = queue.stats()

    as_dict = stats.as_dict()

    assert json.loads(json.dumps(as_dict)) == as_dict
    assert (as_dict["held"], as_dict["balanced"], as_dict["blocked"]) == (3, True, 0)
    assert as_dict["dropped"] == sum(as_dict["drop_reasons"].values()) == 2
    assert as_dict["hook_errors"] == stats.hook_errors > 0
    names = {field.name for field in fields(stats)}
    names |= {"held", "balanced", "p50", "p99", "longest"}
    assert set(as_dict) == names
    for number in names - {"partitions", "drop_reasons", "rates", "durations"}:
        assert as_dict[number] == getattr(stats, number)
    assert as_dict["rates"] == asdict(stats.rates)

    each = as_dict["partitions"]
    assert [one["partition"] for one in each] == [0, 1]
    assert [one["held"] for one in each] == [one.held for one in stats.partitions]
    assert all(set(one) == set(stats.partitions[0].as_dict()) for one in each)
    queue.stop()


def angry(_: object) -> None:
    raise ValueError


def test_it_is_a_dict_of_its_own(buffers: Buffers) -> None:
    stats = buffers.queue().stats()
    stats.as_dict()["drop_reasons"]["mine"] = 1
    stats.as_dict()["partitions"].clear()

    assert stats.drop_reasons == {}
    assert len(stats.as_dict()["partitions"]) == 1


# --- which buffers run -----------------------------------------------------------


def test_the_running_buffers_are_those_that_run(buffers: Buffers) -> None:
    first, second = buffers.queue(name="first"), buffers.map(name="second")
    Queue[Any]("never started", print)

    assert [buffer.name for buffer in partitioned_buffer.running()] == ["first", "second"]

    first.stop()
    assert [buffer.name for buffer in partitioned_buffer.running()] == ["second"]
    second.stop()
    assert partitioned_buffer.running() == []


def test_the_list_of_them_is_ones_own(buffers: Buffers) -> None:
    buffers.queue(name="events")
    partitioned_buffer.running().clear()

    assert partitioned_buffer.get("events").running


# --- where something goes ------------------------------------------------------------


def went_to(hook: RecordingHook) -> set[int]:
    return {event.partition for event in hook.of(ProcessingStarted)}


def by_user(event: dict[str, str]) -> str:
    return event["user"]


@pytest.mark.parametrize("user", ["ada", "grace", "edsger"])
def test_a_queue_says_where_an_item_goes(user: str, buffers: Buffers, hook: RecordingHook) -> None:
    queue = buffers.queue(partitions=4, partition_key=by_user, hooks=[hook])

    partition = queue.partition_of({"user": user})
    queue.push({"user": user})
    queue.flush()

    assert went_to(hook) == {partition}


@pytest.mark.parametrize("key", ["everything", 7, by_user])
def test_a_key_of_the_call_comes_first(key: Any, buffers: Buffers, hook: RecordingHook) -> None:
    for options in ({}, {"partition_key": "another"}):
        queue = buffers.queue(partitions=4, hooks=[hook], **options)
        hook.events.clear()

        partition = queue.partition_of({"user": "ada"}, partition_key=key)
        queue.push({"user": "ada"}, partition_key=key)
        queue.flush()

        assert went_to(hook) == {partition}


def test_where_items_go_in_turn_it_is_nobodys(buffers: Buffers) -> None:
    queue = buffers.queue(partitions=4)

    assert [queue.partition_of(number) for number in range(3)] == [None] * 3
    queue.push_all([1], partition_key=0)
    assert [p.accepted for p in queue.stats().partitions].count(1) == 1


@in_turn
def test_asking_takes_nobodys_turn(buffers: Buffers) -> None:
    queue = buffers.queue(partitions=2)
    for number in range(4):
        queue.push(number)
        queue.partition_of(number)

    assert [p.accepted for p in queue.stats().partitions] == [2, 2]


@pytest.mark.parametrize("key", ["tea", 7, ("a", 1), None])
def test_a_map_says_where_a_key_belongs(key: Any, buffers: Buffers, hook: RecordingHook) -> None:
    mapped = buffers.map(partitions=4, hooks=[hook])

    partition = mapped.partition_of(key)
    mapped.put(key, 1)
    mapped.flush()

    assert went_to(hook) == {partition}
    assert mapped.partition_of(key, partition_key=len) in range(4) if key == "tea" else True


def test_so_it_does_with_a_partition_key(buffers: Buffers, hook: RecordingHook) -> None:
    mapped = buffers.map(partitions=4, partition_key=len, hooks=[hook])
    partitions = {mapped.partition_of(key) for key in ("tea", "ale", "gin")}
    mapped.put_all({"tea": 1, "ale": 1, "gin": 1})
    mapped.flush()

    assert went_to(hook) == partitions
    assert len(partitions) == 1


def test_a_key_that_is_none_raises(buffers: Buffers) -> None:
    mapped = buffers.map(partitions=4)

    with pytest.raises(TypeError, match="unhashable"):
        mapped.partition_of([])
    with pytest.raises(TypeError, match="unhashable"):
        assert [] in mapped


def test_before_a_start_it_is_known_too() -> None:
    assert Queue[int]("new", print, partitions=1, partition_key="x").partition_of(1) == 0
    assert Map[int, int]("new", print, partitions=1).partition_of(1) == 0


# --- what a Map holds ------------------------------------------------------------------


def test_a_map_shows_what_it_holds(buffers: Buffers) -> None:
    mapped = buffers.map()
    mapped.put("tea", 1)
    mapped.put("ale", 2)
    mapped.put("tea", 3)
    mapped.put_newer("gin", 4, version=2)
    mapped.put_newer("gin", 5, version=1)
    mapped.put("rum", 6)
    mapped.delete("rum")

    assert mapped.items() == [("tea", 3), ("ale", 2), ("gin", 4)]
    assert [key in mapped for key in ("tea", "gin", "rum", "none")] == [True, True, False, False]


def test_in_flight_is_held_and_what_waits_over_it_is_newer(
    buffers: Buffers, processor: RecordingProcessor, clock: FakeClock
) -> None:
    mapped = buffers.map()
    mapped.put_all({"tea": 1, "ale": 1, "gin": 1})
    processor.fail_always(OSError())
    clock.advance(5.0)
    mapped.put("tea", 2)
    mapped.put("rum", 2)
    mapped.delete("ale")

    assert sorted(mapped.items()) == [("gin", 1), ("rum", 2), ("tea", 2)]
    assert "gin" in mapped
    assert "ale" not in mapped

    processor.recover()
    mapped.flush()
    assert mapped.items() == []
    assert "gin" not in mapped


def test_what_is_deleted_in_hand_is_held_no_more(buffers: Buffers) -> None:
    mapped = buffers.map(partitions=1)
    mapped.put_all({"tea": 1, "ale": 1})
    (table,) = mapped._routes.tables
    table.swap()
    table.take()
    mapped.delete("ale")

    assert mapped.items() == [("tea", 1)]
    table.release()


def test_a_value_that_is_none_is_held(buffers: Buffers) -> None:
    mapped = buffers.map(partitions=2)
    mapped.put("tea", None)

    assert "tea" in mapped
    assert mapped.items() == [("tea", None)]


def test_entries_are_values_too(buffers: Buffers) -> None:
    mapped = buffers.map()
    mapped.put("tea", Entry("tea", 1, 0, 0))

    assert mapped.items() == [("tea", Entry("tea", 1, 0, 0))]


def test_merged_values_are_shown_as_one(buffers: Buffers) -> None:
    mapped = buffers.map(merge=lambda old, new: old + new)
    mapped.put("hits", 1)
    mapped.put("hits", 2)

    assert mapped.items() == [("hits", 3)]
