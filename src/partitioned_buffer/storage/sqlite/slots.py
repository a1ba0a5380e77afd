"""
Cursors: how much of each partition is settled, written without a commit.

A partition has two slots of 64 bytes, written in turn and without a sync, to the file's map in
memory (see `mapped()`) or by one `pwrite` each: what is written survives `kill -9`; a power
failure leaves an older slot, so records come again, and none is lost. The file has its length from
the start, so a full disk stops no delivery. A slot counts if its checksum is right and it is this
store's: a torn one, or one of another file, is not there.

    checksum 4 | store 8 | layout 4 | counter 8 | cursor 8 | in hand 4 | kept 2 | 26 bytes of them

What is kept (records before the cursor that are not settled) stands there as up to 13 distances
from the cursor, of 2 bytes each; or, if it is more and the farthest is near, as bits, the lowest
for the record just before the cursor. More than fit are left to the partition's row in the
database, with the next commit; until then the slots say what was before.
"""

import mmap
import os
import struct
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn
from zlib import crc32

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
_PLAIN = struct.Struct(f"<8sIQQIH{_KEPT.size}x")
"""A slot with none kept, but for its checksum."""
_WHOLE = struct.Struct(f"<I{_PLAIN.size}s")
_BLOCK = 4096
_FLAGS = os.O_CREAT | os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_NONE = (0,) * _FITS
_CLOSED = -1
_NEAR = 8 * _KEPT.size
_IN_PLACE = frozenset({"ext2", "ext3", "ext4", "tmpfs", "xfs"})
_MOUNTS = Path("/proc/self/mountinfo")
_new = tuple.__new__  # a third of what Cursor(...) takes


class Slots:
    """
    The file beside that at *path*, for *partitions*, of the layout with that number.

    *rows*: what the database knows of the cursors. Raises `StorageError` if it cannot be opened.
    """

    def __init__(
        self, path: str, store: bytes, layout: int, partitions: int, rows: Mapping[int, Cursor]
    ) -> None:
        self._path, self._store, self._layout = path, store[:8], layout
        self.why_not: str | None = None
        self._locks = [threading.Lock() for _ in range(partitions)]
        self._overdue: dict[int, Cursor] = {}
        try:
            self._fd = os.open(f"{path}-ack", _FLAGS, 0o600)
            held = _lengthened(self._fd, 4 * SIZE * partitions)
        except OSError as error:
            raise translated(path, error) from error
        self._map = mapped(self._fd, _whole_blocks(4 * SIZE * partitions))
        places = range(partitions)
        self._places = [(self._place(each, 0), self._place(each, 1)) for each in places]
        self.now = [self._newest(held, each, rows.get(each)) for each in range(partitions)]

    def _newest(self, held: bytes, partition: int, row: Cursor | None) -> Cursor:
        places = (self._place(partition, 0), self._place(partition, 1))
        slots = (self._read(held[place : place + SIZE]) for place in places)
        found = [row or Cursor(), *(slot for slot in slots if slot is not None)]
        return max(found, key=lambda each: each.counter)

    def _place(self, partition: int, counter: int) -> int:
        return ((partition * 2 + self._layout % 2) * 2 + counter % 2) * SIZE

    def _read(self, slot: bytes) -> Cursor | None:
        if int.from_bytes(slot[:4], "little") != crc32(slot[4:]):
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

    def settle(
        self, partition: int, cursor: int, kept: Sequence[int] = (), hand: int = 0, /
    ) -> None:
        """Say what is settled. Raises `ValueError` if that is less than was, or what is kept."""
        if self.why_not is not None:  # before the lock, which may be held for ever in a child
            self._refuse()
        with self._locks[partition]:
            counter, before, _, _ = self.now[partition]
            if cursor < before:
                raise ValueError(f"cursor={cursor}: it was {before} before")
            counter += 1
            place, made = self._places[partition][counter & 1], self._map
            after = _new(Cursor, (counter, cursor, tuple(kept), hand))
            if kept or hand > _MOST or made is None:
                self._settle(partition, after, place)
            else:  # as it is most often: each call would cost as much again
                slot = _PLAIN.pack(self._store, self._layout, counter, cursor, hand, 0)
                _WHOLE.pack_into(made, place, crc32(slot), slot)
                if self._overdue:
                    self._overdue.pop(partition, None)
            self.now[partition] = after

    def _settle(self, partition: int, now: Cursor, place: int) -> None:
        counter, cursor, kept, hand = now
        if self.why_not is not None:
            self._refuse()
        if kept and not _is_short(now):
            self._overdue[partition] = now
            return
        many = len(kept) if len(kept) <= _FITS else _BITS
        head = _HEAD.pack(self._store, self._layout, counter, cursor, min(hand, _MOST), many)
        self._write(head + _packed(cursor, kept), place)
        self._overdue.pop(partition, None)

    def _write(self, slot: bytes, place: int) -> None:
        whole = _WHOLE.pack(crc32(slot), slot)
        if self._map is not None:
            self._map[place : place + SIZE] = whole
            return
        try:
            _write_at(self._fd, whole, place)
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

    def _refuse(self) -> NoReturn:
        raise StorageError(f"{self._path}: {self.why_not}")

    def refuse(self, why_not: str) -> None:
        """Settle nothing from now on; say why, in words."""
        self.why_not, self._map = why_not, None

    def close(self) -> None:
        """Let go of the file, on the disk as it is now."""
        self.refuse("it is closed")
        for lock in self._locks:
            with lock:  # who is writing a slot has written it then
                pass
        fd, self._fd = self._fd, _CLOSED
        if fd != _CLOSED:
            with suppress(OSError):
                os.fsync(fd)
            os.close(fd)

    def __del__(self) -> None:
        if (fd := getattr(self, "_fd", _CLOSED)) != _CLOSED:
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
    while have < _whole_blocks(size):
        have += os.write(fd, bytes(_BLOCK - have % _BLOCK))
    os.lseek(fd, 0, os.SEEK_SET)
    held = b""
    while len(held) < size and (more := os.read(fd, size - len(held))):
        held += more
    return held


def mapped(fd: int, size: int) -> mmap.mmap | None:
    """
    Return the first *size* bytes of a file as a map; None where it had better be written to.

    To write there is no call of the system, and no other thread's turn. But where there is no room
    for it the process is killed, with no error to catch. So it is done only where what is on the
    disk is written over in place: not where each write takes new room. A file that is cut short by
    another program ends the process, too; so does `-shm`, which SQLite maps.
    """
    try:
        if sys.platform == "linux" and _filesystem(os.fstat(fd).st_dev) in _IN_PLACE:
            os.posix_fallocate(fd, 0, size)
            return mmap.mmap(fd, size)
    except (OSError, ValueError):
        pass
    return None


def _filesystem(device: int) -> str | None:
    """Return the type of the file system on *device*, as far as the system says it."""
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in _MOUNTS.read_text("utf-8", "replace").splitlines():
        mount, _, rest = line.partition(" - ")
        if mount.split(" ", 3)[2] == number:
            return rest.split(" ", 1)[0]
    return None


def _whole_blocks(size: int) -> int:
    return (size + _BLOCK - 1) // _BLOCK * _BLOCK


if hasattr(os, "pwrite"):

    def _write_at(fd: int, data: bytes, place: int) -> None:
        os.pwrite(fd, data, place)

else:
    _seeking = threading.Lock()

    def _write_at(fd: int, data: bytes, place: int) -> None:
        with _seeking:
            os.lseek(fd, place, os.SEEK_SET)
            os.write(fd, data)
