"""
Whether the files are still those that were opened.

Who opens and closes the database anywhere in this process (a backup, a hash, an upload) drops all
of SQLite's locks on it. Another program that opens it then thinks itself the last, and removes the
WAL: commits go on, without an error, into a file that has no name. The same goes for a file that is
moved, deleted or cut short. So the names are looked at before each commit and after it, which takes
a few us.
"""

import os


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


class Watch:
    """What the database at *path* and its WAL were, when they were opened, and when looked at."""

    def __init__(self, path: str) -> None:
        self._path, self._wal_path = path, f"{path}-wal"
        self._file, self._wal = self._found = _look(self._path), _look(self._wal_path)

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

    @property
    def has_lost_wal(self) -> bool:
        """Whether the database was there, when last looked at, and no WAL was."""
        file, wal = self._found
        return _is_same(self._file, file) and wal is None

    @property
    def has_shrunk(self) -> bool:
        """Whether a file was shorter than we left it: by a checkpoint, or cut short."""
        return any(
            before is not None and found is not None and found.st_size < before.st_size
            for before, found in zip((self._file, self._wal), self._found, strict=True)
        )

    def note(self) -> None:
        """Remember how long the files were when last looked at."""
        file, wal = self._found
        if _is_same(self._file, file):
            self._file = file
        if _is_same(self._wal, wal):
            self._wal = wal
