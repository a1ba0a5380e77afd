"""
A journal: what was accepted, by partition, and how much of it is settled.

    append ─► one row per commit and partition ─► read ─► settle ─► reclaim
              position ◄──────── end      cursor ◄────────┘

What `append()` returned for survives `kill -9`, and power failures too with *fsync* "commit". What
is settled survives `kill -9`; after a power failure some of it comes again. A record that is
neither settled nor there is lost, and reading says so: never silently, never fatally.

`append`, `replace`, `bury` and `reclaim` are for one thread at a time, and wait for each other;
`settle` is for each partition's worker, and waits for nobody; `read` is for anybody, and waits for
no commit.
"""

import os
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Literal, Self

from ...abc import Chunk, Cursor, Route
from ...errors import StorageError
from .accepting import Accepting
from .chunks import PARTITIONS, read_chunks, streamed, weight_from, with_losses
from .dead import Buried, Dead
from .file import File
from .lock import Lock, tell_after_fork
from .parts import Depth, Part, number_of, read_parts
from .reclaiming import Reclaiming
from .relayout import Moved, begin_layout, move_layout
from .slots import Slots

_THE_PARENTS = (
    "it is the parent's, and this process was forked from it: give the buffer of each process a "
    "file of its own, and open it after the fork"
)


class Journal:
    """
    The journal in the file at *path*; `Journal.open()` makes one.

    Every method raises `StorageError` when the file, the disk or another process does not let it,
    has changed nothing then, and works again when the cause is gone.
    """

    def __init__(self, file: File, lock: Lock, partitions: int) -> None:
        self._file, self._lock, self._wanted = file, lock, partitions
        self.path: str = file.path
        self.id: bytes = file.meta["id"]
        self._dead, self._damaged = Dead(file), list[int]()
        self._load()
        self._finalizer = weakref.finalize(self, _let_go, file, lock)
        self._finalizer.atexit = False  # what is not closed is as after a crash: nothing is lost
        tell_after_fork(self)

    @classmethod
    def open(
        cls,
        path: "str | os.PathLike[str]",
        *,
        fsync: Literal["commit", "os"] = "commit",
        kind: str,
        codec: str,
        partitions: int,
    ) -> Self:
        """
        Open the file, or make it.

        Raises `StorageBusy` if somebody has it, `StorageRefused` if it was made for another kind or
        codec, and `StorageError` if it cannot be opened. Another number of partitions than it has
        is no error: see `needs_relayout`.
        """
        if not 1 <= partitions < PARTITIONS:
            raise ValueError(f"partitions={partitions}: expected 1 to {PARTITIONS - 1}")
        real = os.path.realpath(path)  # SQLite's files stand beside what a link points to
        lock = Lock(real)
        try:
            terms = {"kind": kind, "codec": codec, "partitions": partitions}
            file = File(real, durable=fsync == "commit", terms=terms)
            try:
                return cls(file, lock, partitions)
            except BaseException:
                file.close()
                raise
        except BaseException:
            lock.let_go()
            raise

    def _load(self) -> None:
        """Find out what is there."""
        file = self._file
        layout = self._layout = int(file.meta["layout"])
        self._partitions = int(file.meta["partitions"])
        with file.question() as db:
            known = read_parts(db, layout)
            cursors = {partition: part.cursor for partition, part in known.items()}
            stops = [known[p].stop if p in known else 0 for p in range(self._partitions)]
            self.slots = Slots(self.path, self.id, layout, self._partitions, cursors)
            self._accepting = Accepting(file, self.slots, layout, stops)
            self.single = self._accepting.single
        self._reclaiming = Reclaiming(file, self.slots, layout, self._partitions)

    def _check(self) -> None:
        """Raise `StorageError` if this cannot be used."""
        self._file.check()
        if self.needs_relayout:
            raise StorageError(
                f"{self.path} has {self._partitions} partitions, and was opened for "
                f"{self._wanted}: relayout() comes first"
            )

    # --- what is accepted

    def append(
        self, pieces: Sequence[tuple[int, int, bytes]], *, durable: bool = True
    ) -> list[int]:
        """
        Accept records, all in one commit: for each piece its partition, their number and data.

        Returns the position of each piece's first record. Raises `StorageError`, having accepted
        nothing, unless the error says that it does not know. Not *durable*: what a power failure
        may undo.
        """
        self._check()
        with self._file.writing:
            return self._accepting.append(pieces, durable=durable)

    def replace(self, partition: int, those: Sequence[tuple[int, bytes]]) -> list[int]:
        """
        Put *those* (numbers of records, and data) in place of all that is in a partition.

        In one commit: its cursor is at the first of them then. Returns their positions. Nobody may
        settle anything of the partition at the same time.
        """
        self._check()
        with self._file.writing, self._file.reading:
            return self._accepting.replace(partition, those)

    # --- what is to be delivered

    def read(self, partition: int, position: int, max_bytes: int) -> list[Chunk]:
        """
        Return chunks in order, from the one that holds *position*, until they have *max_bytes*.

        One whose data is None is lost: it was not there, or not as it was written. Only what is
        not settled yet is called lost.
        """
        self._check()
        number, end = number_of(self._layout, partition), self._accepting.ends[partition]
        with self._file.view() as db:
            found, end, damaged = read_chunks(db, number, position, end, max_bytes)
            now = self.slots.now[partition]  # afterwards: what is gone by now is settled by now
        self._damaged += [row for row in damaged if row not in self._damaged]
        return with_losses(found, position, end, now)

    def records(self, partition: int) -> Iterator[Chunk]:
        """Yield all chunks that hold something unsettled, from the disk, as they are asked for."""
        return streamed(self, partition)

    def cursor(self, partition: int) -> Cursor:
        """Return what is settled of a partition."""
        self._check()
        return self.slots.now[partition]

    def end(self, partition: int) -> int:
        """Return the position that the next record of a partition gets."""
        self._check()
        return self._accepting.ends[partition]

    def weight(self, partition: int) -> int:
        """Return how many bytes of data a partition holds from its cursor on."""
        now, number = self.cursor(partition), number_of(self._layout, partition)
        with self._file.view() as db:
            return weight_from(db, number, now.cursor)

    def depth(self, partition: int) -> Depth:
        """Return how much a partition holds."""
        now, end = self.cursor(partition), self.end(partition)
        return Depth(end, now.cursor, end - now.cursor + len(now.kept))

    # --- what is settled

    def settle(self, partition: int, cursor: int, kept: Sequence[int] = (), hand: int = 0) -> None:
        """
        Say that all before *cursor* is settled but for the positions *kept*.

        *hand*: how many records from the cursor on are with the processor now. Not synced: a power
        failure may forget it. More than a few *kept*, or ones far back, are written with the next
        commit only.
        """
        self._check()
        self.slots.settle(partition, cursor, kept, hand)

    def reclaim(self) -> bool:
        """Delete some of what is settled, and give back some room; return whether there is more."""
        self._check()
        with self._file.writing:
            while self._damaged:
                self._reclaiming.set_aside(self._damaged[-1])
                self._damaged.pop()
            return self._reclaiming.step(self._accepting.ends)

    # --- what was given up

    def bury(  # a row
        self, partition: int, data: bytes, count: int, error: str, attempts: int
    ) -> int:
        """Keep *count* records that were given up after *attempts* because of *error*."""
        self._check()
        with self._file.writing:
            self._accepting.make_room()
            return self._dead.bury(partition, data, count, error, attempts)

    def buried(self, last: int | None = None) -> Iterator[Buried]:
        """Yield what was given up, the oldest first; or the *last* so many, the newest first."""
        self._check()
        return iter(self._dead if last is None else self._dead.last(last))

    def forget_buried(self, which: int) -> bool:
        """Delete what was given up and has that id; return whether it was there."""
        self._check()
        return self._dead.forget(which)

    # --- its life

    @property
    def partitions(self) -> int:
        """How many partitions the file has."""
        return self._partitions

    @property
    def layout(self) -> int:
        """How often the records have been moved to other partitions."""
        return self._layout

    @property
    def needs_relayout(self) -> bool:
        """Whether it was opened for another number of partitions than it has: see `relayout()`."""
        return self._partitions != self._wanted or "moving" in self._file.meta

    def relayout(
        self, partitions: int, route: Route, prepare: "Callable[[Self], None] | None" = None
    ) -> Moved:
        """
        Give the file so many partitions, and move what it holds to where *route* says.

        Returns how much that was. Killed in the middle it goes on where it was at the next open,
        and call. Nobody may use the journal meanwhile, but *prepare*, which is called first.
        """
        self._file.check()
        with self._file.writing:
            if prepare is not None and "moving" not in self._file.meta:
                wanted, self._wanted = self._wanted, self._partitions
                prepare(self)
                self._wanted = wanted
            moved = self._moved(route)
            if self._partitions != partitions:
                now = map(Part, self.slots.now, self._accepting.known_ends())
                begin_layout(self._file, partitions, list(now))
                more = self._moved(route)
                moved = Moved(moved.records + more.records, moved.lost + more.lost)
            self._wanted = partitions
            return moved

    def _moved(self, route: Route) -> Moved:
        """Move what is to be, if a layout has begun."""
        if "moving" not in self._file.meta:
            return Moved(0, 0)
        moved = move_layout(self._file, route)
        self.slots.close()
        self._load()
        return moved

    def close(self) -> None:
        """Let go of the file, all of it in one piece again; once is enough."""
        if self._finalizer.detach() is None:
            return
        with suppress(StorageError), self._file.writing:
            self._accepting.write_overdue()
        _let_go(self._file, self._lock, self.slots)

    def forked(self) -> None:
        """Refuse everything in a forked child, and leave the file to the parent."""
        # SQLite's locks are the process's, and its mutexes may be held by threads that are not
        # here: the connections are left as they are, for good.
        self._finalizer.detach()
        self._file.why_not = _THE_PARENTS
        self.slots.refuse(_THE_PARENTS)
        self._lock.forked()


def _let_go(file: File, lock: Lock, slots: Slots | None = None) -> None:
    try:
        if slots is not None:
            slots.close()
        file.close()
    finally:
        lock.let_go()
