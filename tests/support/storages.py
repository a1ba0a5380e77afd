"""Storages of a buffer under test, which can crash in the middle of it."""

import json
import shutil
from pathlib import Path
from typing import Any

from partitioned_buffer.abc import Terms
from partitioned_buffer.storage import SQLite


class Copied(SQLite):
    """Knows what it has opened, and can be copied in between two of its commits."""

    opened: Any = None

    def __init__(self, path: Path, **options: Any) -> None:
        self._options = options
        super().__init__(path, **options)

    def open(self, terms: Terms, /) -> Any:
        self.opened = super().open(terms)
        return self.opened

    def copy(self, to: Path) -> "Copied":
        """Return what another process would find, had this one been killed."""
        to.mkdir(parents=True)
        with self.opened.journal._file.writing:
            for suffix in ("", "-wal", "-ack"):  # shared memory is made anew
                if Path(f"{self.path}{suffix}").exists():  # nobody has it open
                    shutil.copy(f"{self.path}{suffix}", f"{to / 'events.db'}{suffix}")
        return Copied(to / "events.db", **self._options | {"window": self.window})

    def buried(self, kind: str = "Queue", partitions: int = 1) -> list[Any]:
        """Return the items that were given up and are kept; no buffer has it open."""
        store = super().open(Terms("", kind, partitions, lambda *_: {}))
        try:
            kept = list(store.journal.buried())
        finally:
            store.close()
        found = [self.codec.decode(each.data or b"", each.count) for each in kept]
        return [item for items in found for item in items]


def as_json(item: Any) -> bytes:
    """Encode as a codec does that needs nothing installed."""
    return json.dumps(item).encode()


def of_json(record: bytes) -> Any:
    return json.loads(record)
