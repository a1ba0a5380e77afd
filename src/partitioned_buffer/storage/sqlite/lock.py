"""
One process per file, and one buffer in it.

A lock of the system on a file of its own: it ends with the process, however that ends. `flock`, not
`lockf`, which is lost when anybody in the process closes any descriptor of the file; a child of a
fork has it too, and has to close it. The name is removed by who gives the lock up, so who gets one
looks whether it is still that of the file with the name.
"""

import os
import sys
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from ...errors import StorageBusy
from .faults import translated

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_FLAGS = os.O_CREAT | os.O_RDWR | getattr(os, "O_CLOEXEC", 0)
_FAR = 1 << 20
"""Where the lock is on Windows: what is locked there can not be read by others, and the pid is."""


class Lock:
    """
    The file at *path* is ours, as long as this is not let go.

    Raises `StorageBusy` if it is somebody else's.
    """

    def __init__(self, path: str) -> None:
        self._path = f"{path}-lock"
        self._fd: int | None = None
        try:
            while not self._take(path):
                pass
        except StorageBusy:
            raise
        except OSError as error:
            raise translated(path, error) from error

    def _take(self, path: str) -> bool:
        """Lock the file that has the name; return whether it still has it."""
        fd = os.open(self._path, _FLAGS, 0o600)
        try:
            if not _locked(fd):
                raise _busy(path, fd)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(fd), Path(self._path).stat()):
                    _sign(fd)
                    self._fd, fd = fd, -1
        finally:
            if fd >= 0:
                os.close(fd)
        return self._fd is not None

    def let_go(self) -> None:
        """Give the file up, and leave nothing behind."""
        if self._fd is not None:
            fd, self._fd = self._fd, None
            with suppress(OSError):  # Windows keeps the names of open files
                Path(self._path).unlink()
            os.close(fd)

    def forked(self) -> None:
        """Leave the lock to the parent alone: it is to end with it."""
        if self._fd is not None:
            fd, self._fd = self._fd, None
            os.close(fd)


def _locked(fd: int) -> bool:
    try:
        if sys.platform == "win32":
            os.lseek(fd, _FAR, os.SEEK_SET)
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _sign(fd: int) -> None:
    """Say whose it is, if there is room to."""
    with suppress(OSError):
        os.ftruncate(fd, 0)
        os.lseek(fd, 0, os.SEEK_SET)
        os.write(fd, str(os.getpid()).encode())


def _busy(path: str, fd: int) -> StorageBusy:
    os.lseek(fd, 0, os.SEEK_SET)
    said = os.read(fd, 32)
    pid = int(said) if said.isdigit() else None  # it may not have written it yet
    if pid == os.getpid():
        error = StorageBusy(
            f"{path}: another buffer of this process has it: give each a file of its own, or stop "
            "that one first"
        )
    else:
        error = StorageBusy(
            f"{path}: process {pid or 'of an unknown number'} has it: stop that one first, or give "
            "each process a file of its own"
        )
    error.pid = pid
    return error


class Forks(Protocol):
    """What has to know when this process was forked from another."""

    def forked(self) -> None:
        """Be in a child: all is the parent's."""


_all: "weakref.WeakSet[Forks]" = weakref.WeakSet()


def tell_after_fork(one: Forks) -> None:
    """Have *one* told in a child, as long as it lives."""
    _all.add(one)


def _after_fork() -> None:
    for one in list(_all):
        one.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
