"""
What an error of SQLite, or of the system, means: one of ours, in words.

Full is what more room would cure, a quota and a limit of file sizes too: SQLite knows only one of
the system's words for it, and calls the others errors of input and output.
"""

import errno
import sqlite3
from contextlib import suppress
from pathlib import Path

from ...errors import StorageBusy, StorageError, StorageFull

_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE)
_NO_ROOM = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}


def code_of(error: sqlite3.Error) -> int:
    """Return SQLite's extended code, or 0 for what Python's module says by itself."""
    return getattr(error, "sqlite_errorcode", 0)


def undo(db: sqlite3.Connection) -> None:
    """Have nothing of a transaction that failed."""
    if db.in_transaction:
        with suppress(sqlite3.Error):
            db.execute("rollback")


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether *error* says that what is in the file is not what was written there."""
    code = code_of(error)
    return code & 0xFF == sqlite3.SQLITE_CORRUPT or code == sqlite3.SQLITE_IOERR_SHORT_READ


def translated(path: str, error: Exception) -> StorageError:
    """Return what *error* means for who uses the file at *path*."""
    if isinstance(error, sqlite3.Error):
        return _of_sqlite(path, error)
    if isinstance(error, OSError):
        if error.errno in _NO_ROOM:
            return _full(path, error.strerror)
        return _out_of_reach(path, f"{error.strerror} ({error.filename})")
    return StorageError(f"{path}: {error}")


def _of_sqlite(path: str, error: sqlite3.Error) -> StorageError:
    code = code_of(error)
    if code in _FULL:
        return _full(path, error)
    primary = code & 0xFF
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StorageBusy(f"{path}: another program writes to it ({error}): end that one")
    if primary == sqlite3.SQLITE_NOTADB:
        return StorageError(
            f"{path} is no SQLite database, or its first page is damaged: give the buffer another "
            "path, or put back a copy"
        )
    if is_damage(error):
        return StorageError(
            f"{path} is damaged ({error}): move it away, give the buffer a new one, and look with "
            f"`sqlite3 {path} .recover` for what can be saved"
        )
    if primary in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return _out_of_reach(path, error)
    return StorageError(f"{path}: {error}")


def _out_of_reach(path: str, why: object) -> StorageError:
    if Path(path).is_dir():
        return StorageError(f"{path} is a folder: give the path of a file, {path}/buffer.db say")
    return StorageError(
        f"{path}: {why}: its folder has to be there, and this process has to be allowed to write "
        "in it"
    )


def _full(path: str, why: object) -> StorageFull:
    return StorageFull(
        f"{path}: the disk is full ({why}): make room. What was accepted before is safe"
    )
