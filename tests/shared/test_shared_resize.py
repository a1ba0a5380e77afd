"""Workers go on with another number of partitions, more or fewer."""

import threading
from typing import Any

import pytest

from partitioned_buffer import Queue
from partitioned_buffer.testing.sharing import SharedDict


@pytest.mark.parametrize(("before", "after"), [(4, 7), (7, 3), (1, 5)])
def test_all_partitions_of_the_next_layout_are_delivered(before: int, after: int) -> None:
    shared, got, lock = SharedDict(partitions=before, lease=3.0), list[int](), threading.Lock()

    def process(batch: list[Any]) -> None:
        with lock:
            got.extend(batch)

    workers = [
        Queue(f"worker-{before}-{n}", process, storage=shared.another()).start() for n in range(2)
    ]
    writer = Queue[int](f"writer-{before}", storage=shared.another(), partition_key=abs).start()
    for number in range(100):
        writer.push(number)
    writer.flush(timeout=10)
    shared.resize(after)
    for number in range(100, 200):
        writer.push(number)

    writer.flush(timeout=10)

    assert sorted(got) == list(range(200))
    for each in (writer, *workers):
        each.stop(timeout=5)
