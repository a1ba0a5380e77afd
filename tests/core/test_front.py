"""What is known of the first in line: the same work, however many stand behind them."""

import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from implementations import opened

from partitioned_buffer import Retry
from partitioned_buffer._core.policy.front import Front
from partitioned_buffer._core.policy.trial import Trial
from partitioned_buffer._core.tables.implementation import QueueTable


def lines(call: Callable[[], object]) -> int:
    """Return how many lines of the policy *call* goes through."""
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace if "policy" in frame.f_code.co_filename else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return count


def work(count: int) -> tuple[int, int, int]:
    """Return what it takes to meet, to find and to settle the first of *count* that have failed."""
    items = [object() for _ in range(count)]
    table = opened(QueueTable())
    table.push_all(items)
    table.swap()
    front = Front()
    met = front.meet(table.take(None) or [])
    table.keep(None)
    front.begin(met, brisk=False)
    for tried, item in zip(met, items, strict=True):
        tried.given = item
    trial = Trial(table, Retry(), front, time.monotonic)
    return (
        lines(lambda: front.meet(items[:1], 1)),
        lines(lambda: trial._places(met[:1])),
        lines(lambda: front.settle(met[:1])),
    )


def test_who_stands_behind_costs_nothing() -> None:
    assert work(10) == work(1000)


def test_what_is_settled_anywhere_is_forgotten() -> None:
    for gone in ([0], [1], [0, 1], [0, 2], [2, 0], [3], [0, 1, 2, 3], [0, 0], []):
        front, items = Front(), [object() for _ in range(4)]
        met = front.meet(items)
        front.begin(met[1:], brisk=False)

        front.settle([met[place] for place in gone])

        assert front.tried == [tried for place, tried in enumerate(met) if place not in gone]
        assert front.hand == [tried for tried in front.tried if tried is not met[0]]


def test_what_was_deleted_is_forgotten_and_what_follows_it_known() -> None:
    front, items = Front(), [object() for _ in range(5)]
    met = front.meet(items)
    new = object()

    again = front.meet([items[1], items[3], new])

    assert again[:2] == [met[1], met[3]]
    assert [tried.held for tried in met] == [False, True, False, True, False]
    assert front.tried == again
    front.meet([items[1]], asked=2)
    assert front.tried == again[:1]
