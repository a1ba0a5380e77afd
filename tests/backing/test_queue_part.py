"""Records in columns: what is cut and joined is what it was, by its positions."""

from collections.abc import Sequence

import pytest

pytest.importorskip("hypothesis")
from hypothesis import given
from hypothesis import strategies as st

from partitioned_buffer._core.backing.queue.part import (
    Part,
    cut,
    from_place,
    from_position,
    joined,
    weight_of,
)


def part(places: Sequence[int], *, weighed: bool = True) -> Part:
    weights = [each + 100 for each in places] if weighed else ()
    return Part([str(each) for each in places], places, weights)


def places(part: Part) -> list[int]:
    """Return the positions in *part*, of which the other columns are what they were made."""
    found = list(part.places)
    assert part.items == [str(each) for each in found]
    assert list(part.weights) in ([], [each + 100 for each in found])
    return found


SOME = st.one_of(
    st.builds(lambda at, count: range(at, at + count), st.integers(0, 9), st.integers(0, 5)),
    st.lists(st.integers(0, 20), unique=True).map(sorted),
)


@given(SOME, st.data())
def test_what_is_cut_is_what_was_chosen(some: Sequence[int], data: st.DataObject) -> None:
    which = [each for each in range(len(some)) if data.draw(st.booleans())]
    assert places(cut(part(some), which)) == [some[each] for each in which]


@given(SOME, st.integers(0, 25))
def test_what_is_behind_is_what_comes_from_there_on(some: Sequence[int], at: int) -> None:
    assert places(from_place(part(some), at)) == list(some)[at:]
    assert places(from_position(part(some), at)) == [each for each in some if each >= at]


@given(st.lists(SOME))
def test_what_is_joined_is_all_of_it(all_of: list[Sequence[int]]) -> None:
    assert places(joined([part(some) for some in all_of])) == [n for some in all_of for n in some]


def test_what_has_no_gaps_stays_a_range() -> None:
    assert joined([part(range(2, 4)), part(range(4, 4)), part(range(4, 6))]).places == range(2, 6)
    assert cut(part(range(2, 9)), [1, 2, 3]).places == range(3, 6)
    assert not isinstance(joined([part(range(2, 4)), part(range(5, 6))]).places, range)


@pytest.mark.parametrize(("weighed", "weight"), [(True, 103), (False, 0)])
def test_a_record_weighs_nothing_where_nobody_asks(weighed: bool, weight: int) -> None:
    assert weight_of(part(range(2, 5), weighed=weighed), 1) == weight
