"""
Files that are gone on with: one per partition and process, until it is large, or old, enough.

While it is open it has a dot before its name, and is locked, so that one that a crash has left can
be told from one that is written to. Who comes next gives it its name, without a line that is torn.
"""

import os
import threading
import time
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from ...abc import BatchId
from ...errors import Outage
from .placing import Folder, name_of, sync_folder

try:
    import fcntl
except ImportError:  # Windows: what a crash has left stays as it is
    fcntl = None  # type: ignore[assignment]

OPEN = ".open"
PIECE = 1 << 16


class OpenFiles:
    """Those of one sink."""

    def __init__(
        self, folder: Folder, suffix: str, max_bytes: int | None, max_age: float | None
    ) -> None:
        self._folder, self._suffix = folder, suffix
        self._most, self._oldest = max_bytes, max_age
        self._files: dict[tuple[int, int], _File] = {}  # by process, and partition
        self._lock = threading.Lock()  # of the dict alone
        self._claimed = set[int]()  # processes that have looked for what a crash has left

    def append(self, batch: BatchId, data: bytes) -> None:
        """Write *data*, whole lines, behind what is there. Raises `Outage`."""
        where = (os.getpid(), batch.partition)
        try:
            self._recover()
            file = self._files.get(where)
            if file is not None and file.is_gone():
                file.close()
                file = None
            elif file is not None and self._is_full(file):
                self._finish(where)
                file = None
            if file is None:
                file = _File(self._folder.path, name_of(batch, self._suffix))
                self._files[where] = file
            if file.last != batch:  # it was given again, after it was there
                file.append(data, fsync=self._folder.fsync)
                file.last = batch
        except OSError as error:
            raise Outage(f"{self._folder.path}: {error.strerror or error}") from error

    def finish(self, process: int) -> None:
        """Give the files of a *process* their names."""
        for where in [each for each in list(self._files) if each[0] == process]:
            try:
                self._finish(where)
            except OSError as error:
                raise Outage(f"{self._folder.path}: {error.strerror or error}") from error

    def _finish(self, where: tuple[int, int]) -> None:
        self._files[where].finish(fsync=self._folder.fsync)
        self._files.pop(where, None)

    def _is_full(self, file: "_File") -> bool:
        is_large = self._most is not None and file.size >= self._most
        return is_large or (
            self._oldest is not None and time.monotonic() - file.began >= self._oldest
        )

    def _recover(self) -> None:
        """Give what a crash has left its name; once in each process."""
        with self._lock:
            if os.getpid() in self._claimed:
                return
            self._folder.path.mkdir(exist_ok=True)
            for left in sorted(self._folder.path.glob(f".*{self._suffix}{OPEN}")):
                _rescue(left, is_text=self._suffix == ".jsonl")
            self._claimed.add(os.getpid())


class _File:
    """One that is open."""

    def __init__(self, folder: Path, name: str) -> None:
        self._final, self._path = folder / name, folder / f".{name}{OPEN}"
        self._file: Any = self._path.open("ab", buffering=0)
        _lock(self._file.fileno())
        self.size = self._path.stat().st_size
        self.began = time.monotonic()
        self.last: BatchId | None = None

    def is_gone(self) -> bool:
        """Return whether somebody has deleted it."""
        return bool(os.fstat(self._file.fileno()).st_nlink == 0)

    def close(self) -> None:
        """Let go of it."""
        self._file.close()

    def append(self, data: bytes, *, fsync: bool) -> None:
        """Write *data*, or nothing of it."""
        try:
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]
            if fsync:
                os.fsync(self._file.fileno())
        except BaseException:
            with suppress(OSError):
                self._file.truncate(self.size)
            raise
        self.size += len(data)

    def finish(self, *, fsync: bool) -> None:
        """Give it its name."""
        self._path.replace(self._final)
        self.close()
        if fsync:
            sync_folder(self._final.parent)


def _lock(fd: int) -> bool:
    if fcntl is None:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _rescue(path: Path, *, is_text: bool) -> None:
    """Give a file that nobody writes to its name, up to what was written whole."""
    with suppress(FileNotFoundError), path.open("r+b") as file:
        if not _lock(file.fileno()):
            return
        file.truncate(_end_of_lines(file) if is_text else _end_of_members(file))
        path.replace(path.with_name(path.name[1 : -len(OPEN)]))


def _end_of_lines(file: BinaryIO) -> int:
    end = 0
    for line in file:
        end += len(line) if line.endswith(b"\n") else 0
    return end


def _end_of_members(file: BinaryIO) -> int:
    """Return where the last of the parts that gzip has made ends."""
    end = read = 0
    member = zlib.decompressobj(wbits=31)
    with suppress(zlib.error):
        while rest := file.read(PIECE):
            read += len(rest)
            while rest:
                member.decompress(rest)
                rest = member.unused_data
                if member.eof:
                    end, member = read - len(rest), zlib.decompressobj(wbits=31)
    return end
