"""
A buffer's store, while it is open: from a start to the end of its last worker.

What is open has a committer (see `committer`), and tables that know what was recovered.
"""

import threading
from collections.abc import Iterator, Sequence
from typing import Any

from ...abc import Storage, Store, Terms
from ...errors import StorageError
from ..options.settings import Settings
from ..telemetry import report
from .committer import Committer
from .room import StoreRoom


class Backing:
    """Of one buffer."""

    tables: Sequence[Any] = ()

    def __init__(self, settings: Settings, room: StoreRoom | None) -> None:
        self._settings, self._room = settings, room
        self.storage: Any = settings.storage
        self.kind = ""
        self.route: Any = None
        self.prepare: Any = None
        self._forget()

    def _forget(self) -> None:
        self.store: Store | None = None
        self.committer: Committer | None = None
        self._lock = threading.Lock()

    def open(self) -> None:
        """Open the store, and recover what is in it; once more does no harm."""
        with self._lock:
            if self.store is not None:
                return
            store = self.open_store()
            try:
                if self._room is not None:
                    self._room.reset()
                committer = self._committer(store)
                try:
                    for table in self.tables:
                        table.begin(store, committer)
                except BaseException:
                    committer.end()
                    raise
            except BaseException:
                store.close()
                raise
            self.store, self.committer = store, committer

    def _committer(self, store: Store) -> Committer:
        settings = self._settings
        return Committer(store, self._room, settings.name, settings.clock)

    def open_store(self) -> Store:
        """Open the store, for somebody else to close it."""
        storage: Storage = self.storage
        name, partitions = self._settings.name, len(self.tables)
        return storage.open(Terms(name, self.kind, partitions, self.route, self.prepare))

    def close(self) -> None:
        """Let go of the store; once more does no harm."""
        with self._lock:
            store, committer = self.store, self.committer
            self.store = self.committer = None
            if committer is not None:
                committer.end()
            if store is not None:
                try:
                    store.close()
                except StorageError as error:
                    report("buffer %r: its store", self._settings.name, error=error)

    def left(self, count: int) -> "Left":
        """Return what the tables hold, which is *count* items, without reading it."""
        return Left(self, count)

    def forked(self) -> None:
        """Have none, in a forked child: it is the parent's."""
        self._forget()

    def is_committer(self) -> bool:
        """Return whether it is the committer that runs now."""
        committer = self.committer
        return committer is not None and committer.thread is threading.current_thread()

    @property
    def where(self) -> str:
        """What is stored where, for people."""
        return "" if self.store is None else self.store.where


class Left(Sequence[Any]):
    """
    What a stop has left in a store: counted, and read when somebody asks.

    It is equal to other sequences of the same items, so to `()` when nothing is left. Reading
    opens the store, which nobody else may have then.
    """

    def __init__(self, backing: Backing, count: int) -> None:
        self._backing, self._count = backing, count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Any]:
        return _read(self._backing) if self._count else iter(())

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice) or place < 0:
            return list(self)[place]
        for at, item in enumerate(self):
            if at == place:
                return item
        raise IndexError(place)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or len(other) != self._count:
            return False
        return all(mine == theirs for mine, theirs in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # as a list

    def __repr__(self) -> str:
        return f"<{self._count} left>" if self._count else "()"


def _read(backing: Backing) -> Iterator[Any]:
    """Yield what is in the store, partition by partition."""
    store = backing.store
    opened = backing.open_store() if store is None else None
    try:
        for table in backing.tables:
            yield from table.stored(opened or store)
    finally:
        if opened is not None:
            opened.close()
