"""
The way back: set the file aside under a name of its own, give it to a buffer, forget it.

What is set aside stays until all of it is settled, whatever raises or ends meanwhile; the next
replay goes on with it. How far it has come is in the file itself: the first byte of each line
that is settled is overwritten, in place, so there is no second file that could disagree, and
nothing that a crash could leave half done.

    {"item": 1 ...      #"item": 1 ...      #"item": 1 ...
    {"item": 2 ...  ──► {"item": 2 ...  ──► #"item": 2 ...  ──► no file
    push, flush         push, flush         give back what nobody can read
"""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from ..errors import BufferFull
from .appending import is_at, sync_directory
from .records import SETTLED, Way, itself, read

if sys.platform != "win32":
    import fcntl


class Flushes(Protocol):
    """A buffer, as far as all of them are alike."""

    def flush(self, timeout: float | None = ..., /) -> object:
        """Process what is held now, and wait for that."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay did, or has done so far."""

    pushed: int
    """Items that the buffer was given, and has settled."""
    kept: int
    """Lines that could not be read or decoded, and stay in the file."""
    left: int = 0
    """Lines that are still to come: more than 0 only while a replay goes on."""


Progress = Callable[[Replayed], object]

PART = 1000
"""How many lines are given to a buffer before it is flushed, and they are forgotten."""


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

    def replay(
        self, buffer: Flushes, timeout: float | None, progress: Progress | None = None
    ) -> Replayed:
        """Replay what has been set aside."""
        with _alone(self._path) as alone:
            if not alone:
                return Replayed(0, 0)
            with self._path.open("rb") as lines, self._path.open("r+b", buffering=0) as marks:
                giving = _Giving(buffer, marks, timeout, progress)
                giving.left = _look_through(lines, buffer)
                try:
                    giving.give(lines, self._decode)
                except Exception as error:
                    error.add_note(
                        f"{giving.pushed} dead letters were replayed, {giving.left} are left in "
                        f"{self._path}: the next replay goes on with them"
                    )
                    raise
            self._give_back(b"".join(giving.unread))
            self._path.unlink()
            if self._fsync:
                sync_directory(self._path)
        return Replayed(giving.pushed, len(giving.unread))


class _Giving:
    """How far it has come."""

    def __init__(
        self, buffer: Flushes, marks: IO[bytes], timeout: float | None, progress: Progress | None
    ) -> None:
        self._buffer, self._marks = buffer, marks
        self._timeout, self._progress = timeout, progress
        self._given: list[int] = []  # where in the file: pushed, and not settled yet
        self.pushed = self.left = 0
        self.unread: list[bytes] = []

    def give(self, lines: IO[bytes], decode: Callable[[Any], Any]) -> None:
        """Give *lines* to the buffer, part by part."""
        at, following = 0, 0
        lines.seek(0)
        for line in lines:
            at, following = following, following + len(line)
            if not _is_to_come(line):
                continue
            try:
                ways = read(line, decode)
            except Exception:
                self.unread.append(line)
                self.left -= 1
                continue
            self._push(*_fitting(self._buffer, ways))
            self._given.append(at)
            if len(self._given) == PART:
                self._settle()
        self._settle()

    def _push(self, method: Callable[..., object], arguments: tuple[Any, ...]) -> None:
        try:
            method(*arguments)
        except BufferFull:
            if not self._given:
                raise
            self._settle()  # which makes room
            method(*arguments)

    def _settle(self) -> None:
        """Flush, and forget what has been given."""
        if not self._given:
            return
        self._buffer.flush(self._timeout)
        for at in self._given:
            self._marks.seek(at)
            self._marks.write(SETTLED)
        self.pushed += len(self._given)
        self.left -= len(self._given)
        self._given.clear()
        if self._progress is not None:
            self._progress(Replayed(self.pushed, len(self.unread), self.left))


def lines_to_come(path: Path) -> int:
    """Return how many lines of a file are not settled; none, if there is no such file."""
    try:
        with path.open("rb") as lines:
            return sum(map(_is_to_come, lines))
    except FileNotFoundError:
        return 0


def _is_to_come(line: bytes) -> bool:
    return not line.startswith(SETTLED) and bool(line.strip())


def _fitting(buffer: object, ways: list[Way]) -> tuple[Callable[..., object], tuple[Any, ...]]:
    """Return the first of *ways* that *buffer* has, as a method and its arguments."""
    for name, arguments in ways:
        method = getattr(buffer, name, None)
        if callable(method):
            return method, arguments
    name = ways[0][0]
    expected = "a Queue, for items" if name == "push" else "a Map, for entries"
    raise TypeError(f"{buffer!r} has no method {name}(): expected {expected}")


def _look_through(lines: IO[bytes], buffer: object) -> int:
    """Return how many lines there are; raise if *buffer* has no method for one of them."""
    count = 0
    for line in filter(_is_to_come, lines):
        count += 1
        ways: list[Way] = []
        with suppress(Exception):  # it is going to stay
            ways = read(line, itself)
        if ways:
            _fitting(buffer, ways)
    return count


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
