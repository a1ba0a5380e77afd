"""
Storages for tests: one in memory, and the contract that every storage has to keep.

    class TestMine(StorageContract):
        def make(self, tmp_path):
            return MyStorage(tmp_path / "events")

runs, with pytest, everything that buffers expect of a storage over yours. See `contract`.
"""

import json
import threading
import uuid
import weakref
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Any

from .. import StorageBusy, StorageError, StorageRefused
from ..abc import Chunk, Codec, Cursor, Terms
from ..storage.codec import make_codec
from ..storage.keys import make_keys
from ..storage.stable_hash import stable_hash
from .contract import MapStorageContract, StorageContract

__all__ = ["DictStorage", "MapStorageContract", "StorageContract"]

WINDOW = 1 << 20


class DictStorage:
    """
    Keeps what a buffer accepts in memory: a `storage=` for tests, which needs no file.

    What was accepted survives the buffer, as long as this object lives. Items are what JSON can
    say. *window*: how many bytes of what waits a buffer keeps beside.
    """

    def __init__(self, *, window: int = WINDOW) -> None:
        self.window = window
        self.codec = make_codec((_encode, _decode), name="json")
        self.keys = make_keys(self.codec)
        self.fails: BaseException | None = None
        """What every use of the store raises now: `StorageFull("...")`, say; None: it works."""
        self._disk = _Disk()
        self._opened: weakref.ref[DictStore] | None = None  # an interrupted open() leaves none
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return "DictStorage()"

    def hash(self, key: Any, /) -> int:
        """Return the hash of *key*, the same in every process; raise `TypeError`."""
        return stable_hash(key)

    def open(self, terms: Terms, /) -> "DictStore":
        """
        Open the store.

        Raises `StorageBusy` if it is open, and `StorageRefused` if it was made for another kind or
        codec. With other partitions than before, what is held is moved by `terms.route`.
        """
        with self._lock:
            if self._opened is not None and self._opened() is not None:
                raise StorageBusy("the DictStorage is open: another buffer has it")
            disk = self._disk
            disk.admit(terms, self.codec.name)
            if len(disk.parts) != terms.partitions:
                if terms.prepare is not None:
                    terms.prepare(DictStore(self, disk), len(disk.parts))
                disk.deal_anew(terms)
            store = DictStore(self, disk)
            self._opened = weakref.ref(store)
            return store

    def crash(self) -> None:
        """
        Be as after `kill -9`: nothing is forgotten, and it can be opened.

        A buffer that has it open goes on by itself, with a copy that nobody sees.
        """
        with self._lock:
            disk, opened, self._opened = self._disk, self._opened, None
            store = None if opened is None else opened()
            with threading.Lock() if store is None else store._lock:
                self._disk = disk.copy()

    def buried(self) -> list[Any]:
        """Return the items that were given up and are kept, the oldest first."""
        kept = (self.codec.decode(data, count) for _, data, count, _, _ in self._disk.buried)
        return [item for items in kept for item in items]

    def _let_go(self, store: "DictStore") -> None:
        with self._lock:
            if self._opened is not None and self._opened() is store:
                self._opened = None


def _encode(item: Any) -> bytes:
    return json.dumps(item).encode()


def _decode(record: bytes) -> Any:
    return json.loads(record)


class _Part:
    """A partition."""

    def __init__(self) -> None:
        self.chunks: list[Chunk] = []
        self.end = 0
        self.now = Cursor()

    def append(self, count: int, data: bytes) -> int:
        start, self.end = self.end, self.end + count
        self.chunks.append(Chunk(start, count, data))
        return start

    def holding(self, position: int) -> int:
        """Return the place of the chunk that holds *position*, or of the next."""
        place = bisect_right(self.chunks, position, key=lambda chunk: chunk.start)
        if place and position < self.chunks[place - 1].start + self.chunks[place - 1].count:
            return place - 1
        return place

    def held(self, chunk: Chunk) -> list[int]:
        """Return the places of *chunk* that are not settled."""
        cursor, kept = self.now.cursor, self.now.kept
        positions = range(chunk.start, chunk.start + chunk.count)
        return [each - chunk.start for each in positions if each >= cursor or each in kept]

    def copy(self) -> "_Part":
        made = _Part()
        made.chunks, made.end, made.now = self.chunks[:], self.end, self.now
        return made


class _Disk:
    """What survives."""

    def __init__(self) -> None:
        self.identity = uuid.uuid4().hex
        self.layout = 0
        self.kind = self.codec = ""
        self.parts: list[_Part] = []
        self.buried: list[tuple[int, bytes, int, str, int]] = []

    def copy(self) -> "_Disk":
        made = _Disk()
        vars(made).update(vars(self))
        made.parts, made.buried = [part.copy() for part in self.parts], self.buried[:]
        return made

    def admit(self, terms: Terms, codec: str) -> None:
        if not self.parts:
            self.kind, self.codec = terms.kind, codec
            self.parts = [_Part() for _ in range(terms.partitions)]
        for term, held, wanted in (
            ("kind", self.kind, terms.kind),
            ("codec", self.codec, codec),
        ):
            if held != wanted:
                raise StorageRefused(
                    f"the DictStorage was made for {term} {held!r}, and is opened for {wanted!r}"
                )

    def deal_anew(self, terms: Terms) -> None:
        made = [_Part() for _ in range(terms.partitions)]
        for part in self.parts:
            for chunk in part.chunks:
                places = part.held(chunk)
                if not places or chunk.data is None:
                    continue
                for where, (count, data) in terms.route(chunk.data, places, len(made)).items():
                    made[where].append(count, data)
        self.parts, self.layout = made, self.layout + 1


class DictStore:
    """A `Store`: a `DictStorage` that is open."""

    where = "a DictStorage"

    def __init__(self, storage: DictStorage, disk: _Disk) -> None:
        self._storage, self._disk, self._lock = storage, disk, threading.Lock()
        self.codec: Codec = storage.codec
        self.window = storage.window
        # Positions begin anew where it was dealt anew, and no two batches have one id.
        self.identity = f"{disk.identity}-{disk.layout}"
        self._is_open = True

    def _check(self) -> None:
        if not self._is_open:
            raise StorageError("the DictStorage is closed")
        if (error := self._storage.fails) is not None:
            raise error.with_traceback(None)  # it may have been raised before

    def append(
        self, pieces: Sequence[tuple[int, int, bytes]], /, *, durable: bool = True
    ) -> list[int]:
        """Accept records, all or nothing; return the position of each piece's first."""
        del durable  # there is no power failure that it would survive
        self._check()
        with self._lock:
            parts = self._disk.parts
            return [parts[partition].append(count, data) for partition, count, data in pieces]

    def read(self, partition: int, position: int, max_bytes: int, /) -> list[Chunk]:
        """Return chunks in order, from that which holds *position*, until they have *max_bytes*."""
        self._check()
        with self._lock:
            part, size = self._disk.parts[partition], 0
            found: list[Chunk] = []
            for chunk in part.chunks[part.holding(position) :]:
                found.append(chunk)
                size += len(chunk.data or b"")
                if size >= max_bytes:
                    break
            return found

    def records(self, partition: int, /) -> Iterator[Chunk]:
        """Yield all chunks that hold something unsettled."""
        self._check()
        with self._lock:
            part = self._disk.parts[partition]
            chunks = [chunk for chunk in part.chunks if part.held(chunk)]
        yield from chunks

    def cursor(self, partition: int, /) -> Cursor:
        """Return what is settled of a partition."""
        return self._disk.parts[partition].now

    def end(self, partition: int, /) -> int:
        """Return the position that the next record of a partition gets."""
        return self._disk.parts[partition].end

    def weight(self, partition: int, /) -> int:
        """Return how many bytes a partition holds from its cursor on."""
        with self._lock:
            part = self._disk.parts[partition]
            chunks = part.chunks[part.holding(part.now.cursor) :]
            return sum(len(chunk.data or b"") for chunk in chunks)

    def settle(
        self, partition: int, cursor: int, kept: Sequence[int] = (), hand: int = 0, /
    ) -> None:
        """Say that all before *cursor* is settled but for the positions *kept*."""
        self._check()
        with self._lock:
            part = self._disk.parts[partition]
            part.now = Cursor(part.now.counter + 1, cursor, tuple(kept), hand)

    def replace(self, partition: int, those: Sequence[tuple[int, bytes]], /) -> list[int]:
        """Put *those* in place of all that is in a partition; return their positions."""
        self._check()
        with self._lock:
            part = self._disk.parts[partition]
            part.chunks, part.now = [], Cursor(part.now.counter + 1, part.end)
            return [part.append(count, data) for count, data in those]

    def reclaim(self) -> bool:
        """Forget what is settled; there is never more."""
        self._check()
        with self._lock:
            for part in self._disk.parts:
                part.chunks = [chunk for chunk in part.chunks if part.held(chunk)]
        return False

    def bury(self, partition: int, data: bytes, count: int, error: str, attempts: int, /) -> None:
        """Keep *count* records that were given up after *attempts* because of *error*."""
        self._check()
        with self._lock:
            self._disk.buried.append((partition, data, count, error, attempts))

    def close(self) -> None:
        """Let go of it."""
        self._is_open = False
        self._storage._let_go(self)
