"""What is added up, and what is kept in parts."""

import math
import operator
from functools import reduce
from pathlib import Path

from ..... import StorageFull
from .....abc.shared_map import ADD, EXACT, MOST_PARTS, PART
from ..base import depth_of
from .base import MapBase, Shared
from .ops import Number, Seen, add, delete, newer, part, parts, put, split, total

SUMS: list[tuple[int, ...]] = [
    (0, 0),
    (1, 2, 3),
    (-1, 1),
    (5, -7),
    (1 << 31, 1 << 31, -(1 << 33)),
    (1 << 52, (1 << 52) - 1),
    (-(1 << 52), 1 - (1 << 52)),
    (EXACT - 1, -(EXACT - 1)),
    (EXACT - 2, 1),
    (10**15, 10**14, 10**13, 1),
    (99999, -100000, 123456789012345),
]
"""Of whole numbers that floats hold."""
LARGE: list[tuple[int, ...]] = [
    (EXACT, 1),
    (EXACT, -1, 1),
    (1, EXACT),
    (EXACT + 1, 0),
    (EXACT - 1, 2),
    (EXACT - 1, 1, 1, 1),
    (-EXACT, -1),
    (-EXACT - 1, 1),
    (EXACT + 1, EXACT + 1),
    (1 << 62, 1 << 62, 3),
    ((1 << 63) - 1, 1),
    (-(1 << 63), -1),
    (10**30, 1, -(10**30)),
    (10**400, 1),
]
"""Whose sum floats do not hold, or one of them."""
FLOATS: list[tuple[Number, ...]] = [
    (0.1, 0.2),
    (1, 0.5),
    (0.5, 1),
    (1e300, 1e300, -1e300),
    (1e308, 1e308),
    (math.inf, 1),
    (-0.0, 0.0),
    (5e-324, 5e-324),
    (0.1, 0.2, 0.3, -0.6),
    (EXACT - 1, 0.5),
    (1.5, EXACT),
    (123456789.123456789, 1e-9),
]


class Numbers(MapBase):
    """A sum is that of all that was added: exact for whole numbers, and as floats have it."""

    def test_whole_numbers_are_added_up(self, tmp_path: Path) -> None:
        with self.map(tmp_path) as shared:
            for numbers in SUMS:
                found = self._add(shared, numbers)
                assert found == Seen(ADD, b"i%d" % sum(numbers)), numbers

    def test_what_a_float_does_not_hold_is_exact_all_the_same(self, tmp_path: Path) -> None:
        with self.map(tmp_path) as shared:
            for numbers in LARGE:
                found = total(self._add(shared, numbers))
                assert isinstance(found, int)
                assert found == sum(numbers), numbers

    def test_whole_numbers_and_floats_are_floats(self, tmp_path: Path) -> None:
        with self.map(tmp_path) as shared:
            for numbers in FLOATS:
                waits = self._add(shared, numbers)
                found = total(waits)
                assert isinstance(found, float)
                assert found == reduce(operator.add, numbers), numbers
                assert waits is not None
                assert waits.mode == ADD or EXACT in numbers

    def test_what_is_no_number_any_more_is_none(self, tmp_path: Path) -> None:
        with self.map(tmp_path) as shared:
            for numbers in ((math.inf, -math.inf), (math.nan, 1), (1, math.nan)):
                found = total(self._add(shared, numbers))
                assert math.isnan(found)

    def _add(self, shared: Shared, numbers: tuple[Number, ...]) -> Seen | None:
        """Return what waits when *numbers* are added one by one; in one parcel it is the same."""
        ones, key = repr(numbers), "together " + repr(numbers)
        for number in numbers:
            shared.write(add(ones, number))
        shared.write(*(add(key, number) for number in numbers))
        assert repr(shared.waiting(key)) == repr(shared.waiting(ones))  # nan is not nan
        return shared.waiting(ones)

    def test_a_sum_is_that_of_one_swap(self, tmp_path: Path) -> None:
        with self.map(tmp_path) as shared:
            worker = shared.worker()
            for number in range(1, 5):
                shared.write(add("k", number), add("k", number))
                assert worker.read() == {b"k": Seen(ADD, b"i%d" % (2 * number))}
                shared.write(add("k", 100), delete("k"))
                shared.write(add("k", 50))
                worker.settle()
                assert worker.cycle() == {b"k": Seen(ADD, b"i50")}

    def test_numbers_among_parts(self, tmp_path: Path) -> None:
        with self.map(tmp_path) as shared:
            shared.write(add("k", EXACT + 1), add("k", 0.5), part("k", "x", 2), add("k", 3))
            shared.write(part("k", 4.5, "y"))
            found = shared.waiting("k")
            assert found is not None
            assert found.mode == PART
            assert split(found.value) == [EXACT + 1, 0.5, b"x", 2, 3, 4.5, b"y"] or split(
                found.value
            ) == [float(EXACT), b"x", 2, 3, 4.5, b"y"]

    def test_a_sum_in_parts_is_counted_like_any(self, tmp_path: Path) -> None:
        with self.map(tmp_path) as shared:
            for number in range(10):
                shared.write(add("k", EXACT - number))
            assert shared.numbers() == (9, 0)
            assert total(shared.waiting("k")) == sum(EXACT - number for number in range(10))
            shared.worker().cycle()


class Parts(MapBase):
    """Parts wait one behind the other, up to a bound."""

    def test_parts_keep_their_order_and_their_bytes(self, tmp_path: Path) -> None:
        values = [bytes([byte]) * byte for byte in range(256)]
        with self.map(tmp_path) as shared:
            shared.write(part("k"))
            for begin in range(0, 256, 4):
                one, two, *others = values[begin : begin + 4]
                shared.write(part("k", one, two), part("k", *others))
            found = shared.waiting("k")
            assert found is not None
            assert split(found.value) == values
            assert found.updates == 0
            assert shared.worker().cycle() == {b"k": found}

    def test_more_parts_than_may_wait_come_later(self, tmp_path: Path) -> None:
        half = bytes(MOST_PARTS // 2)
        with self.map(tmp_path) as shared:
            shared.write(newer("other", "a", 5), part("k", half))
            before = depth_of(shared.store)._replace(oldest=None)
            parcel = shared.sender.ops(
                newer("other", "b", 6), delete("another"), add("sum", 1), part("k", half)
            )
            for _ in range(2):
                assert isinstance(shared.send(parcel), StorageFull)
                assert depth_of(shared.store)._replace(oldest=None) == before, "nothing is there"
                assert [shared.waiting(key) is None for key in ("other", "sum")] == [False, True]
                assert shared.store.get(0, b"k", shared.sender.name).mark == 2
            worker = shared.worker()
            assert len(worker.read()) == 2
            assert shared.send(parcel) is None, "what is in flight waits no more"
            assert worker.settle().waiting == 3
            found = worker.cycle()[b"k"]
            assert found is not None
            assert found.value == parts(half)

    def test_what_no_room_is_enough_for_goes_in_alone(self, tmp_path: Path) -> None:
        half = bytes(MOST_PARTS // 2)
        with self.map(tmp_path) as shared:
            shared.write(part("k", "small"))
            parcel = shared.sender.ops(part("k", half), part("k", half, 1))
            assert isinstance(shared.send(parcel), StorageFull)
            worker = shared.worker()
            worker.cycle()
            assert shared.send(parcel) is None, "it would never go in otherwise"
            found = worker.cycle()[b"k"]
            assert found is not None
            assert split(found.value) == [half, half, 1]

    def test_what_is_cleared_makes_room(self, tmp_path: Path) -> None:
        most = bytes(MOST_PARTS - 100)
        with self.map(tmp_path) as shared:
            for key, op, waits in (
                ("a", part("a", clears=True), []),
                ("b", delete("b"), []),
                ("c", put("c", "p"), [b"p"]),
                ("d", newer("d", "n", 1), [b"n"]),
            ):
                shared.write(part(key, most))
                shared.write(op, part(key, "x" * 90, most))
                found = shared.waiting(key)
                assert found is not None
                assert split(found.value) == [*waits, b"x" * 90, most]

    def test_only_parts_have_a_bound(self, tmp_path: Path) -> None:
        large = bytes(MOST_PARTS) + b"x"
        with self.map(tmp_path) as shared:
            shared.write(put("k", large))
            shared.write(put("k", large), newer("k", large, 5), newer("k", "old", 1))
            worker = shared.worker()
            found = worker.cycle()[b"k"]
            assert found is not None
            assert found.value == large
