"""Millions of items that wait: the memory they take, how long opening takes, and delivering all."""

import os
import time
from pathlib import Path
from typing import Any

from partitioned_buffer import Map, Queue
from partitioned_buffer.storage import SQLite

from .subjects import ASLEEP

ITEM = b"x" * 90
PAGE = os.sysconf("SC_PAGE_SIZE")


def rss() -> int:
    """Return how many bytes of memory this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def fill(folder: Path, count: int) -> dict[str, Any]:
    """Have so many wait; the process is to end then without an end of the buffer."""
    queue = _queue(folder, [].extend).start()
    queue.push_all([ITEM] * 1000)
    before = rss()
    for _ in range(count // 1000 - 1):
        queue.push_all([ITEM] * 1000)
    grown = rss() - before
    return {"grown": grown, "file": (folder / "backlog.db").stat().st_size}


def drain(folder: Path, count: int) -> dict[str, Any]:
    """Open the file of a process that was killed, and have all of it delivered."""
    done = 0
    most = before = rss()

    def process(batch: list[bytes]) -> None:
        nonlocal done, most
        done += len(batch)
        if done % 100_000 == 0:
            most = max(most, rss())

    began = time.perf_counter()
    queue = _queue(folder, process).start()
    opened = time.perf_counter() - began
    began = time.perf_counter()
    queue.flush()
    drained = time.perf_counter() - began
    queue.stop()
    assert done == count, f"{done} delivered, of {count}"
    size = (folder / "backlog.db").stat().st_size
    return {"open": opened, "rate": count / drained, "grown": most - before, "file": size}


def fill_map(folder: Path, count: int) -> dict[str, Any]:
    """Have so many keys wait, written until their log has just been compacted; end as `fill`."""
    made = _map(folder).start()
    for begin in range(0, 4 * count + 30_000, 1000):
        made.put_all([(key % count, ITEM) for key in range(begin, begin + 1000)])
    return {"file": (folder / "map.db").stat().st_size}


def open_map(folder: Path, count: int) -> dict[str, Any]:
    """Open the file of that process."""
    made = _map(folder)
    began = time.perf_counter()
    made.start()
    rate = count / (time.perf_counter() - began)
    assert len(made) == count, f"{len(made)} entries, of {count}"
    return {"rate": rate}


def _map(folder: Path) -> Map[int, bytes]:
    return Map[int, bytes](
        "map",
        list,
        storage=SQLite(folder / "map.db", fsync="os"),
        partitions=1,
        processing_interval=ASLEEP,
    )


def _queue(folder: Path, process: Any) -> Queue[bytes]:
    return Queue[bytes](
        "backlog",
        process,
        storage=SQLite(folder / "backlog.db", fsync="os"),
        partitions=1,
        processing_interval=ASLEEP,
        processing_batch_size=1000,
    )
