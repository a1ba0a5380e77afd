"""
Whether the files are still those that were opened.

Who opens and closes the database anywhere in this process (a backup, a hash, an upload) drops all
of SQLite's locks on it. Another program that opens it then thinks itself the last, and removes the
WAL: commits go on, without an error, into a file that has no name. The same goes for a file that is
moved, deleted or cut short. So the names are looked at before each commit and after it, which takes
a few us.
"""

import os
from time import monotonic

FRESH = 0.01
"""Seconds for which a look before a commit of a writer that is alone holds for its next ones, too.
Behind each of them it is the WAL that is looked at, which may be gone though nobody meant that."""


def _look(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)  # noqa: PTH116  # half of what a Path takes
    except OSError:
        return None


def _is_same(one: os.stat_result | None, other: os.stat_result | None) -> bool:
    return (
        one is not None
        and other is not None
        and one.st_ino == other.st_ino
        and one.st_dev == other.st_dev
    )


def _is_shorter(now: os.stat_result | None, before: os.stat_result | None) -> bool:
    return now is not None and before is not None and now.st_size < before.st_size


class Watch:
    """What the database at *path* and its WAL were, when they were opened, and when looked at."""

    def __init__(self, path: str) -> None:
        self._path, self._wal_path = path, f"{path}-wal"
        self._file, self._wal = self._found = _look(self._path), _look(self._wal_path)
        self._turn = 0  # how often that was noted
        self._fresh_until = 0.0

    def trouble(self) -> str | None:
        """Look; return what has become of the files, in words. None if nothing has."""
        file, wal = self._found = _look(self._path), _look(self._wal_path)
        if not _is_same(self._file, file):
            what = "deleted or moved away" if file is None else "replaced by another file"
            return f"it was {what} while it was in use: put it back, or stop the buffer"
        if not _is_same(self._wal, wal):
            return (
                f"{self._wal_path} was removed by another program (one that opened the database, "
                "after this process had opened and closed it elsewhere)"
            )
        return None

    def is_as_left(self) -> bool:
        """Return whether there is no trouble, and no file is shorter than before. Takes no lock."""
        now, before, before_wal = monotonic(), self._file, self._wal
        if now < self._fresh_until:
            return True
        found = _look(self._path), _look(self._wal_path)
        fine = _is_same(before, found[0]) and _is_same(before_wal, found[1])
        if not fine or any(map(_is_shorter, found, (before, before_wal))):
            return False
        self._fresh_until = now + FRESH
        return True

    def is_wal_there(self) -> bool:
        """Look whether the WAL has its name, and remember how long it is. Takes no lock."""
        turn, before = self._turn, self._wal
        try:
            wal = os.stat(self._wal_path)  # noqa: PTH116  # see above
        except OSError:
            return False
        if before is None or wal.st_ino != before.st_ino or wal.st_dev != before.st_dev:
            return False
        if self._turn == turn:  # else somebody else has looked later
            self._wal = wal
        return True

    @property
    def has_lost_wal(self) -> bool:
        """Whether the database was there, when last looked at, and no WAL was."""
        file, wal = self._found
        return _is_same(self._file, file) and wal is None

    @property
    def has_shrunk(self) -> bool:
        """Whether a file was shorter than we left it: by a checkpoint, or cut short."""
        return any(map(_is_shorter, self._found, (self._file, self._wal)))

    def note(self) -> None:
        """Remember how long the files were when last looked at."""
        self._turn += 1
        file, wal = self._found
        if _is_same(self._file, file):
            self._file = file
        if _is_same(self._wal, wal):
            self._wal = wal
