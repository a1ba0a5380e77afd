"""
A file for what is given up, one line of JSON per item, and the way back from it.

    {"item": {"user": "ada"}, "error": "OSError: down", "attempts": 10, "time": 1700000000.0}
    {"entry": {"key": "tea", "value": 4.2, "version": 7, "updates": 0}, "error": ...}
    {"repr": "<Order 7>", "error": ...}     what JSON cannot hold: for people, not for replay

Many processes may append to one file while it is rotated or replayed. None waits for
another: a writer looks, *after* writing, whether the file still has its name, and if not,
writes again, to the new one. So who renames the file and then reads it misses nothing.
"""

import inspect
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from operator import index
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from ._core.tables.entry import Entry
from .errors import InvalidOption

if sys.platform != "win32":
    import fcntl

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)


class _Flushes(Protocol):
    def flush(self, timeout: float | None = ..., /) -> object: ...


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay did."""

    pushed: int
    """Items that the buffer was given, and has settled."""
    kept: int
    """Lines that could not be read or decoded, and stay in the file."""


class DeadLetterFile:
    """
    A dead letter handler that appends to a file, and can `replay` it.

    *path*: the file, made when needed, for its owner's eyes only (mode 0600), in a directory
    that exists. It is opened for each call, so it may be rotated.

    *encode*, *decode*: what turns a Queue's item, or the value of a Map's entry, into
    something that JSON can hold, and its inverse; both or neither. Without them, an item comes
    back as JSON has it: a tuple is a list, the keys of a dict are text. A Map's keys are not
    encoded; in a key, lists become tuples on replay, so a tuple (of tuples) comes back as one.

    *fsync*: whether a call returns only when what it wrote would survive a power failure.

    An item that cannot be encoded is written as its `repr`, and stays in the file on replay.
    Raises `InvalidOption`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        encode: Callable[[Any], Any] | None = None,
        decode: Callable[[Any], Any] | None = None,
        fsync: bool = True,
    ) -> None:
        _check_options(path, encode, decode, fsync)
        self._path = Path(path).absolute()  # a daemon may change its directory later
        self._replaying = self._path.with_name(f"{self._path.name}.replaying")
        self._encode, self._decode = encode or _itself, decode or _itself
        self._fsync = fsync
        self._locks: dict[int, tuple[threading.RLock, threading.Lock]] = {}

    def _own_locks(self) -> tuple[threading.RLock, threading.Lock]:
        """Return this process's locks, to append and to replay: a parent's may never be free."""
        # Re-entrant: a finalizer or signal handler may come here in the middle of an append.
        return self._locks.setdefault(os.getpid(), (threading.RLock(), threading.Lock()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self._path)!r})"

    def __call__(self, items: Sequence[Any], error: BaseException, attempts: int, /) -> None:
        """
        Append *items*, which raised *error* at the last of *attempts*.

        Raises `OSError` when it cannot; some of the items, the first, may be written then.
        """
        text = f"{type(error).__name__}: {_said(str, error)}".removesuffix(": ")
        about = {"error": text[:500], "attempts": attempts, "time": time.time()}
        self._append(b"".join(self._line(item, about) for item in items))

    def _line(self, item: Any, about: dict[str, Any]) -> bytes:
        try:
            if isinstance(item, Entry):
                held = {"entry": item._replace(value=self._encode(item.value))._asdict()}
            else:
                held = {"item": self._encode(item)}
            text = json.dumps(held | about)
        except BaseException:  # whatever user code raises, the item and its neighbours are kept
            text = json.dumps({"repr": _said(repr, item)} | about)
        return f"{text}\n".encode()

    def _append(self, data: bytes) -> None:
        with self._own_locks()[0]:
            # Twice at most: there are file systems where a file never looks the same again.
            if data and not self._append_once(data):
                self._append_once(data)

    def _append_once(self, data: bytes) -> bool:
        """Append *data*; return whether the file still had its name then."""
        try:
            fd = os.open(self._path, _FLAGS, 0o600)
        except FileNotFoundError as error:
            message = "the directory of the dead letter file does not exist"
            raise FileNotFoundError(error.errno, message, str(self._path.parent)) from None
        try:
            size = os.fstat(fd).st_size
            os.lseek(fd, max(0, size - 1), os.SEEK_SET)
            is_torn = os.read(fd, 1) not in (b"\n", b"")  # a crash cut the last line
            _write(fd, b"\n" + data if is_torn else data)
            if self._fsync:
                os.fsync(fd)
                if not size:
                    _sync_directory(self._path)
            return _is_at(self._path, fd)
        finally:
            os.close(fd)

    def replay(self, buffer: _Flushes, *, timeout: float | None = None) -> Replayed:
        """
        Give what is in the file to *buffer* again, flush it, and only then forget the lines.

        A Queue gets items with `push`; a Map gets entries with `put_newer`, so that nothing
        older wins, but those of version 0 with `put`, which overwrites what is newer (or is
        merged with it): replay them before new writes. No partition key is given. A buffer that
        drops items when full drops these too; what fails again goes to its own handler.

        Meanwhile the lines are in a file of their own, named `.replaying` at the end. It stays
        if anything raises, or the process ends, and the next call begins with it: *buffer* gets
        each item at least once. Lines that cannot be read or decoded go back as they were.

        *timeout*: seconds for the flush (for each of two, if something had been left over).
        For an AsyncQueue or AsyncMap: `await asyncio.to_thread(letters.replay, queue)`.

        Returns `Replayed(0, 0)` at once if there is no file, or another thread or process is
        replaying it (on Windows, do not let two processes).

        Raises `TypeError` if *buffer* lacks a method that lines of the file take, before it is
        given any of them, and what `push`, `put`, `put_newer` and `flush` raise.
        """
        if timeout is not None and not timeout >= 0:
            raise ValueError(f"timeout={timeout!r}: expected a number of seconds from 0, or None")
        buffer = getattr(buffer, "_blocking", buffer)
        appending, replaying = self._own_locks()
        if not replaying.acquire(blocking=False):
            return Replayed(0, 0)
        try:
            before = self._replay(buffer, timeout)
            with appending, _alone(self._path) as alone:
                if alone and not self._replaying.exists():  # or it is another process's
                    self._path.rename(self._replaying)
            after = self._replay(buffer, timeout)
        finally:
            replaying.release()
        # What was kept before is back in the file, and so has been kept again.
        return Replayed(before.pushed + after.pushed, after.kept)

    def _replay(self, buffer: _Flushes, timeout: float | None) -> Replayed:
        """Replay what has been set aside."""
        pushed, unread = 0, []
        with _alone(self._replaying) as alone:
            if not alone:
                return Replayed(0, 0)
            with self._replaying.open("rb") as lines:
                _check_methods(lines, buffer)
                lines.seek(0)
                for line in filter(bytes.strip, lines):
                    try:
                        method, arguments = _read(line, self._decode)
                    except Exception:
                        unread.append(line)
                        continue
                    getattr(buffer, method)(*arguments)
                    pushed += 1
            if pushed:
                buffer.flush(timeout)
            self._append(b"".join(unread))
            self._replaying.unlink()
            if self._fsync:
                _sync_directory(self._path)
        return Replayed(pushed, len(unread))


def _read(line: bytes, decode: Callable[[Any], Any]) -> tuple[str, tuple[Any, ...]]:
    """Return the method that takes what *line* holds, and its arguments; raise if it is torn."""
    record = json.loads(line)
    if "item" in record:
        return "push", (decode(record["item"]),)
    entry = record["entry"]
    key, version, value = _as_key(entry["key"]), index(entry["version"]), decode(entry["value"])
    hash(key)  # a line that no Map has written must not hold up the others
    return ("put_newer", (key, value, version)) if version else ("put", (key, value))


def _check_methods(lines: BinaryIO, buffer: object) -> None:
    methods: set[str] = set()
    for line in lines:
        with suppress(Exception):  # it is going to stay
            methods.add(_read(line, _itself)[0])
    for method in sorted(methods):
        if not callable(getattr(buffer, method, None)):
            expected = "a Queue, for items" if method == "push" else "a Map, for entries"
            raise TypeError(f"{buffer!r} has no method {method}(): expected {expected}")


def _as_key(value: Any) -> Any:
    return tuple(map(_as_key, value)) if isinstance(value, list) else value


def _itself(value: Any) -> Any:
    return value


def _said(how: Callable[[object], str], thing: object) -> str:
    try:
        return how(thing)
    except BaseException:
        return object.__repr__(thing)


def _write(fd: int, data: bytes) -> None:
    """Write all of *data*, at once if the system lets us."""
    while (written := os.write(fd, data)) < len(data):
        rest = data[written:]
        if os.fstat(fd).st_size != os.lseek(fd, 0, os.SEEK_CUR):
            # Another process writes on behind us: the line that was cut begins anew.
            rest = b"\n" + data[data.rfind(b"\n", 0, written) + 1 :]
        data = rest


def _is_at(path: Path, fd: int) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), os.fstat(fd))
    return False


def _sync_directory(path: Path) -> None:
    """Make the name *path* survive a power failure, where the system lets us."""
    with suppress(OSError):
        fd = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


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
            yield is_mine and _is_at(path, file.fileno())
        finally:
            with suppress(OSError):  # closing is not enough when a child has inherited it
                fcntl.flock(file, fcntl.LOCK_UN)


def _check_options(path: Any, encode: Any, decode: Any, fsync: Any) -> None:
    name = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(name, str) or not Path(name).name:
        raise InvalidOption(f"path={path!r}: expected the path of a file, a text or os.PathLike")
    for option, given in (("encode", encode), ("decode", decode)):
        if given is not None and (not callable(given) or inspect.iscoroutinefunction(given)):
            raise InvalidOption(f"{option}={given!r}: expected a plain function, or None")
    if (encode is None) != (decode is None):
        raise InvalidOption(f"encode={encode!r}, decode={decode!r}: expected both, or neither")
    if not isinstance(fsync, bool):
        raise InvalidOption(f"fsync={fsync!r}: expected True or False")
