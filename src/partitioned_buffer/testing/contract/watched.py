"""
A storage between a buffer and the one under test: it notes what is asked for, and fails when told.
"""

import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

from ... import Undecodable
from ...abc import Chunk, Storage, Store, Terms


class Watched:
    """Is what *inner* is, but for what is done to it here."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.keys, self.hash = inner.keys, inner.hash
        self.fails: dict[str, BaseException] = {}
        """What a store's method raises now, by its name."""
        self.commits: list[list[tuple[int, int]]] = []
        """For each append its pieces: partitions and numbers of records."""
        self.at_work = threading.Semaphore(0)  # released when an append begins
        self.open_gate()

    @property
    def codec(self) -> Any:
        """The other's, which can be replaced."""
        return self.inner.codec

    @codec.setter
    def codec(self, codec: Any) -> None:
        self.inner.codec = codec

    def open(self, terms: Terms, /) -> Any:
        """Open the other's store."""
        return WatchedStore(self.inner.open(terms), self)

    def close_gate(self) -> None:
        """Have appends wait, until `open_gate`."""
        self.gate = threading.Event()

    def open_gate(self) -> None:
        """Let appends go on."""
        if hasattr(self, "gate"):
            self.gate.set()
        self.gate = threading.Event()
        self.gate.set()


class WatchedStore:
    """Is what *inner* is, but for what `Watched` says."""

    def __init__(self, inner: Store, storage: Watched) -> None:
        self.inner, self._storage = inner, storage

    def __getattr__(self, name: str) -> Any:
        if (error := self._storage.fails.get(name)) is not None:
            raise error.with_traceback(None)
        return getattr(self.inner, name)

    def append(
        self, pieces: Sequence[tuple[int, int, bytes]], /, *, durable: bool = True
    ) -> list[int]:
        """Append, unless it is to fail."""
        storage = self._storage
        storage.at_work.release()
        storage.gate.wait(60)
        if (error := storage.fails.get("append")) is not None:
            raise error.with_traceback(None)
        starts = self.inner.append(pieces, durable=durable)
        storage.commits.append([(partition, count) for partition, count, _ in pieces])
        return starts

    def single(self, partition: int, count: int, data: bytes) -> Any:
        """Prepare a commit, unless it is to wait, or to fail."""
        storage, single = self._storage, getattr(self.inner, "single", None)
        if single is None or "append" in storage.fails or not storage.gate.is_set():
            return None
        made = single(partition, count, data)
        return None if made is None else WatchedSingle(made, storage, (partition, count))

    def read(self, partition: int, position: int, max_bytes: int, /) -> Sequence[Chunk]:
        """Read, unless it is to fail."""
        if (error := self._storage.fails.get("read")) is not None:
            raise error.with_traceback(None)
        return self.inner.read(partition, position, max_bytes)


class WatchedSingle:
    """Is what *inner* is, and notes when it is made."""

    def __init__(self, inner: Any, storage: Watched, piece: tuple[int, int]) -> None:
        self.inner, self._storage, self._notes = inner, storage, iter([[piece]])

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def make(self) -> bool:
        """Make it."""
        made: bool = self.inner.make()
        if made:
            self._storage.commits.extend(self._notes)  # once
        return made


class Failed(NamedTuple):
    """A record that does not decode."""

    place: int
    record: bytes
    error: Exception


class Each(NamedTuple):
    """What becomes of each record of a chunk."""

    items: list[tuple[int, Any]]
    failed: list[Failed]


class Forgetful:
    """A codec that cannot read some *items* any more, as if their type had changed."""

    def __init__(self, inner: Any, items: Sequence[Any]) -> None:
        self._inner, self._items = inner, items

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def decode(self, data: bytes, count: int, /) -> list[Any]:
        """Return the items, if all can be read."""
        items: list[Any] = self._inner.decode(data, count)
        if any(item in self._items for item in items):
            raise Undecodable(f"{count} records cannot be read")
        return items

    def decode_each(self, data: bytes, count: int, /) -> Each:
        """Return what can be read, and what cannot."""
        records = self._inner.split(data)
        items = list(enumerate(self._inner.decode(data, count)))
        failed = [
            Failed(place, records[place], ValueError("it cannot be read"))
            for place, item in items
            if item in self._items
        ]
        return Each([(place, item) for place, item in items if item not in self._items], failed)


class Renamed:
    """A codec of another name."""

    name = "another"

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def is_storage(_: Storage) -> None:
    """Have type checkers see that `Watched` is one."""
