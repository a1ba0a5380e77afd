"""
What the modules beside this one share: rows, batches, and a sink that is called without a buffer.

Each of them has a `TITLE`, a `FLOOR`, and a context `subjects(folder, quick)` that yields, by name,
what times one round.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

from partitioned_buffer import BatchId
from partitioned_buffer.abc.batches import asked
from partitioned_buffer.testing.contract.sinks.using import Delivering

Row = dict[str, Any]

BATCH = 100
COLUMNS = ["id", "at", "who", "text"]


class Clock:
    """What time is taken by."""

    now: Callable[[], int] = time.perf_counter_ns


def timed(work: Callable[[], object], items: int) -> float:
    """Return how many nanoseconds per item *work* takes."""
    began = Clock.now()
    work()
    return (Clock.now() - began) / items


def rows(count: int) -> list[Row]:
    return [
        {"id": n, "at": 1700000000.5 + n, "who": f"user {n % 100}", "text": "what was done" * 4}
        for n in range(count)
    ]


def batches(items: list[Row], size: int = BATCH) -> Iterator[list[Row]]:
    for at in range(0, len(items), size):
        yield items[at : at + size]


def each_batch(items: list[Row], call: Callable[[list[Row]], object], size: int = BATCH) -> float:
    """Return what an item costs, given batch by batch, in nanoseconds."""

    def run() -> None:
        for number, batch in enumerate(batches(items, size)):
            asked.set(Delivering(BatchId("bench", "bench", 0, number * size, len(batch))))
            call(batch)

    return timed(run, len(items))
