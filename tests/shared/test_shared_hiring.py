"""A worker that could not begin."""

from typing import Any

import pytest

from partitioned_buffer import Queue
from partitioned_buffer.testing.sharing import SharedDict


def test_a_partition_for_which_no_thread_is_to_be_had_is_given_to_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shared, got, tries = SharedDict(partitions=1, lease=60.0), list[list[int]](), list[object]()
    worker = Queue[int]("worker", got.append, storage=shared, processing_interval=0.01)
    admit = worker._supervisor.admit

    def admit_at_last(*args: Any) -> None:
        tries.append(args)
        if len(tries) < 3:
            raise RuntimeError("can't start new thread")
        admit(*args)

    monkeypatch.setattr(worker._supervisor, "admit", admit_at_last)
    with worker:
        worker.push(1)
        worker.flush(30)

    assert got == [[1]]
    assert len(tries) == 3
