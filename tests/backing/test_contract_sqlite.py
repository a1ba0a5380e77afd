"""Everything that buffers expect of a storage, over a file."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from portal import Portal
from storages import Copied, as_json, of_json

from partitioned_buffer import AsyncMap, AsyncQueue
from partitioned_buffer.testing.storage import MapStorageContract, StorageContract

CODEC: Any = None if find_spec("msgspec") else (as_json, of_json)


class TestThreads(StorageContract):
    def make(self, tmp_path: Path) -> Copied:
        tmp_path.mkdir(exist_ok=True)
        return Copied(tmp_path / "events.db", fsync="os", codec=CODEC)

    def crashed(self, storage: Copied, tmp_path: Path) -> Copied:
        return storage.copy(tmp_path / "after the crash")


class TestMap(MapStorageContract):
    def make(self, tmp_path: Path) -> Copied:
        tmp_path.mkdir(exist_ok=True)
        return Copied(tmp_path / "events.db", fsync="os", codec=CODEC)

    def crashed(self, storage: Copied, tmp_path: Path) -> Copied:
        return storage.copy(tmp_path / "after the crash")


class TestTasks(TestThreads):
    def make_queue(self, name: str, processor: Any, **options: Any) -> Any:
        return Portal(AsyncQueue(name, processor, **options))

    test_a_forked_child_is_refused: Any = None  # a loop's thread is not there to refuse it


class TestMapOfTasks(TestMap):
    def make_queue(self, name: str, processor: Any, **options: Any) -> Any:
        return Portal(AsyncMap(name, processor, **options))
