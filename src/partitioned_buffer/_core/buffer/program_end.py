"""
What becomes of the running buffers at a program's end.

    early    rounds: before pools of threads are shut, and threads of the program are waited for
    late     rounds again, for what those have written; then all end, together (see `ending`)
    last     one that is ended later still, as a logging handler is: others write when they end

All have one deadline: each buffer's `exit_timeout`, of which the last part is for handing over.
"""

import math
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from ..telemetry import report, warn
from ..waiting.clock import SystemClock, SystemSignal
from ..waiting.countdown import Countdown
from ..waiting.steps import Pause, Steps
from . import registry
from .base import Buffer
from .ending import SAY_AFTER, SHARE, Ending, Terms
from .process_exit import begin_exit
from .rounds import Rounds

LOOK = 0.2
"""Seconds after which it is looked again, if nobody reports anything."""

GLANCE = 1.0
"""Seconds of the early rounds, where threads of the program go on: that is not its end yet."""

LEAVE = 2
"""With this interrupt nothing is waited for any more."""

FAREWELL = 1.5
"""Seconds that shared buffers have, at the very end, to tell their servers that they are gone."""

_CLERKS = f"{str(__package__).rpartition('.')[0]}.sharing.clerk"

ENDED = "was not stopped before the program's end"


class Line:
    """A partition of a buffer, as rounds see it."""

    def __init__(self, worker: Any, bell: Countdown) -> None:
        self._worker, self._bell = worker, bell
        self.key = worker.partition

    def look(self) -> tuple[int, int]:
        """Return how much it has accepted, ever, and how much of that it holds."""
        counts = self._worker.partition.table.counts()
        return counts["accepted"], counts["waiting"] + counts["in_flight"]

    def numbers(self) -> object:
        """Return what changes when something happens; None where it cannot be known."""
        with suppress(Exception):
            return self.look()
        return None

    def rests(self) -> bool:
        """Return whether it waits for another attempt."""
        return bool(self._worker.rests)

    def flush(self) -> None:
        """Have it deliver what it holds, now."""
        self._worker.forget_flush(self._bell)
        self._worker.flush(self._bell)


class ProgramEnd:
    """Of this very process."""

    def __init__(self) -> None:
        self._clock, self._signal = SystemClock(), SystemSignal()
        self._bell = Countdown(self._clock, self._signal, sys.maxsize)
        self._spent = 0.0  # seconds, of everybody's `exit_timeout`
        self._numbers: dict[str, tuple[object, float]] = {}
        self._interrupts = int(isinstance(getattr(sys, "last_value", None), KeyboardInterrupt))
        self._say_at = time.monotonic() + SAY_AFTER if self._interrupts else None

    def early(self) -> None:
        """Deliver what is held while pools of threads still work."""
        try:
            if _others_run():
                self._go_round(GLANCE)
                self._spent = 0.0
            else:
                self._go_round()
        except Exception as error:  # it would keep threads from being waited for
            report("buffers could not be drained before threads are", error=error)

    def late(self) -> None:
        """Deliver what is held, and end: from the last look on, no buffer can be started."""
        self._go_round()
        begin_exit()
        self._end([buffer for buffer in registry.running() if not buffer._outlives])

    def last(self, buffer: Buffer[Any]) -> None:
        """Do as `late` for one that has outlived it, within what is left of its time."""
        self._end([buffer])

    def _end(self, buffers: Iterable[Buffer[Any]]) -> None:
        endings = [e for b in buffers if (e := self._ending(b)) is not None]
        try:
            self._together([ending.drain() for ending in endings])
        finally:
            self._together([ending.finish() for ending in endings])

    # --- rounds ----------------------------------------------------------------

    def _go_round(self, most: float = math.inf) -> None:
        before, began, rounds = self._spent, time.monotonic(), Rounds()
        while self._interrupts < LEAVE and time.monotonic() - began < most:
            try:
                self._spent = before + time.monotonic() - began
                if rounds.look(self._lines()):
                    return
                if not rounds.empty:
                    self._wait()
            except (KeyboardInterrupt, SystemExit):
                self._note_interrupt()

    def _lines(self) -> Iterator[Line]:
        """Return those of which the time is not over."""
        for buffer in registry.running():
            lines = [Line(worker, self._bell) for worker in buffer._run.workers]
            with suppress(Exception):  # one that misbehaves spoils nobody's end
                if not buffer._drains_at_exit or self._left(buffer, lines) <= 0:
                    continue
            yield from lines

    def _left(self, buffer: Buffer[Any], lines: list[Line]) -> float:
        """Return how many seconds there are for *buffer*, before it is time to hand over."""
        settings = buffer._settings
        if settings.exit_timeout is None:  # as long as something happens
            return settings.processing_timeout - self._idle(buffer, lines)
        return settings.exit_timeout * (1 - SHARE) - self._spent

    def _idle(self, buffer: Buffer[Any], lines: list[Line]) -> float:
        now, numbers = time.monotonic(), tuple(line.numbers() for line in lines)
        known, since = self._numbers.get(buffer.name, (None, now))
        if numbers != known:
            self._numbers[buffer.name] = numbers, now
            return 0.0
        return now - since

    def _wait(self) -> None:
        self._signal.wait(LOOK)
        if self._say_at is not None and time.monotonic() >= self._say_at:
            self._say_at = None
            self._say()

    def _note_interrupt(self) -> None:
        self._interrupts += 1
        self._say_at = time.monotonic() + SAY_AFTER

    def _say(self) -> None:
        held, most = 0, 0.0
        for buffer in registry.running():
            with suppress(Exception):
                size = buffer._size_here()
                lines = [Line(worker, self._bell) for worker in buffer._run.workers]
                held, most = held + size, max(most, self._left(buffer, lines) if size else 0.0)
        warn(
            "delivering %d items before the program ends, for %.3g s at most; another Ctrl-C "
            "leaves them",
            *(held, most),
        )

    # --- and the end -----------------------------------------------------------

    def _ending(self, buffer: Any) -> Ending | None:
        try:
            if not buffer._drains_at_exit:
                buffer._say_never_left()
                return None
            timeout = 0.0 if self._interrupts >= LEAVE else buffer._settings.exit_timeout
            in_all = None if timeout is None else max(0.0, timeout - self._spent)
            terms = Terms(ENDED, in_all, self._interrupts, is_final=True)
            return Ending(buffer, buffer._run, terms, self._clock, self._signal)
        except Exception as error:  # one that misbehaves spoils nobody's end
            report("buffer %r could not be ended", buffer.name, error=error)
            return None

    def _together(self, all_steps: list[Steps[None]]) -> None:
        """Go through all of them at once: what concerns one is no reason for another to wait."""
        going = [(steps, pause) for steps in all_steps if (pause := _next(steps))]
        while going:
            error: BaseException | None = None
            try:
                waits = [pause.seconds for _, pause in going if pause.seconds is not None]
                self._signal.wait(min([LOOK, *waits]))
            except (KeyboardInterrupt, SystemExit) as interrupt:
                error = interrupt
            going = [(steps, pause) for steps, _ in going if (pause := _next(steps, error))]


def _next(steps: Steps[None], error: BaseException | None = None) -> Pause | None:
    """Return what *steps* wait for next; None when they have ended, however."""
    try:
        return next(steps) if error is None else steps.throw(error)
    except (StopIteration, KeyboardInterrupt, SystemExit):
        return None
    except Exception as failure:
        report("a buffer could not be ended", error=failure)
        return None


def _others_run() -> bool:
    """Return whether threads of the program go on, which are waited for before it ends."""
    pools = getattr(sys.modules.get("concurrent.futures.thread"), "_threads_queues", ())
    this = (threading.current_thread(), threading.main_thread())
    threads = (t for t in threading.enumerate() if t not in this and t not in pools)
    return any(thread.is_alive() and not thread.daemon for thread in threads)


_this: tuple[int, ProgramEnd] | None = None


def _end() -> ProgramEnd:
    """Return that of this very process, which may be a child of the one that began another."""
    global _this
    if _this is None or _this[0] != os.getpid():
        _this = os.getpid(), ProgramEnd()
    return _this[1]


def early() -> None:
    """Deliver what is held while pools of threads still work."""
    _end().early()


def late() -> None:
    """Deliver what is held, and end; but for those that outlive this."""
    _end().late()
    _farewell()


def last(buffer: Buffer[Any]) -> None:
    """Deliver what one holds that has outlived `late`, and end it."""
    _end().last(buffer)
    _farewell()


def _farewell() -> None:
    if (clerks := sys.modules.get(_CLERKS)) is not None:  # few have any
        clerks.farewell(FAREWELL)
