"""
What becomes of a write that was not made at once: its buffer does not run, or it is full.

A full buffer's writers wait in line, or raise; what drops has been dropped by the table. A
writer that could only wait for itself is not let wait: the worker (in the processor, a hook, or
a logging handler), and who interrupts a wait on the same thread (a signal handler, a finalizer).
"""

import sys
from collections.abc import Callable, Generator, Sequence
from typing import Any, Protocol, cast

from ...abc import AsyncSignal, Signal
from ...errors import BufferFull, PartitionedBufferError
from ..options.settings import Settings
from ..tables.implementation import Room
from ..tables.step import CLOSED, FULL, MADE
from ..waiting.event_loop import STALLED
from ..waiting.steps import MustNotWait, Steps
from .line import Line, Write


class Face(Protocol):
    """What has to be known of the buffer."""

    @property
    def _signal(self) -> Callable[[], Signal | AsyncSignal]: ...
    @property
    def _go(self) -> Callable[[Generator[Any, None, Any]], Any]: ...
    @property
    def _supervisor(self) -> Any: ...
    @property
    def _is_own_worker(self) -> Callable[[], bool]: ...
    @property
    def _wake_workers(self) -> Callable[[], object]: ...
    @property
    def _patience(self) -> Callable[[], float | None]: ...
    @property
    def _refused(self) -> Callable[[], Exception | None]: ...


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


class Piece(Protocol):
    """What a write of many writes to one table."""

    table: Any
    atomic: bool
    """Whether `write` is all or nothing."""
    size: int
    """How many there are."""
    done: int
    """How many of them are made."""

    def write(self, end: int, first: bool) -> int:
        """Make those that come before *end*, if there is room for all."""
        ...

    def needs(self, end: int) -> tuple[int, int]:
        """Return how much new room those would take."""
        ...


class Admission:
    """Of one buffer."""

    def __init__(self, settings: Settings, room: Room | None, face: Face) -> None:
        self._settings, self.room, self._face = settings, room, face
        self.weigh = weigher(settings)
        self._line = None if room is None else Line(room, settings.clock, face._signal)

    @property
    def blocked(self) -> int:
        """How many writers wait."""
        return 0 if self._line is None else len(self._line)

    def reset(self) -> None:
        """Be as new, in a forked child: before the tables."""
        if self.room is not None and self._line is not None:
            self.room.reset()
            self._line.reset()

    def alarm(self) -> None:
        """Let those who wait look what has become of the buffer."""
        if self._line is not None:
            self._line.alarm()

    # --- one write -------------------------------------------------------------

    def late(self, table: Any, outcome: int, method: str, args: tuple[Any, ...]) -> None:
        """Make a write after all; raise why it cannot be made."""
        self._face._go(self.steps(table, outcome, method, args))

    def steps(self, table: Any, outcome: int, method: str, args: tuple[Any, ...]) -> Steps[None]:
        """Do as `late`, step by step."""
        made, weight = getattr(table, method), args[-1] if method == "put" else sum(args[1:])
        full = args if method == "put" else (args[0], weight)
        while outcome != MADE:
            if outcome == FULL:
                outcome = yield from self._wait(
                    lambda first: made(*full, first), lambda: table.closed, (1, weight)
                )
            elif (error := self._face._refused()) is not None:
                raise error
            else:
                outcome = made(*args)

    def _wait(self, write: Write, is_over: Callable[[], bool], load: tuple[int, int]) -> Steps[int]:
        room, line = cast("Room", self.room), cast("Line", self._line)  # as something is full
        face, settings = self._face, self._settings
        hopeless = not room.fits(*load)
        if settings.when_full != "block" or hopeless:
            raise self._full(hopeless=hopeless)
        is_mine: Callable[[], bool] = getattr(room, "is_mine", bool)  # never, in C
        if face._is_own_worker() or line.holds(face._supervisor.thread()) or is_mine():
            raise BufferFull(
                f"buffer {settings.name!r} is full, and this call (in its processor, a hook, a "
                "logging handler, a signal handler or a finalizer) would wait for itself"
            )
        timeout, patience = settings.block_timeout, face._patience()
        timeout = patience if timeout is None else timeout
        deadline = None if timeout is None else settings.clock.monotonic() + timeout
        try:
            outcome = yield from line.stand(
                write, is_over, deadline, face._wake_workers, face._supervisor.thread()
            )
        except MustNotWait:
            raise self._full() from None
        if outcome == FULL:
            raise self._full(waited=settings.block_timeout, stalled=patience is not None)
        return outcome

    def _full(
        self, *, hopeless: bool = False, waited: float | None = None, stalled: bool = False
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

    # --- many writes -----------------------------------------------------------

    def write(self, pieces: Sequence[Piece]) -> Steps[None]:
        """Write all *pieces*: at once if that can be, else in parts; where it drops, one by one."""
        try:
            outcome = self._at_once(pieces, first=False)
            while outcome != MADE:
                if outcome == FULL:
                    outcome = yield from self._find_room(pieces)
                elif (error := self._face._refused()) is not None:
                    raise error  # noqa: TRY301  # for the same words as the others
                else:
                    outcome = self._at_once(pieces, first=False)
        except BaseException as error:
            done, total = sum(p.done for p in pieces), sum(p.size for p in pieces)
            accepted = f"{done} of {total} items of this call were accepted"
            if done and isinstance(error, PartitionedBufferError):
                raise type(error)(f"{accepted}, then: {error}") from error
            if done:  # interrupted, cancelled, or of the user's own making
                error.add_note(accepted)
            raise

    def _at_once(self, pieces: Sequence[Piece], *, first: bool) -> int:
        left = [piece for piece in pieces if piece.done < piece.size]
        is_step = len(left) == 1 and left[0].atomic  # then the table sees to it
        if self.room is not None and left and not is_step:
            needs = self._needs(left)
            waits = self.room.line and not first and any(needs)
            if waits or not self.room.has(*needs):
                return CLOSED if any(piece.table.closed for piece in left) else FULL
        for piece in left or pieces[:1]:
            if (outcome := piece.write(piece.size, first)) != MADE:
                return outcome
        return MADE

    def _needs(self, pieces: Sequence[Piece]) -> tuple[int, int]:
        needs = [piece.needs(piece.size) for piece in pieces]
        return sum(size for size, _ in needs), sum(weight for _, weight in needs)

    def _find_room(self, pieces: Sequence[Piece]) -> Steps[int]:
        """Go on with *pieces* that found no room."""
        left = [piece for piece in pieces if piece.done < piece.size]
        needs, policy = self._needs(left), self._settings.when_full
        if policy == "raise" or (policy == "block" and self._fits(needs)):
            return (
                yield from self._wait(
                    lambda first: self._at_once(pieces, first=first),
                    lambda: any(piece.table.closed for piece in left),
                    needs,
                )
            )
        for piece in left:
            while piece.done < piece.size:
                end = self._part(piece) if policy == "block" else piece.done + 1
                if (outcome := (yield from self._write_part(piece, end))) != MADE:
                    return outcome
        return MADE

    def _part(self, piece: Piece) -> int:
        """Return up to where *piece* can fit."""
        end, step = piece.done + 1, 1
        while end + step <= piece.size and self._fits(piece.needs(end + step)):
            end, step = end + step, 2 * step
        while step := step // 2:
            if end + step <= piece.size and self._fits(piece.needs(end + step)):
                end += step
        return end

    def _write_part(self, piece: Piece, end: int) -> Steps[int]:
        outcome = piece.write(end, False)
        if outcome == FULL:
            outcome = yield from self._wait(
                lambda first: piece.write(end, first), lambda: piece.table.closed, piece.needs(end)
            )
        return outcome

    def _fits(self, needs: tuple[int, int]) -> bool:
        return self.room is None or self.room.fits(*needs)
