"""
Cursors: how much of each partition is settled, written without a commit.

A partition has two slots of 64 bytes, written in turn, each with one `pwrite` and no sync: what is
written survives `kill -9`; a power failure leaves an older slot, so records come again, and none
is lost. The file has its length from the start, so a full disk stops no delivery. A slot counts if
its checksum is right and it is this store's: a torn one, or one of another file, is not there.

    checksum 4 | store 8 | layout 4 | counter 8 | cursor 8 | in hand 4 | kept 2 | 26 bytes of them

What is kept (records before the cursor that are not settled) stands there as up to 13 distances
from the cursor, of 2 bytes each; or, if it is more and the farthest is near, as bits, the lowest
for the record just before the cursor. More than fit are left to the partition's row in the
database, with the next commit; until then the slots say what was before.
"""

import os
import struct
import threading
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress

from ...abc import Cursor
from ...errors import StorageError
from .faults import translated

_HEAD = struct.Struct("<8sIQQIH")
_FITS = 13
_KEPT = struct.Struct(f"<{_FITS}H")
_FAR = 1 << 16
_BITS = 0xFFFF
"""How many are kept, where they are told as bits."""
_MOST = (1 << 32) - 1
SIZE = 64
_BLOCK = 4096
_FLAGS = os.O_CREAT | os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_NONE = (0,) * _FITS
_NONE_KEPT = bytes(_KEPT.size)
_NEAR = 8 * _KEPT.size


class Slots:
    """
    The file beside that at *path*, for *partitions*, of the layout with that number.

    *rows*: what the database knows of the cursors. Raises `StorageError` if it cannot be opened.
    """

    def __init__(
        self, path: str, store: bytes, layout: int, partitions: int, rows: Mapping[int, Cursor]
    ) -> None:
        self._path, self._store, self._layout = path, store[:8], layout
        self._locks = [threading.Lock() for _ in range(partitions)]
        self._overdue: dict[int, Cursor] = {}
        try:
            self._fd: int | None = os.open(f"{path}-ack", _FLAGS, 0o600)
            held = _lengthened(self._fd, 4 * SIZE * partitions)
        except OSError as error:
            raise translated(path, error) from error
        self.now = [self._newest(held, each, rows.get(each)) for each in range(partitions)]

    def _newest(self, held: bytes, partition: int, row: Cursor | None) -> Cursor:
        places = (self._place(partition, 0), self._place(partition, 1))
        slots = (self._read(held[place : place + SIZE]) for place in places)
        found = [row or Cursor(), *(slot for slot in slots if slot is not None)]
        return max(found, key=lambda each: each.counter)

    def _place(self, partition: int, counter: int) -> int:
        return ((partition * 2 + self._layout % 2) * 2 + counter % 2) * SIZE

    def _read(self, slot: bytes) -> Cursor | None:
        if int.from_bytes(slot[:4], "little") != zlib.crc32(slot[4:]):
            return None
        store, layout, counter, cursor, hand, kept = _HEAD.unpack_from(slot, 4)
        if store != self._store or layout != self._layout or _FITS < kept < _BITS:
            return None
        if kept == _BITS:
            bits = int.from_bytes(slot[4 + _HEAD.size :], "little")
            distances = [each + 1 for each in reversed(range(_NEAR)) if bits >> each & 1]
        else:
            distances = list(_KEPT.unpack_from(slot, 4 + _HEAD.size)[:kept])
        return Cursor(counter, cursor, tuple(cursor - each for each in distances), hand)

    def settle(self, partition: int, cursor: int, kept: Sequence[int], hand: int) -> None:
        """Say what is settled. Raises `ValueError` if that is less than was, or what is kept."""
        with self._locks[partition]:
            before = self.now[partition]
            if cursor < before.cursor:
                raise ValueError(f"cursor={cursor}: it was {before.cursor} before")
            after = Cursor(before.counter + 1, cursor, tuple(kept), hand)
            if not kept or _is_short(after):
                self._write(partition, after)
                if self._overdue:
                    self._overdue.pop(partition, None)
            else:
                self._overdue[partition] = after
            self.now[partition] = after

    def _write(self, partition: int, now: Cursor) -> None:
        counter, cursor, kept, hand = now
        hand = min(hand, _MOST)
        many = len(kept) if len(kept) <= _FITS else _BITS
        head = _HEAD.pack(self._store, self._layout, counter, cursor, hand, many)
        slot = head + (_packed(cursor, kept) if kept else _NONE_KEPT)
        if self._fd is None:
            raise StorageError(f"{self._path}: it is closed")
        try:
            slot = zlib.crc32(slot).to_bytes(4, "little") + slot
            _write_at(self._fd, slot, self._place(partition, counter))
        except OSError as error:
            raise translated(self._path, error) from error

    def overdue(self) -> dict[int, Cursor]:
        """Return the cursors that do not fit their slots, and are in no row yet."""
        return dict(self._overdue) if self._overdue else {}

    def are_in_rows(self, written: Mapping[int, Cursor]) -> None:
        """Take note that the database knows these cursors."""
        for partition, cursor in written.items():
            with self._locks[partition]:
                if self._overdue.get(partition) is cursor:
                    del self._overdue[partition]

    def close(self) -> None:
        """Let go of the file, on the disk as it is now."""
        fd, self._fd = self._fd, None
        for lock in self._locks:
            with lock:  # who is writing a slot has written it then
                pass
        if fd is not None:
            with suppress(OSError):
                os.fsync(fd)
            os.close(fd)

    def __del__(self) -> None:
        if (fd := getattr(self, "_fd", None)) is not None:
            os.close(fd)


def _packed(cursor: int, kept: Sequence[int]) -> bytes:
    if len(kept) > _FITS:
        return sum(1 << cursor - each - 1 for each in kept).to_bytes(_KEPT.size, "little")
    return _KEPT.pack(*(*(cursor - each for each in kept), *_NONE)[:_FITS])


def _is_short(now: Cursor) -> bool:
    if any(each >= now.cursor for each in now.kept):
        raise ValueError(f"kept={now.kept}: expected positions before the cursor {now.cursor}")
    farthest = now.cursor - min(now.kept)
    return farthest < _FAR if len(now.kept) <= _FITS else farthest <= _NEAR


def _lengthened(fd: int, size: int) -> bytes:
    """Give the file at least *size* bytes, on the disk; return what is in it."""
    have = os.lseek(fd, 0, os.SEEK_END)
    while have < (size + _BLOCK - 1) // _BLOCK * _BLOCK:
        have += os.write(fd, bytes(_BLOCK - have % _BLOCK))
    os.lseek(fd, 0, os.SEEK_SET)
    held = b""
    while len(held) < size and (more := os.read(fd, size - len(held))):
        held += more
    return held


if hasattr(os, "pwrite"):

    def _write_at(fd: int, data: bytes, place: int) -> None:
        os.pwrite(fd, data, place)

else:
    _seeking = threading.Lock()

    def _write_at(fd: int, data: bytes, place: int) -> None:
        with _seeking:
            os.lseek(fd, place, os.SEEK_SET)
            os.write(fd, data)
