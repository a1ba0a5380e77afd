"""Everything that buffers expect of a storage, over the one in memory."""

from pathlib import Path
from typing import Any

from portal import Portal

from partitioned_buffer import AsyncMap, AsyncQueue
from partitioned_buffer.testing.storage import DictStorage, MapStorageContract, StorageContract


class TestThreads(StorageContract):
    def make(self, tmp_path: Path) -> DictStorage:
        return DictStorage()


class TestMap(MapStorageContract):
    def make(self, tmp_path: Path) -> DictStorage:
        return DictStorage()


class TestTasks(TestThreads):
    def make_queue(self, name: str, processor: Any, **options: Any) -> Any:
        return Portal(AsyncQueue(name, processor, **options))

    test_a_forked_child_is_refused: Any = None  # a loop's thread is not there to refuse it


class TestMapOfTasks(TestMap):
    def make_queue(self, name: str, processor: Any, **options: Any) -> Any:
        return Portal(AsyncMap(name, processor, **options))
