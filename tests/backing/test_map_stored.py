"""A stored Map over its log: what is noted there, and when it is written anew."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from partitioned_buffer import Map, StorageFull
from partitioned_buffer._core.backing.map import stored
from partitioned_buffer.testing import FakeClock, assert_balanced
from partitioned_buffer.testing.contract.watched import Watched
from partitioned_buffer.testing.storage import DictStorage, DictStore


@contextmanager
def life(storage: Any, seen: list[Any], **options: Any) -> Iterator[Map[Any, Any]]:
    """Run a Map that appends each batch to *seen*, in order of the keys."""

    def process(batch: Any) -> None:
        seen.append(sorted((entry.key, entry.value) for entry in batch))

    defaults: dict[str, Any] = {"partitions": 1, "clock": FakeClock()}
    made: Map[Any, Any] = Map("kept", process, storage=storage, **defaults | options).start()
    try:
        yield made
    finally:
        made.stop()
        assert_balanced(made.stats())


def test_nothing_comes_again_after_a_stop() -> None:
    storage, seen = DictStorage(), list[Any]()
    with life(storage, seen) as made:
        made.put_all({"a": 1, "b": 2})
    with life(storage, seen) as made:
        assert made.stats().recovered == 0

    assert seen == [[("a", 1), ("b", 2)]]


def test_what_could_not_be_noted_is_noted_later() -> None:
    storage, seen = Watched(DictStorage()), list[Any]()
    with life(storage, seen) as made:
        made.put("a", 1)
        storage.fails["append"] = StorageFull("full")
        made.flush()
        storage.fails.clear()
        made.put("b", 2)
        made.flush()
    with life(storage, seen) as made:
        assert made.stats().recovered == 0

    assert seen == [[("a", 1)], [("b", 2)]]


def test_what_is_held_goes_to_other_partitions_and_what_is_settled_does_not() -> None:
    storage, seen = DictStorage(), list[Any]()
    with life(storage, seen) as made:
        made.put_all_newer([(key, 1, 5) for key in "abcdef"])
        made.flush()
        made.put_all(dict.fromkeys("abcdef", 2))
        storage.crash()
    seen.clear()
    with life(storage, seen, partitions=3) as made:
        assert made.stats().recovered == 6
        made.flush()

    assert sorted(entry for batch in seen for entry in batch) == [(key, 2) for key in "abcdef"]


def test_what_merge_refused_is_in_the_log_when_its_writer_is_told() -> None:
    def merge(old: int, new: int) -> int:
        if new < 0:
            raise ValueError(new)
        return old + new

    storage, seen = DictStorage(), list[Any]()
    with life(storage, seen, merge=merge) as made:
        made.put("a", 1)
        with pytest.raises(ValueError, match="-1"):
            made.put("a", -1)
        storage.crash()
    seen.clear()
    with life(storage, seen, merge=merge) as made:
        stats = made.stats()
        assert (stats.recovered, stats.dropped) == (1, 0)

    assert seen == [[("a", 1)]]


def test_a_log_is_written_anew_when_it_is_long_for_what_it_holds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stored, "LONG", 10)
    ends, replace = list[int](), DictStore.replace

    def noted(store: DictStore, *args: Any) -> Any:
        ends.append(store.end(0) - store.cursor(0).cursor)
        return replace(store, *args)

    monkeypatch.setattr(DictStore, "replace", noted)
    storage, seen = DictStorage(), list[Any]()
    with life(storage, seen) as made:
        made.put("b", 0)
        for number in range(35):
            made.put("a", number)
        storage.crash()
    assert ends == [19, 19]
    with life(storage, seen) as made:
        assert made.stats().recovered == 2

    assert seen[-1] == [("a", 34), ("b", 0)]


def test_versions_that_are_remembered_are_no_reason_to_write_it_anew_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stored, "LONG", 10)
    calls, replace = list[int](), DictStore.replace

    def noted(store: DictStore, *args: Any) -> Any:
        calls.append(store.end(0))
        return replace(store, *args)

    monkeypatch.setattr(DictStore, "replace", noted)
    with life(DictStorage(), []) as made:
        for number in range(100):
            made.put_newer(number, number, 5)
        made.flush()
        before = len(calls)
        for number in range(100):
            made.put_newer(number, number, 4)  # not newer: nothing is held
        assert len(calls) <= before + 1
