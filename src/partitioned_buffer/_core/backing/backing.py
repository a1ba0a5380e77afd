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
        self.retired = False  # whether it is to be closed, and not to be used by another life
        self.store: Store | None = None
        self.committer: Committer | None = None
        self._opened: tuple[Store, Committer | None] | None = None  # what has to be closed
        self._lock = threading.Lock()

    def open(self) -> None:
        """Open the store, and recover what is in it; once more does no harm."""
        with self._lock:
            if self.store is not None and not self.retired:
                return
            self.store = self.committer = None
            self._let_go()
            self.retired = False
            store = self.open_store()
            self._opened = store, None
            try:
                committer = self._recovered(store)
                self.store, self.committer = store, committer
            except BaseException:
                self._reset()
                self._let_go()
                raise

    def _reset(self) -> None:
        """Have the tables be empty, wherever they were interrupted."""
        if self._room is not None:
            self._room.reset()
        for table in self.tables:
            table.reset()

    def _recovered(self, store: Store) -> Committer:
        """Have the tables begin with what *store* holds; return its committer."""
        self._reset()
        settings = self._settings
        committer = Committer(store, self._room, settings.name, settings.clock)
        self._opened = store, committer
        for table in self.tables:
            table.begin(store, committer)
        committer.reclaim()  # what the last one has left; not while all is read
        return committer

    def open_store(self) -> Store:
        """Open the store, for somebody else to close it."""
        storage: Storage = self.storage
        name, partitions = self._settings.name, len(self.tables)
        return storage.open(Terms(name, self.kind, partitions, self.route, self.prepare))

    def close(self) -> None:
        """Let go of the store; once more does no harm, and goes on where it was interrupted."""
        with self._lock:
            self.store = self.committer = None
            self._let_go()

    def _let_go(self) -> None:
        if self._opened is None:
            return
        store, committer = self._opened
        if committer is not None:
            committer.end()
        try:
            store.close()
        except StorageError as error:
            report("buffer %r: its store", self._settings.name, error=error)
        self._opened = None

    def left(self, count: int) -> "Left":
        """Return what the tables hold, which is *count* items, without reading it."""
        return Left(self, count)

    def forked(self) -> None:
        """Have none, in a forked child: it is the parent's."""
        if self.committer is not None:
            self.committer.forked()
        self._forget()

    def is_committer(self) -> bool:
        """Return whether it is the committer that runs now."""
        committer = self.committer
        return committer is not None and committer.thread.ident == threading.get_ident()

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
    if backing.store is None:
        backing.close()  # should that have been interrupted
    store = backing.store
    opened = backing.open_store() if store is None else None
    try:
        for table in backing.tables:
            yield from table.stored(opened or store)
    finally:
        if opened is not None:
            opened.close()
