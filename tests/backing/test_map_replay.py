"""What a Map's log comes to when it is read again."""

import gc
from contextlib import suppress
from typing import Any

import pytest
from maplogs import DELETE, NEWER, PUT, SETTLED, VOID, Log

pytest.importorskip("msgspec")

from partitioned_buffer._core.backing.map.log import BURIED, KEPT, OWN, route
from partitioned_buffer._core.backing.map.marks import FIRST, POSITION, VERSION
from partitioned_buffer._core.backing.map.replay import Replayed, uncollected
from partitioned_buffer._core.backing.map.snapshot import compacted
from partitioned_buffer.storage.codec import make_codec
from partitioned_buffer.storage.sqlite import Journal


def held(replayed: Replayed) -> list[tuple[Any, Any, int | None, int]]:
    return [(key, value, mark[VERSION], mark[POSITION]) for key, value, mark in replayed.entries()]


def written(*ops: tuple[Any, ...], codec: Any = None, size: int = 100) -> Log:
    log = Log(codec or make_codec())
    whole = [log.op(*op) for op in ops]
    for begin in range(0, len(whole), size):
        log.append(*whole[begin : begin + size])
    return log


@pytest.mark.parametrize("size", [1, 2, 100])
def test_the_last_value_is_held(size: int) -> None:
    log = written((PUT, "a", 1), (PUT, "b", 2), (PUT, "a", 3), size=size)

    assert held(log.replay()) == [("a", 3, None, 2), ("b", 2, None, 1)]


@pytest.mark.parametrize("size", [2, 100])
def test_what_is_kept_twice_has_begun_with_the_first(size: int) -> None:
    """As a snapshot has it of a key that is in flight, and waits again."""
    log = written((PUT, "c", 0), size=size)
    log.compact(
        [(KEPT, "a", 1, None, OWN), (KEPT, "a", 2, 7, OWN), (KEPT, "b", 3, None, OWN)], size
    )
    replayed = log.replay()

    assert held(replayed) == [("a", 2, 7, 2), ("b", 3, None, 3)]
    assert replayed.marks.held["a"][FIRST] == 1


@pytest.mark.parametrize("enabled", [True, False])
def test_garbage_is_looked_for_afterwards_if_it_was_before(enabled: bool) -> None:
    was = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        with suppress(ValueError), uncollected():
            assert not gc.isenabled()
            raise ValueError
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if was else gc.disable)()


@pytest.mark.parametrize("size", [1, 2, 100])
def test_all_values_are_merged_again(size: int) -> None:
    log = written((PUT, "a", 1), (PUT, "b", 2), (PUT, "a", 3), (NEWER, "a", 4, 1), size=size)

    assert held(log.replay(merge=True)) == [
        ("a", 1, None, 0),
        ("a", 3, None, 2),
        ("a", 4, 1, 3),
        ("b", 2, None, 1),
    ]


@pytest.mark.parametrize("merge", [False, True])
def test_what_is_settled_is_not_held_but_what_came_later_is(merge: bool) -> None:
    log = written((PUT, "a", 1), (PUT, "b", 2), (PUT, "b", 3), (SETTLED, "a", 0), (BURIED, "b", 1))

    assert held(log.replay(merge=merge)) == [("b", 3, None, 2)]


def test_a_version_is_remembered_when_it_was_delivered_not_when_it_was_buried() -> None:
    log = written(
        (NEWER, "a", 1, 5), (NEWER, "b", 1, 5), (SETTLED, "a", 0, 5), (BURIED, "b", 1),
        (NEWER, "a", 2, 4), (NEWER, "b", 2, 4),
    )  # fmt: skip

    assert held(log.replay()) == [("b", 2, 4, 5)]
    assert log.replay().marks.recent == {"a": 5}


def test_what_is_buried_leaves_the_version_that_was_delivered_before() -> None:
    log = written((NEWER, "a", 1, 5), (SETTLED, "a", 0, 5), (NEWER, "a", 2, 6), (BURIED, "a", 2))

    assert log.replay().marks.recent == {"a": 5}


def test_a_plain_put_that_was_delivered_has_the_version_forgotten_though_another_waits() -> None:
    log = written((NEWER, "a", 1, 5), (SETTLED, "a", 0, 5))
    log.append(log.op(PUT, "a", 2), log.op(PUT, "a", 3))
    log.append(log.op(SETTLED, "a", 2))

    assert held(log.replay()) == [("a", 3, None, 3)]
    assert log.replay().marks.held == {"a": (None, 3, 3)}
    assert log.replay().marks.recent == {}


def test_no_version_is_remembered_if_none_is_to_be() -> None:
    log = written((NEWER, "a", 1, 5), (SETTLED, "a", 0, 5))

    assert log.replay(remember=0).marks.recent == {}


def test_a_delete_forgets_what_is_settled_later_too() -> None:
    log = written((NEWER, "a", 1, 5), (DELETE, "a"), (SETTLED, "a", 0, 5), (NEWER, "a", 2, 1))

    assert held(log.replay()) == [("a", 2, 1, 3)]


def test_what_merge_refused_never_was() -> None:
    log = written((NEWER, "a", 1, 5), (NEWER, "a", 2, 9), (NEWER, "a", 3, 7), (VOID, "a", 1))

    assert held(log.replay(merge=True)) == [("a", 1, 5, 0), ("a", 3, 7, 2)]
    assert held(log.replay()) == [("a", 3, 7, 2)]


def test_keys_that_are_equal_are_one() -> None:
    assert held(written((PUT, 1, "int"), (PUT, 1.0, "float")).replay()) == [(1, "float", None, 1)]


# --- what cannot be read ---------------------------------------------------------------


def test_a_chunk_that_is_gone_is_counted_and_the_others_are_read() -> None:
    log = written((PUT, "a", 1), (PUT, "b", 2), (PUT, "c", 3), (PUT, "d", 4), size=2)
    log.chunks[0] = (0, 2, None)
    replayed = log.replay()

    assert (held(replayed), replayed.lost) == (
        [("c", 3, None, 2), ("d", 4, None, 3)],
        2,
    )
    log.chunks[1] = (2, 2, b"what is this")
    assert log.replay().lost == 4


def refuse_seven(data: bytes) -> int:
    if data == b"7":
        raise ValueError(data)
    return int(data)


PICKY = make_codec((lambda item: str(item).encode(), refuse_seven), name="picky")


def test_a_value_that_does_not_decode_takes_what_it_was_written_over() -> None:
    log = written((PUT, "a", 1), (PUT, "b", 1), (PUT, "a", 7), (NEWER, "b", 7, -1), codec=PICKY)
    replayed = log.replay()

    assert (held(replayed), replayed.lost) == ([("b", 1, None, 1)], 1)


def test_of_merged_values_only_that_is_lost_which_does_not_decode() -> None:
    log = written((PUT, "a", 1), (PUT, "a", 7), (PUT, "a", 3), codec=PICKY)
    replayed = log.replay(merge=True)

    assert (held(replayed), replayed.lost) == ([("a", 1, None, 0), ("a", 3, None, 2)], 1)


@pytest.mark.parametrize("merge", [False, True])
def test_a_key_that_does_not_decode_takes_no_other_along(merge: bool) -> None:
    log = written((PUT, "a", 1), (PUT, "b", 2), (NEWER, "c", 3, 3))
    ((start, count, data),) = log.chunks
    assert data is not None
    log.chunks = [(start, count, data.replace(b"\xa1b", b"\xc1b"))]
    replayed = log.replay(merge=merge)

    assert (held(replayed), replayed.lost) == ([("a", 1, None, 0), ("c", 3, 3, 2)], 1)


# --- other partitions --------------------------------------------------------------------


def test_a_compacted_log_goes_on_in_other_partitions(tmp_path: Any) -> None:
    codec = make_codec()
    logs = [Log(codec), Log(codec)]
    for number in range(40):
        log, key = logs[number % 2], f"key {number % 10}"
        log.append(log.op(NEWER, key, number, number))
        if number % 3 == 0:
            log.append(log.op(SETTLED, key, log.end - 1, number))
    before = [log.replay() for log in logs]
    how: Any = {"fsync": "os", "kind": "Map", "codec": codec.name}
    journal = Journal.open(tmp_path / "map.db", partitions=2, **how)
    for partition, (log, replayed) in enumerate(zip(logs, before, strict=True)):
        log.compact(compacted(replayed))
        journal.replace(partition, [(count, data or b"") for _, count, data in log.chunks])

    journal.relayout(
        5, lambda data, places, n: route(data, places, n, lambda key, n: key % n, codec)
    )

    after, end = [], Log(codec)
    for partition in range(5):
        end.chunks = [(*chunk,) for chunk in journal.records(partition)]
        after.append(end.replay())
    journal.close()
    assert sorted(
        (key, value, mark[VERSION]) for each in after for key, value, mark in each.entries()
    ) == sorted(
        (key, value, mark[VERSION]) for each in before for key, value, mark in each.entries()
    )
    remembered = [{**each.marks.older, **each.marks.recent} for each in (*before, *after)]
    assert {k: v for each in remembered[:2] for k, v in each.items()} == {
        k: v for each in remembered[2:] for k, v in each.items()
    }
    assert sum(each.lost for each in after) == 0
