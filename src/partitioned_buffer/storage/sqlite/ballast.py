"""
Room that is kept, to be given up when the disk is full: SQLite needs some to give any back.

What is deleted is written to the WAL first, and what is in the WAL has to go to the file before the
WAL can shrink. So there is a file as long as a WAL gets. While it is given up nothing is accepted,
and what is delivered can be deleted.
"""

import os
from contextlib import suppress

SIZE = 9 << 20
"""Bytes: a WAL of 1000 pages of 8 KiB, and some."""

_ZEROS = bytes(1 << 20)
_FLAGS = os.O_CREAT | os.O_RDWR | getattr(os, "O_CLOEXEC", 0)


class Ballast:
    """The file beside that at *path*."""

    def __init__(self, path: str) -> None:
        self._path = f"{path}-ballast"
        self.is_there = False

    def take(self) -> bool:
        """Take the room, if there is that much; return whether it is taken."""
        try:
            fd = os.open(self._path, _FLAGS, 0o600)
        except OSError:
            self.is_there = False
            return False
        try:
            _fill(fd)
            self.is_there = True
        except OSError:
            self.is_there = False
            with suppress(OSError):
                os.ftruncate(fd, 0)
        finally:
            os.close(fd)
        return self.is_there

    def give_up(self) -> None:
        """Give the room to whoever needs it first; that should be us."""
        self.is_there = False
        with suppress(OSError):
            os.truncate(self._path, 0)


def _fill(fd: int) -> None:
    """Have the file take *SIZE* bytes of the disk; raise `OSError` when they are not there."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(fd, 0, SIZE)
        return
    have = os.lseek(fd, 0, os.SEEK_END)
    while have < SIZE:
        have += os.write(fd, _ZEROS[: SIZE - have])
