"""From a key to a partition."""

from collections import Counter
from dataclasses import dataclass

import pytest

from partitioned_buffer import by_content
from partitioned_buffer._core.writes.routing import deal_slots


@dataclass
class Point:
    x: int
    y: list[int]


@dataclass(slots=True)
class Slotted:
    x: int


@pytest.mark.parametrize("step", [1, 2, 8, 64, 1000, 4096, 2**22, 2**40])
@pytest.mark.parametrize("partitions", [2, 3, 8, 32])
def test_regular_ids_are_spread_evenly(step: int, partitions: int) -> None:
    slots = deal_slots(range(partitions))

    homes = Counter(slots[hash(number * step) % len(slots)] for number in range(10_000))

    assert len(homes) == partitions
    assert max(homes.values()) < 1.1 * 10_000 / partitions


@pytest.mark.parametrize("step", [2, 8, 64, 4096])
@pytest.mark.parametrize("partitions", [2, 8])
def test_a_few_regular_ids_do_not_share_one_partition(step: int, partitions: int) -> None:
    slots = deal_slots(range(partitions))

    homes = {slots[hash(number * step) % len(slots)] for number in range(4 * partitions)}

    assert len(homes) > partitions / 2


def test_every_partition_has_an_equal_share_of_the_slots() -> None:
    for partitions in (1, 2, 7, 64):
        shares = Counter(deal_slots(range(partitions))).values()
        assert max(shares) - min(shares) <= 1
        assert len(shares) == partitions


def test_slots_are_dealt_the_same_way_each_time() -> None:
    assert deal_slots(range(5)) == deal_slots(range(5))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": [1, {2}], "b": {}}, {"b": {}, "a": [1, {2}]}),
        ([1, 2], [1, 2]),
        ({1, 2}, {2, 1}),
        (bytearray(b"x"), bytearray(b"x")),
        (Point(1, [2]), Point(1, [2])),
        (Slotted(1), Slotted(1)),
        ("text", "text"),
        ((1, [2]), (1, [2])),
    ],
)
def test_equal_content_has_an_equal_hash(one: object, other: object) -> None:
    assert by_content(one) == by_content(other)


@pytest.mark.parametrize(
    ("one", "other"), [({"a": 1}, {"a": 2}), ([1], [2]), (Point(1, []), Point(2, []))]
)
def test_other_content_has_another_hash(one: object, other: object) -> None:
    assert by_content(one) != by_content(other)


def test_what_has_no_content_to_go_by_raises() -> None:
    class Bare:
        __slots__ = ()
        __hash__ = None  # type: ignore[assignment]

    with pytest.raises(TypeError, match="cannot route Bare by content: expected something hash"):
        by_content(Bare())
