"""
What waits in the front of a shared Map, put over one another there, against the same writes sent
one by one: the server is to make the same of both, whatever it has of the key.

Two numbers may differ. Which of two writes that are sent as one replaced what waited, and which was
deleted, the server cannot tell: their sum is the same. And a versioned write that replaced another
in the front has done so, even if the server had a newer one than that other.
"""

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pytest

pytest.importorskip("hypothesis")
from helpers import rounds
from hypothesis import example, given, settings
from hypothesis import strategies as st
from map_lines import MapLines, Says

from partitioned_buffer._core.sharing.front.unsent import Sent, Unsent, Writes
from partitioned_buffer.abc.shared_map import EXACT
from partitioned_buffer.testing.sharing import SharedDict

KEY, HASH = b'"key"', 42
PUT, NEWER, DELETE, SWAP, SETTLE, BURY = "put", "newer", "delete", "swap", "settle", "bury"


class Step(NamedTuple):
    """A write, or what a worker does."""

    what: str
    value: Any = None
    version: int = 0


def unsent(writes: Writes, codec: Any, step: Step) -> Unsent:
    if step.what == DELETE:
        return writes.delete(HASH, KEY)
    if step.what == NEWER:
        return writes.put_newer(HASH, KEY, codec.encode(step.value), step.version)
    return writes.put(HASH, KEY, codec.encode(step.value))


class Server(MapLines):
    """A Map of one partition, which some writes and a worker have brought to some state."""

    def __init__(self, merge: Any, before: Sequence[Step]) -> None:
        super().__init__(merge)
        self._writes = Writes(self.shared.codec, merge)
        for step in before:
            if step.what == SWAP:
                self.swap()
            elif step.what in {SETTLE, BURY}:
                self.settle(given_up=step.what == BURY)
            else:
                self.append(self.made(step))

    def made(self, step: Step) -> Unsent:
        return unsent(self._writes, self.shared.codec, step)

    def folded(self, steps: Sequence[Step]) -> Unsent:
        """Put one over the other, as the front does."""
        whole, *others = map(self.made, steps)
        for other in others:
            whole = self._writes.over(whole, other)
        return whole


def check(
    merge: Any, before: Sequence[Step], steps: Sequence[Step], same: Callable[[Any, Any], bool]
) -> None:
    """Write *steps* to two servers that are as *before*, one by one, and as one."""
    apart, together = Server(merge, before), Server(merge, before)
    stale = sum(apart.append(apart.made(step)) for step in steps)
    together.append(together.folded(steps))
    one, other = apart.says(), together.says()
    assert other.counts == one.counts
    assert other.coalesced + other.deleted == one.coalesced + one.deleted
    if all(step.what != DELETE for step in steps):
        assert (other.coalesced, other.deleted) == (one.coalesced, one.deleted)
    assert other.versions == one.versions
    for here, there in ((one.waiting, other.waiting), (one.flying, other.flying)):
        assert here.keys() == there.keys()
        for key, known in here.items():
            assert there[key].version == known.version
            assert there[key].hash == known.hash
            assert same(there[key].value, known.value)
            assert known.updates <= there[key].updates <= known.updates + stale
    # And what comes next finds the same.
    assert settled(apart) == settled(together)


def settled(server: Server) -> Says:
    """Return how it is once all is delivered."""
    for _ in range(2):
        server.swap()
        server.settle()
    return server.says()._replace(coalesced=0, deleted=0)


def writes_of(values: st.SearchStrategy[Any], *, versions: bool) -> st.SearchStrategy[Step]:
    kinds = [st.builds(Step, st.just(PUT), values), st.just(Step(DELETE))]
    if versions:
        kinds.append(st.builds(Step, st.just(NEWER), values, st.integers(-2, 6)))
    return st.one_of(kinds)


def states(writes: st.SearchStrategy[Step]) -> st.SearchStrategy[list[Step]]:
    """Return what has happened before: nothing, something waits, flies, is remembered."""
    turns = st.sampled_from([Step(SWAP), Step(SETTLE), Step(SWAP), Step(BURY)])
    return st.lists(st.one_of(writes, turns), max_size=7)


VERSIONED = writes_of(st.integers(0, 99), versions=True)
SUMS = writes_of(
    st.one_of(
        st.integers(-9, 9),
        st.integers(EXACT - 3, EXACT + 3),
        st.integers(-EXACT - 3, 3 - EXACT),
        st.integers(-(1 << 70), 1 << 70),
        st.booleans(),
    ),
    versions=False,
)
FLOATS = writes_of(
    st.floats(-1e9, 1e9, allow_nan=False) | st.integers(-EXACT, EXACT), versions=False
)
LISTS = writes_of(st.lists(st.integers(0, 9), max_size=3), versions=False)

_settings = settings(max_examples=rounds(1000, least=150), deadline=None, print_blob=True)


@_settings
@given(before=states(VERSIONED), steps=st.lists(VERSIONED, min_size=1, max_size=6))
@example([Step(PUT, 1), Step(SWAP), Step(NEWER, 2, 4)], [Step(NEWER, 3, 3), Step(NEWER, 4, 5)])
@example([], [Step(NEWER, 1, 3), Step(NEWER, 2, 3)])
@example([], [Step(PUT, 1), Step(NEWER, 2, 0)])
@example([Step(NEWER, 1, 4), Step(SWAP), Step(SETTLE)], [Step(DELETE), Step(NEWER, 2, 1)])
@example([Step(PUT, 1)], [Step(PUT, 2), Step(DELETE), Step(NEWER, 2, -1)])
def test_of_two_writes_the_last_one_wins_or_the_newer(
    before: list[Step], steps: list[Step]
) -> None:
    check(None, before, steps, operator.eq)


@_settings
@given(before=states(SUMS), steps=st.lists(SUMS, min_size=1, max_size=6))
@example([Step(PUT, EXACT)], [Step(PUT, 1), Step(PUT, -2)])
@example([Step(PUT, EXACT), Step(SWAP), Step(PUT, True)], [Step(PUT, -EXACT), Step(DELETE)])
def test_whole_numbers_come_to_the_very_sum(before: list[Step], steps: list[Step]) -> None:
    check(operator.add, before, steps, operator.eq)


@_settings
@given(before=states(FLOATS), steps=st.lists(FLOATS, min_size=1, max_size=6))
def test_floats_come_to_the_sum_in_another_order(before: list[Step], steps: list[Step]) -> None:
    def same(one: float, other: float) -> bool:
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1.0)  # of 2 ** 53

    check(operator.add, before, steps, same)


def joined(old: list[int], new: list[int]) -> list[int]:
    return [*old, *new]


@_settings
@given(before=states(LISTS), steps=st.lists(LISTS, min_size=1, max_size=6))
def test_what_another_merge_unites_keeps_its_order(before: list[Step], steps: list[Step]) -> None:
    check(joined, before, steps, operator.eq)


@pytest.mark.parametrize("merge", [None, operator.add])
def test_what_was_sent_stays_as_it_is(merge: Any) -> None:
    shared = SharedDict()
    writes = Writes(shared.codec, merge)
    one, other = (unsent(writes, shared.codec, Step(PUT, value)) for value in (1, 2))
    both = writes.over(one, other)
    both.sent.append(7)
    for sent in (one, both):
        with pytest.raises(Sent):
            writes.over(sent, other)


def test_each_part_comes_back_where_the_server_has_several() -> None:
    server = Server(joined, [Step(PUT, [number]) for number in range(5)])
    says = server.says()
    assert says.waiting[KEY].value == list(range(5))
    assert says.coalesced == 4
    assert (says.flying, says.versions) == ({}, {})
