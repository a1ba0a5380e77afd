"""
What a write to a full buffer does: wait, raise, or drop something.

A writer that could only wait for itself is not let wait: the worker (in the processor, a
hook, or a logging handler), and a finalizer or signal handler in the middle of work that
holds a lock.
"""

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, Generic, Protocol, TypeVar

from ...errors import BufferFull, PartitionedBufferError
from ..options.settings import Settings
from ..tables.capacity import MakeSignal, Room
from ..waiting.event_loop import STALLED
from ..waiting.steps import MustNotWait, Steps

Demand = Callable[[], tuple[int, int]]
"""Returns how many items and bytes there has to be room for."""


class Bounded(Protocol):
    """What a table has to offer where there is a bound."""

    closed: bool

    def write(self, batch: list[Any], /) -> bool: ...
    def drop_newest(self, count: int) -> None: ...
    def drop_oldest(self) -> bool: ...
    def press(self) -> None: ...


Run = Callable[[Generator[Any, None, Any]], Any]
"""Goes through steps, and waits, or does not."""


class Face(Protocol):
    """What a gate has to know of its buffer."""

    @property
    def _signal(self) -> MakeSignal: ...
    @property
    def _go(self) -> Run: ...
    @property
    def _is_own_worker(self) -> Callable[[], bool]: ...
    @property
    def _patience(self) -> Callable[[], float | None]: ...
    @property
    def _refused(self) -> Callable[..., Exception | None]: ...


W = TypeVar("W", bound=Bounded)


def default_size_of(item: Any) -> int:
    """Return the bytes of *item*: the default of `size_of`."""
    if isinstance(item, bytes | bytearray):
        return len(item)
    if isinstance(item, memoryview):
        return item.nbytes
    if isinstance(item, str):
        return len(item) if item.isascii() else len(item.encode(errors="surrogatepass"))
    return sys.getsizeof(item)


def weigher(settings: Settings) -> Callable[[Any], int] | None:
    """Return what weighs an item, checked; None where there is no bound of bytes."""
    if settings.max_bytes is None:
        return None
    size_of = settings.size_of or default_size_of

    def weigh(item: Any) -> int:
        weight = size_of(item)
        if type(weight) is not int or weight < 0:
            raise TypeError(f"size_of() returned {weight!r}: expected a number of bytes from 0")
        return weight

    return weigh


class Gate(ABC, Generic[W]):
    """Lets writers in, as `when_full` says."""

    _weighed: Callable[[Any, int], Any]

    def __init__(
        self,
        settings: Settings,
        room: Room,
        tables: Sequence[W],
        face: Face,
    ) -> None:
        self._settings = settings
        self.room = self._room = room
        self.weigh = weigher(settings)
        self._tables = tables
        self._is_own_worker, self._patience = face._is_own_worker, face._patience
        self._refused, self.run = face._refused, face._go

    def _find_room(self, table: W, writes: int, demand: Demand) -> Steps[bool]:
        """
        Take the room that is in *demand* when there was none; return False for writes dropped.

        Raises `BufferFull`, and `BufferNotRunning` when the buffer stops meanwhile.
        """
        if table.closed and (error := self._refused()) is not None:
            raise error from None
        policy, hopeless = self._settings.when_full, not self._room.could_admit(*demand())
        if policy == "drop_newest" or (policy == "drop_oldest" and hopeless):
            table.drop_newest(writes)
            return False
        if policy == "drop_oldest":
            return self._evict(table, writes, demand)
        if policy == "raise" or hopeless:
            raise self._full(hopeless) from None
        yield from self._wait(*demand())
        return True

    def _evict(self, table: W, writes: int, demand: Demand) -> bool:
        tables = [table, *(other for other in self._tables if other is not table)]
        while not self._room.admit(*demand()):
            if not any(other.drop_oldest() for other in tables):
                table.drop_newest(writes)  # all that is held is the processor's
                return False
        return True

    def _wait(self, count: int, weight: int) -> Steps[None]:
        if self._is_own_worker() or self._room.mine:
            raise BufferFull(
                f"buffer {self._settings.name!r} is full, and this call (in its processor, a hook, "
                "a logging handler or a finalizer) would wait for itself"
            ) from None
        settings, timeout = self._settings, self._settings.block_timeout
        if timeout is None:
            timeout = self._patience()
        deadline = None if timeout is None else settings.clock.monotonic() + timeout
        try:
            granted = yield from self._room.wait(count, weight, deadline, self._press)
        except MustNotWait:
            raise self._full() from None
        if not granted:
            if self._room.closed and (error := self._refused()) is not None:
                raise error from None
            stalled = self._patience() is not None
            raise self._full(waited=settings.block_timeout, stalled=stalled) from None

    def _press(self) -> None:
        for table in self._tables:
            table.press()

    def _full(
        self, hopeless: bool = False, *, waited: float | None = None, stalled: bool = False
    ) -> BufferFull:
        settings = self._settings
        bounds = {"max_size": settings.max_size, "max_bytes": settings.max_bytes}
        bound = ", ".join(f"{name}={value}" for name, value in bounds.items() if value is not None)
        if hopeless:
            return BufferFull(f"one write of more than buffer {settings.name!r} holds ({bound})")
        time = "" if waited is None else f" for {waited} s"
        idle = "" if settings.when_full == "block" else ", or has yet to be called (see flush_at)"
        return BufferFull(
            f"buffer {settings.name!r} was full{time} ({bound}): its processor is slower than "
            f"its writers, or failing{idle}; see stats(){f'. {STALLED}' if stalled else ''}"
        )

    def _pass(self, steps: Steps[bool], table: W, written: Any) -> bool:
        """Go through *steps* for what is *written* to *table*; say so in a `BufferFull`."""
        try:
            passed: bool = self.run(steps)
        except BufferFull as full:
            full._sought = self, table, written
            raise
        return passed

    def store(self, written: Any) -> Any:
        """Return what is stored for an item or a value: itself, weighed if need be."""
        return written if self.weigh is None else self._weighed(written, self.weigh(written))

    # --- writes of many --------------------------------------------------------

    def write(self, groups: dict[W, list[Any]]) -> Steps[None]:
        """Write each group to its table: all at once if that can fit, else in parts."""
        pieces = [piece for piece in groups.items() if piece[1]] or [(self._tables[0], [])]
        if (yield from self._enter_together(pieces)):
            self._write(pieces)
            return
        done, total = 0, sum(len(group) for _, group in pieces)
        try:
            for table, group in pieces:
                for part in self._parts(group):
                    if (yield from self._enter(table, part)):
                        self._write([(table, part)])
                    done += len(part)
        except PartitionedBufferError as error:
            if not done:
                raise
            message = f"{done} of {total} items of this call were accepted, then: {error}"
            raise type(error)(message) from error
        except BaseException as error:  # interrupted, or cancelled
            error.add_note(f"{done} of {total} items of this call were accepted")
            raise

    def _enter_together(self, pieces: list[tuple[W, list[Any]]]) -> Steps[bool]:
        """Take room for all *pieces*, if that is possible in one piece."""
        count = sum(len(group) for _, group in pieces)
        weight = sum(self._weigh(group) for _, group in pieces)
        if not count or self._room.admit(count, weight):
            return True
        kept, kept_weight = self._kept(pieces)
        if self._room.admit(kept, kept_weight):
            self._room.force(count - kept, weight - kept_weight)
            return True
        policy, possible = self._settings.when_full, self._room.could_admit(kept, kept_weight)
        if policy.startswith("drop") or (policy == "block" and not possible):
            return False
        yield from self._find_room(pieces[0][0], count, lambda: (kept, kept_weight))
        self._room.force(count - kept, weight - kept_weight)
        return True

    def _write(self, pieces: list[tuple[W, list[Any]]]) -> None:
        """Write *pieces*, for which there is room."""
        done, total = 0, sum(len(group) for _, group in pieces)
        for place, (table, group) in enumerate(pieces):
            while not table.write(group):
                if (error := self._refused(done, total)) is not None:
                    for _, lost in pieces[place:]:
                        self._room.give(len(lost), self._weigh(lost))
                    raise error
            done += len(group)

    def _parts(self, group: list[Any]) -> Iterator[list[Any]]:
        """Cut *group* into parts that can fit: single ones, where some may have to be dropped."""
        most = 1 if self._settings.when_full.startswith("drop") else self._room.size
        part: list[Any] = []
        weight = 0
        for stored in group:
            weight += self._weigh([stored])
            if part and (len(part) >= most or weight > self._room.weight):
                yield part
                part, weight = [], self._weigh([stored])
            part.append(stored)
        if part:
            yield part

    @abstractmethod
    def _enter(self, table: W, part: list[Any]) -> Steps[bool]:
        """Take room for *part*; return False when it needs none any more."""

    @abstractmethod
    def _weigh(self, stored: list[Any]) -> int:
        """Return the bytes of what is to be *stored*."""

    @abstractmethod
    def _kept(self, pieces: list[tuple[W, list[Any]]]) -> tuple[int, int]:
        """Return how much of its room a write of *pieces* will keep."""
