"""Tables against their simple models, operation by operation."""

from typing import Any

import pytest
from table_pairs import FOREIGN, PLAIN, Pair

pytest.importorskip("hypothesis")  # which does not run everywhere

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

rooms = st.sampled_from(
    [None, *((size, most) for size in (None, 3, 6) for most in (None, 20) if size or most)]
)
policies = st.sampled_from(["block", "raise", "drop_newest", "drop_oldest"])
weights = st.integers(0, 8)
sizes = st.sampled_from([1, 2, 3, None])
places = st.none() | st.sets(st.integers(0, 5))
WORKER = [
    st.tuples(st.just("swap")),
    st.tuples(st.just("take"), sizes),
    st.tuples(st.just("take"), sizes),
    st.tuples(st.sampled_from(["acknowledge", "release", "close"])),
    st.tuples(st.just("bury"), places),
    st.tuples(st.just("reach"), st.integers(0, 3)),
    st.tuples(st.just("keep"), places),
    st.tuples(st.just("again"), sizes),
    st.tuples(st.sampled_from(["open", "retune"]), st.sampled_from([None, 1, 3])),
    st.tuples(st.just("drop"), st.integers(0, 2)),
    st.tuples(st.just("line"), st.integers(0, 2), st.integers(0, 2)),
]
pushes = st.tuples(st.just("push"), st.integers(0, 99), weights, st.booleans())
many = st.lists(st.tuples(st.integers(0, 99), weights), max_size=4)
queue_ops = st.lists(
    st.one_of(
        pushes,
        pushes,
        st.tuples(st.just("other"), st.integers(0, 99), weights),
        st.tuples(st.just("push_all"), many, st.booleans()),
        *WORKER,
    ),
    max_size=60,
)


def map_ops(keys: list[Any]) -> st.SearchStrategy[list[Any]]:
    key, version = st.sampled_from(keys), st.none() | st.integers(-2, 9) | st.just(2**70)
    put = st.tuples(st.just("put"), key, st.integers(0, 99), version, weights, st.booleans())
    op = st.tuples(key, st.integers(0, 99), version, weights)
    return st.lists(
        st.one_of(
            put,
            put,
            put,
            st.tuples(st.just("put_all"), st.lists(op, max_size=5), st.booleans()),
            st.tuples(st.just("needs"), st.lists(op, max_size=5)),
            st.tuples(st.sampled_from(["get", "delete", "has"]), key),
            *WORKER,
        ),
        max_size=60,
    )


settled = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@settled
@given(bounds=rooms, when_full=policies, ops=queue_ops)
def test_queues_do_what_their_model_does(
    made: Any, bounds: Any, when_full: str, ops: list[Any]
) -> None:
    pair = Pair(made, "Queue", bounds, when_full)
    for name, *args in ops:
        pair.step("other_push" if name == "other" else name, *args)


@settled
@given(
    bounds=rooms,
    when_full=policies,
    remember=st.sampled_from([0, 1, 2, 100]),
    merge=st.sampled_from([None, None, lambda old, new: (old, new)]),
    ops=map_ops(PLAIN) | map_ops(PLAIN + FOREIGN),
)
def test_maps_do_what_their_model_does(
    made: Any, bounds: Any, when_full: str, remember: int, merge: Any, ops: list[Any]
) -> None:
    pair = Pair(made, "Map", bounds, when_full, remember=remember, merge=merge)
    for name, *args in ops:
        pair.step(name, *args)
