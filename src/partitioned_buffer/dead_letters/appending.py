"""
Append whole lines to a file that others append to, and may rename at any time.

None waits for another: a writer looks, *after* writing, whether the file still has its name, and
if not, writes again, to the new one. So who renames the file and then reads it misses nothing.
"""

import errno
import os
from contextlib import suppress
from pathlib import Path

TRIES = 100
"""How often a file may be taken away while it is written to, before a writer gives up."""

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)


def append(path: Path, data: bytes, *, fsync: bool) -> None:
    """
    Append *data*, whole lines; *fsync*: so that it survives a power failure.

    Raises `OSError` when it cannot.
    """
    for _ in range(TRIES if data else 0):
        if _append_once(path, data, fsync=fsync):
            return
    if data:
        message = f"the dead letter file was taken away {TRIES} times while it was written to"
        raise OSError(errno.EBUSY, message, str(path))


def _append_once(path: Path, data: bytes, *, fsync: bool) -> bool:
    """Append *data*; return whether the file still had its name then."""
    try:
        fd = os.open(path, _FLAGS, 0o600)
    except FileNotFoundError as error:
        message = "the directory of the dead letter file does not exist"
        raise FileNotFoundError(error.errno, message, str(path.parent)) from None
    try:
        size = os.fstat(fd).st_size
        os.lseek(fd, max(0, size - 1), os.SEEK_SET)
        is_torn = os.read(fd, 1) not in (b"\n", b"")  # a crash cut the last line
        _write(fd, b"\n" + data if is_torn else data)
        if fsync:
            os.fsync(fd)
            if not size:
                sync_directory(path)
        return is_at(path, fd) or _holds(path, data, os.lseek(fd, 0, os.SEEK_CUR))
    finally:
        os.close(fd)


def _holds(path: Path, data: bytes, end: int) -> bool:
    """Return whether the last line of *data* ends at *end* in the file that has the name *path*."""
    # There are file systems where a file never looks the same again.
    last = data[data.rfind(b"\n", 0, -1) + 1 :]
    with suppress(OSError, ValueError), path.open("rb") as file:
        file.seek(end - len(last))
        return file.read(len(last)) == last
    return False


def _write(fd: int, data: bytes) -> None:
    """Write all of *data*, at once if the system lets us."""
    while (written := os.write(fd, data)) < len(data):
        rest = data[written:]
        if os.fstat(fd).st_size != os.lseek(fd, 0, os.SEEK_CUR):
            # Another process writes on behind us: the line that was cut begins anew.
            rest = b"\n" + data[data.rfind(b"\n", 0, written) + 1 :]
        data = rest


def is_at(path: Path, fd: int) -> bool:
    """Return whether the open file has the name *path*."""
    with suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), os.fstat(fd))
    return False


def sync_directory(path: Path) -> None:
    """Make the name *path* survive a power failure, where the system lets us."""
    with suppress(OSError):
        fd = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
