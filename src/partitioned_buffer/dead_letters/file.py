"""
The handler: it appends what is given up to a file, and has the file replayed.

Many processes may append to one file while it is rotated or replayed. None waits for another.
"""

import inspect
import logging
import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..errors import InvalidOption
from .appending import append
from .records import about, is_for_people, itself, written
from .replay import Aside, Flushes, Replayed

_log = logging.getLogger("partitioned_buffer")


class DeadLetterFile:
    """
    A dead letter handler that appends to a file, and can `replay` it.

    *path*: the file, made when needed, for its owner's eyes only (mode 0600), in a directory
    that exists. It is opened for each call, so it may be rotated.

    *encode*, *decode*: what turns a Queue's item, or the value of a Map's entry, into
    something that JSON can hold, and its inverse; both or neither. Without them, an item comes
    back as JSON has it: a tuple is a list, the keys of a dict are text, and so are dates, times,
    UUIDs and Decimals. A Map's keys are not encoded; in a key, lists become tuples on replay, so
    a tuple (of tuples) comes back as one.

    *fsync*: whether a call returns only when what it wrote would survive a power failure.

    An item that cannot be encoded (bytes, an object of a class of yours) is written as its `repr`,
    for people, and stays in the file on replay; the log says so. Raises `InvalidOption`.
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
        self._encode, self._fsync = encode or itself, fsync
        replaying = self._path.with_name(f"{self._path.name}.replaying")
        self._aside = Aside(replaying, decode or itself, self._append, fsync=fsync)
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
        said = about(error, attempts)
        lines = [written(item, said, self._encode) for item in items]
        self._append(b"".join(lines))
        if for_people := sum(map(is_for_people, lines)):
            self._warn(for_people, len(lines))

    def _warn(self, for_people: int, count: int) -> None:
        with suppress(Exception):  # of a logging handler: the lines are there
            _log.warning(
                "%d of %d dead letters are in %s as their repr, which no replay gives back, since "
                "JSON cannot hold them: give the DeadLetterFile an encode= and a decode=",
                for_people,
                count,
                self._path,
            )

    def _append(self, data: bytes) -> None:
        with self._own_locks()[0]:
            append(self._path, data, fsync=self._fsync)

    def replay(
        self,
        buffer: Flushes,
        *,
        timeout: float | None = None,
        progress: Callable[[Replayed], object] | None = None,
    ) -> Replayed:
        """
        Give what is in the file to *buffer* again, flush it, and only then forget the lines.

        A Queue gets items with `push`; a Map gets entries with `put_newer`, so that nothing
        older wins, but those of version 0 with `put`, which overwrites what is newer (or is
        merged with it): replay them before new writes. Entries go into a Queue as the items that
        they were there. No partition key is given. A buffer that drops items when full drops
        these too; what fails again goes to its own handler.

        Meanwhile the lines are in a file of their own, named `.replaying` at the end. After each
        1,000 of them *buffer* is flushed, and they are forgotten. If anything raises, or the
        process ends, the next call goes on from there: *buffer* gets each item at least once.
        Lines that cannot be read or decoded go back as they were.

        *timeout*: seconds for each flush. *progress*: called after each with what a `Replayed`
        says so far: `pushed`, `kept`, and how many lines are `left`.
        For an AsyncQueue or AsyncMap: `await asyncio.to_thread(letters.replay, queue)`.

        Returns `Replayed(0, 0)` at once if there is no file, or another thread or process is
        replaying it (on Windows, do not let two processes).

        Raises `TypeError` if *buffer* lacks a method that lines of the file take, before it is
        given any of them, and what `push`, `put`, `put_newer` and `flush` raise, with a note of
        how far it has come.
        """
        if timeout is not None and not timeout >= 0:
            raise ValueError(f"timeout={timeout!r}: expected a number of seconds from 0, or None")
        buffer = getattr(buffer, "_blocking", buffer)
        appending, replaying = self._own_locks()
        if not replaying.acquire(blocking=False):
            return Replayed(0, 0)
        try:
            before = self._aside.replay(buffer, timeout, progress)
            with appending:
                self._aside.take(self._path)
            after = self._aside.replay(buffer, timeout, progress)
        finally:
            replaying.release()
        # What was kept before is back in the file, and so has been kept again.
        return Replayed(before.pushed + after.pushed, after.kept)


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
