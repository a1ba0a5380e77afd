"""Ours, peers, and the floor: `put()` returns when all of a batch survives a power failure."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import diskcache
import litequeue
import persistqueue

from partitioned_buffer import Queue
from partitioned_buffer.storage import SQLite

ASLEEP = 3600.0
FLOOR = "append + fdatasync"
OURS = "Queue.push_all"


class Subject(Protocol):
    def put(self, batch: Sequence[Any], /) -> object: ...
    def close(self) -> None: ...


class Floor:
    """The same bytes, at the end of a file."""

    def __init__(self, folder: Path) -> None:
        self._fd = os.open(folder / "floor", os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    def put(self, batch: Sequence[bytes]) -> None:
        os.write(self._fd, b"".join(batch))
        os.fdatasync(self._fd)

    def close(self) -> None:
        os.close(self._fd)


class Ours:
    """A Queue; its worker sleeps unless it is told an interval."""

    def __init__(self, folder: Path, name: str = "ours", **options: Any) -> None:
        processor = options.pop("processor", _nothing)
        self.queue = Queue[Any](
            name,
            processor,
            storage=SQLite(folder / f"{name}.db", fsync="commit"),
            **{"processing_interval": ASLEEP} | options,
        ).start()
        self.put = self.queue.push_all

    def close(self) -> None:
        self.queue.update_options(processing_batch_size="table")
        self.queue.stop()


class PersistQueue:
    """It commits each item, whatever it is told."""

    def __init__(self, folder: Path) -> None:
        self._queue = persistqueue.FIFOSQLiteQueue(str(folder / "persist"), multithreading=True)
        writes: Any = self._queue._putter
        writes.execute("pragma synchronous=full")

    def put(self, batch: Sequence[Any]) -> None:
        for item in batch:
            self._queue.put(item)

    def close(self) -> None:
        self._queue.close()


class LiteQueue:
    """It is NORMAL by itself, which a power failure undoes."""

    def __init__(self, folder: Path) -> None:
        self._queue = litequeue.LiteQueue(folder / "lite.db")
        self._queue.conn.execute("pragma synchronous=full")

    def put(self, batch: Sequence[bytes]) -> None:
        texts = [item.decode() for item in batch]  # it takes nothing else
        if len(texts) == 1:
            self._queue.put(texts[0])
            return
        with self._queue.transaction():
            for text in texts:
                self._queue.put(text)

    def close(self) -> None:
        self._queue.close()


class DiskCache:
    """Its Deque; NORMAL by itself, too."""

    def __init__(self, folder: Path) -> None:
        self._cache = diskcache.Cache(
            str(folder / "diskcache"), sqlite_synchronous=2, eviction_policy="none", cull_limit=0
        )
        self._deque = diskcache.Deque.fromcache(self._cache)

    def put(self, batch: Sequence[Any]) -> None:
        with self._deque.transact():
            self._deque.extend(batch)

    def close(self) -> None:
        self._cache.close()


PEERS: dict[str, Callable[[Path], Subject]] = {
    "persist-queue": PersistQueue,
    "litequeue": LiteQueue,
    "diskcache.Deque": DiskCache,
}


def _nothing(_: Any) -> None: ...
