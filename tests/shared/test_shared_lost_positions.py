"""What has the position of what a server lost is another item, for a destination, too."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from partitioned_buffer import BatchId, Queue, batch_id
from partitioned_buffer.sinks import SQLiteTable
from partitioned_buffer.testing.contract.base import eventually
from partitioned_buffer.testing.sharing import SharedDict


def rows(path: Path) -> list[int]:
    with closing(sqlite3.connect(path)) as database:
        return [row for (row,) in database.execute("SELECT number FROM t ORDER BY number")]


def test_a_sink_that_takes_each_batch_once_takes_what_comes_after_a_loss(tmp_path: Path) -> None:
    shared, path = SharedDict(partitions=1), tmp_path / "rows.db"
    sink = SQLiteTable(path, "t", ["number"], create=True, once=True)
    with sink, Queue[Any]("rows", sink, storage=shared, processing_interval=0.01) as queue:
        queue.push_all([(1,), (2,), (3,)])
        queue.flush(30)
        shared.forgets(3)
        queue.push_all([(4,), (5,)])
        eventually(lambda: shared.appended == 2)
        queue.flush(30)
        assert rows(path) == [1, 2, 3, 4, 5]


def test_a_claim_that_is_lost_alone_changes_no_batch() -> None:
    """The server has lost nothing: what comes again is known by its id."""
    shared, found = SharedDict(partitions=1), dict[BatchId, list[int]]()

    def note(batch: list[int]) -> None:
        found[batch_id()] = batch

    for item in range(3):
        with Queue[int]("q", note, storage=shared.another(), processing_interval=0.01) as queue:
            queue.push(item)
            queue.flush(30)
            shared.expire()
    assert [each.position for each in found] == [0, 1, 2]
    assert len({each.store for each in found}) == 1
