"""
What becomes of a write that was not made at once: its buffer does not run, or it is full.

A full buffer's writers wait in line, or raise; what drops has been dropped by the table. A
writer that could only wait for itself is not let wait: the worker (in the processor, a hook, or
a logging handler), and who interrupts a wait on the same thread (a signal handler, a finalizer).
"""

import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from ...errors import BufferFull
from ..options.settings import Settings
from ..tables.implementation import Room
from ..tables.step import FULL, MADE
from ..waiting.event_loop import STALLED
from ..waiting.steps import MustNotWait, Steps, drive
from .line import Face, Line, Write

BEYOND = 1 << 40
"""What weighs more than that, and than there is room for, weighs that: sums are numbers of C's."""


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
    most = min(max(settings.max_bytes + 1, BEYOND), sys.maxsize)

    def weigh(item: Any) -> int:
        weight = size_of(item)
        if type(weight) is not int or weight < 0:
            raise TypeError(f"size_of() returned {weight!r}: expected a number of bytes from 0")
        return min(weight, most)

    return weigh


def table_room(settings: Settings) -> Room | None:
    """Return the room of tables in memory, for a buffer of these settings; None: no bound."""
    bounds = settings.max_size, settings.max_bytes, settings.when_full
    return Room(*bounds) if settings.bounded else None


class Admission:
    """Of one buffer."""

    stores: tuple[Any, ...] = ()
    """Where what is accepted waits, if that is no table: opened in this order."""
    sharing: Any = None
    """The one of these that other processes have, too."""

    def __init__(self, settings: Settings, room: Room | None, face: Face) -> None:
        self.settings, self.room, self.face = settings, room, face
        self.weigh = weigher(settings)
        self.line = Line(room or Room(), settings.clock, face)

    def reset(self) -> None:
        """Be as new, in a forked child: before the tables."""
        if self.room is not None:
            self.room.reset()
        self.line.reset()

    def late(self, table: Any, outcome: int, method: str, args: tuple[Any, ...]) -> None:
        """Make a write after all; raise why it cannot be made."""
        self.face._go(self.steps(table, outcome, method, args))

    def steps(self, table: Any, outcome: int, method: str, args: tuple[Any, ...]) -> Steps[None]:
        """Do as `late`, step by step."""
        made, weight = getattr(table, method), args[-1] if method == "put" else sum(args[1:])
        full = args if method == "put" else (args[0], weight)
        find_room = partial(self.wait, partial(made, *full), [table], (1, weight))
        return self.insist(outcome, partial(made, *args), find_room)

    def awaited(
        self, table: Any, outcome: int, method: str, args: tuple[Any, ...]
    ) -> Awaitable[None]:
        """Do as `late`, in a task."""
        return drive(self.steps(table, outcome, method, args))

    def insist(
        self, outcome: int, again: Callable[[], int], find_room: Callable[[], Steps[int]]
    ) -> Steps[None]:
        """Make a write after all, *again*; if it is full, it is to *find_room*, and is made so."""
        while outcome != MADE:
            if outcome == FULL:
                outcome = yield from find_room()
            elif (error := self.face._refused()) is not None:
                raise error
            else:
                outcome = again()

    def wait(self, write: Write, tables: Sequence[Any], load: tuple[int, int]) -> Steps[int]:
        """Stand in line for room for so much, to *write* to these *tables*."""
        face, settings, line = self.face, self.settings, self.line
        if not (hopeless := not self.fits(load)):
            face._wake_workers()  # whoever waits or not: a full buffer is processed
        if settings.when_full != "block" or hopeless:
            raise self._full(hopeless=hopeless)
        is_mine: Callable[[], bool] = getattr(self.room, "is_mine", bool)  # never, in C
        if face._is_own_worker() or line.holds_me() or is_mine():
            raise BufferFull(
                f"buffer {settings.name!r} is full, and this call (in its processor, a hook, a "
                "logging handler, a signal handler or a finalizer) would wait for itself"
            )
        timeout, patience = settings.block_timeout, face._patience()
        timeout = patience if timeout is None else timeout
        deadline = None if timeout is None else settings.clock.monotonic() + timeout
        try:
            outcome = yield from line.stand(write, tables, load, deadline)
        except MustNotWait:
            raise self._full() from None
        if outcome == FULL:
            raise self._full(waited=settings.block_timeout, stalled=patience is not None)
        return outcome

    def fits(self, load: tuple[int, int]) -> bool:
        """Return whether so many items and bytes would have room if nothing were held."""
        return self.room is None or self.room.fits(*load)

    def _full(
        self, *, hopeless: bool = False, waited: float | None = None, stalled: bool = False
    ) -> BufferFull:
        settings = self.settings
        bounds = {"max_size": settings.max_size, "max_bytes": settings.max_bytes}
        bound = ", ".join(f"{name}={value}" for name, value in bounds.items() if value is not None)
        if hopeless:
            return BufferFull(f"one write of more than buffer {settings.name!r} holds ({bound})")
        time = "" if waited is None else f" for {waited} s"
        return BufferFull(
            f"buffer {settings.name!r} was full{time} ({bound}): {self._why_full()}; see "
            f"stats(){f'. {STALLED}' if stalled else ''}"
        )

    def _why_full(self) -> str:
        waits = self.settings.when_full != "block"
        idle = ", or has yet to be called (see flush_at)" if waits else ""
        return f"its processor is slower than its writers, or failing{idle}"
