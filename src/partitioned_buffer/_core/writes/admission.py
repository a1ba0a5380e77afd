"""
What becomes of a write that was not made at once: its buffer does not run, or it is full.

A full buffer's writers wait in line, or raise; what drops has been dropped by the table. A
writer that could only wait for itself is not let wait: the worker (in the processor, a hook, or
a logging handler), and who interrupts a wait on the same thread (a signal handler, a finalizer).
"""

from collections.abc import Callable, Generator
from typing import Any, Protocol, cast

from ...abc import AsyncSignal, Signal
from ...errors import BufferFull
from ..options.settings import Settings
from ..tables.implementation import Room
from ..tables.step import FULL, MADE
from ..waiting.event_loop import STALLED
from ..waiting.steps import MustNotWait, Steps
from .line import Line, Write
from .sizing import weigher


class Face(Protocol):
    """What has to be known of the buffer."""

    _supervisor: Any

    def _signal(self) -> Signal | AsyncSignal: ...
    def _go(self, steps: Generator[Any, None, Any], /) -> Any: ...
    def _is_own_worker(self) -> bool: ...
    def _wake_workers(self) -> object: ...
    def _patience(self) -> float | None: ...
    def _refused(self) -> Exception | None: ...


class Admission:
    """Of one buffer."""

    def __init__(self, settings: Settings, room: Room | None, face: Face) -> None:
        self.settings, self.room, self.face = settings, room, face
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
        self.face._go(self.steps(table, outcome, method, args))

    def steps(self, table: Any, outcome: int, method: str, args: tuple[Any, ...]) -> Steps[None]:
        """Do as `late`, step by step."""
        made, weight = getattr(table, method), args[-1] if method == "put" else sum(args[1:])
        full = args if method == "put" else (args[0], weight)

        def find_room() -> Steps[int]:
            return self.wait(lambda first: made(*full, first), lambda: table.closed, (1, weight))

        return self.insist(outcome, lambda: made(*args), find_room)

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

    def wait(self, write: Write, is_over: Callable[[], bool], load: tuple[int, int]) -> Steps[int]:
        room, line = cast("Room", self.room), cast("Line", self._line)  # as something is full
        face, settings = self.face, self.settings
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
        idle = "" if settings.when_full == "block" else ", or has yet to be called (see flush_at)"
        return BufferFull(
            f"buffer {settings.name!r} was full{time} ({bound}): its processor is slower than "
            f"its writers, or failing{idle}; see stats(){f'. {STALLED}' if stalled else ''}"
        )
