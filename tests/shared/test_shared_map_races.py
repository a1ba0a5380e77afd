"""Writers that put over what is being sent: nothing is lost, nothing is sent twice."""

import operator
import threading
import time
from typing import Any

import pytest
from helpers import wait_until
from implementations import SECONDS
from shares import Gate

from partitioned_buffer import Map
from partitioned_buffer._core.sharing.front.unsent import Unsent, Writes
from partitioned_buffer.testing import assert_balanced
from partitioned_buffer.testing.sharing import SharedDict


def test_what_is_sent_while_another_is_put_over_it_goes_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server, gate, over = SharedDict(partitions=1), Gate("append"), Writes.over
    met: list[bool] = []

    def sent_meanwhile(self: Writes, old: Unsent, new: Unsent) -> Unsent:
        if not met:
            gate.open()
            wait_until(lambda: bool(old.sent))
        met.append(bool(old.sent))
        return over(self, old, new)

    monkeypatch.setattr(Writes, "over", sent_meanwhile)
    server.on_call = gate
    total: list[int] = []

    def add_up(batch: list[Any]) -> None:
        total.extend(entry.value for entry in batch)

    other: dict[str, Any] = {"storage": server.another(), "merge": operator.add}
    made: Map[str, int] = Map("races", storage=server, merge=operator.add)
    with (
        made,
        Map("delivers", add_up, processing_interval=0.01, **other),
    ):
        made.put("before", 0)
        assert gate.entered.wait(60)
        made.put("a", 1)
        made.put("a", 10)
        made.flush(60)
        assert met == [True]
        assert sum(total) == 11
        assert_balanced(made.stats())


def test_writers_race_with_what_is_sent_and_with_those_who_deliver() -> None:
    server, totals, lock = SharedDict(partitions=2), dict[str, int](), threading.Lock()
    written = [0] * 3

    def add_up(batch: list[Any]) -> None:
        with lock:
            for entry in batch:
                totals[entry.key] = totals.get(entry.key, 0) + entry.value

    def write(made: Map[str, int], place: int) -> None:
        while time.monotonic() < until:
            made.put(f"k{written[place] % 5}", 1)
            written[place] += 1

    until = time.monotonic() + SECONDS
    other: dict[str, Any] = {"storage": server.another(window=8), "merge": operator.add}
    made: Map[str, int] = Map("races", storage=server, merge=operator.add)
    with (
        made,
        Map("delivers", add_up, processing_interval=0.01, **other),
    ):
        threads = [threading.Thread(target=write, args=[made, place]) for place in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        made.flush(60)
        assert sum(totals.values()) == sum(written)
        assert_balanced(made.stats())
