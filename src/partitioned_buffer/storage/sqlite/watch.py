"""
Whether the files are still those that were opened.

Who opens and closes the database anywhere in this process (a backup, a hash, an upload) drops all
of SQLite's locks on it. Another program that opens it then thinks itself the last, and removes the
WAL: commits go on, without an error, into a file that has no name. The same goes for a file that is
moved, deleted or cut short. So the names are looked at before each commit and after it: 2 us each.
"""

import os
from typing import NamedTuple


class _Seen(NamedTuple):
    device: int
    inode: int
    size: int

    def is_same(self, other: "_Seen | None") -> bool:
        return other is not None and self[:2] == other[:2]


def _look(path: str) -> _Seen | None:
    try:
        status = os.stat(path)  # noqa: PTH116  # half of what a Path takes
    except OSError:
        return None
    return _Seen(status.st_dev, status.st_ino, status.st_size)


class Watch:
    """What the database at *path* and its WAL were, when they were opened, and when looked at."""

    def __init__(self, path: str) -> None:
        self._path, self._wal_path = path, f"{path}-wal"
        self._file, self._wal = self._found = _look(self._path), _look(self._wal_path)

    def trouble(self) -> str | None:
        """Look; return what has become of the files, in words. None if nothing has."""
        file, wal = self._found = _look(self._path), _look(self._wal_path)
        if self._file is None or not self._file.is_same(file):
            what = "deleted or moved away" if file is None else "replaced by another file"
            return f"it was {what} while it was in use: put it back, or stop the buffer"
        if self._wal is None or not self._wal.is_same(wal):
            return (
                f"{self._wal_path} was removed by another program (one that opened the database, "
                "after this process had opened and closed it elsewhere)"
            )
        return None

    @property
    def has_lost_wal(self) -> bool:
        """Whether the database was there, when last looked at, and no WAL was."""
        file, wal = self._found
        return self._file is not None and self._file.is_same(file) and wal is None

    @property
    def has_shrunk(self) -> bool:
        """Whether a file was shorter than we left it: by a checkpoint, or cut short."""
        return any(
            before is not None and found is not None and found.size < before.size
            for before, found in zip((self._file, self._wal), self._found, strict=True)
        )

    def note(self) -> None:
        """Remember how long the files were when last looked at."""
        file, wal = self._found
        if self._file is not None and self._file.is_same(file):
            self._file = file
        if self._wal is not None and self._wal.is_same(wal):
            self._wal = wal
