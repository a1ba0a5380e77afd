"""
The way back: set the file aside under a name of its own, give it to a buffer, forget it.

What is set aside stays until all of it is settled, whatever raises or ends meanwhile; the next
replay begins with it.
"""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from .appending import is_at, sync_directory
from .records import itself, read

if sys.platform != "win32":
    import fcntl


class Flushes(Protocol):
    """A buffer, as far as all of them are alike."""

    def flush(self, timeout: float | None = ..., /) -> object:
        """Process what is held now, and wait for that."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay did."""

    pushed: int
    """Items that the buffer was given, and has settled."""
    kept: int
    """Lines that could not be read or decoded, and stay in the file."""


class Aside:
    """What is set aside of a file, at *path*; *give_back* appends to the file."""

    def __init__(
        self,
        path: Path,
        decode: Callable[[Any], Any],
        give_back: Callable[[bytes], None],
        *,
        fsync: bool,
    ) -> None:
        self._path, self._decode, self._give_back = path, decode, give_back
        self._fsync = fsync

    def take(self, path: Path) -> None:
        """Set aside the file at *path*, unless something is aside, or another process is at it."""
        with _alone(path) as alone:
            if alone and not self._path.exists():
                path.rename(self._path)

    def replay(self, buffer: Flushes, timeout: float | None) -> Replayed:
        """Replay what has been set aside."""
        pushed, unread = 0, []
        with _alone(self._path) as alone:
            if not alone:
                return Replayed(0, 0)
            with self._path.open("rb") as lines:
                _check_methods(lines, buffer)
                lines.seek(0)
                for line in filter(bytes.strip, lines):
                    try:
                        method, arguments = read(line, self._decode)
                    except Exception:
                        unread.append(line)
                        continue
                    getattr(buffer, method)(*arguments)
                    pushed += 1
            if pushed:
                buffer.flush(timeout)
            self._give_back(b"".join(unread))
            self._path.unlink()
            if self._fsync:
                sync_directory(self._path)
        return Replayed(pushed, len(unread))


def _check_methods(lines: BinaryIO, buffer: object) -> None:
    methods: set[str] = set()
    for line in lines:
        with suppress(Exception):  # it is going to stay
            methods.add(read(line, itself)[0])
    for method in sorted(methods):
        if not callable(getattr(buffer, method, None)):
            expected = "a Queue, for items" if method == "push" else "a Map, for entries"
            raise TypeError(f"{buffer!r} has no method {method}(): expected {expected}")


@contextmanager
def _alone(path: Path) -> Generator[bool, None, None]:
    """Keep others from replaying *path*; yield whether it is there, and nobody is at it."""
    if sys.platform == "win32":
        yield path.exists()  # no locks, and nothing renamed over anything
        return
    try:
        file = path.open("r+b")
    except FileNotFoundError:
        yield False
        return
    with file:
        is_mine = True
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:  # not every file system has locks
            is_mine = not isinstance(error, BlockingIOError)
        try:
            yield is_mine and is_at(path, file.fileno())
        finally:
            with suppress(OSError):  # closing is not enough when a child has inherited it
                fcntl.flock(file, fcntl.LOCK_UN)
