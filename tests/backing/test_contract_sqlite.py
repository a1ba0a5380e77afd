"""Everything that buffers expect of a storage, over a file."""

import shutil
from pathlib import Path
from typing import Any

from portal import Portal

from partitioned_buffer import AsyncQueue
from partitioned_buffer.abc import Terms
from partitioned_buffer.storage import SQLite
from partitioned_buffer.testing.storage import StorageContract


class Copied(SQLite):
    """Knows what it has opened, and can be copied in between two of its commits."""

    def open(self, terms: Terms, /) -> Any:
        self.opened = super().open(terms)
        return self.opened

    def copy(self, to: Path) -> "Copied":
        to.mkdir(parents=True)
        with self.opened.journal._file.writing:
            for suffix in ("", "-wal", "-ack"):  # shared memory is made anew
                shutil.copy(f"{self.path}{suffix}", f"{to / 'events.db'}{suffix}")
        return Copied(to / "events.db", fsync="os", window=self.window)


class TestThreads(StorageContract):
    def make(self, tmp_path: Path) -> Copied:
        return Copied(tmp_path / "events.db", fsync="os")

    def crashed(self, storage: Copied, tmp_path: Path) -> Copied:
        return storage.copy(tmp_path / "after the crash")

    def buried(self, storage: Copied) -> list[Any]:
        store = storage.open(Terms("", "Queue", 1, lambda *_: {}))
        try:
            kept = list(store.journal.buried())
        finally:
            store.close()
        found = [storage.codec.decode(each.data or b"", each.count) for each in kept]
        return [item for items in found for item in items]


class TestTasks(TestThreads):
    def make_queue(self, name: str, processor: Any, **options: Any) -> Any:
        return Portal(AsyncQueue(name, processor, **options))

    test_a_forked_child_is_refused: Any = None  # a loop's thread is not there to refuse it
