"""
When lines that feed each other are empty, all of them: what a program's end waits for.

Which line feeds which, nobody knows; a short program shows it in its last moments. So all stay
open for writes, all are flushed at once, and looked at again and again. What was in one of them
is in the next, or was delivered: all are empty when two looks in a row find them so, and nothing
was accepted between.
"""

from collections.abc import Hashable, Iterable
from typing import Protocol


class Line(Protocol):
    """What a partition has to say."""

    @property
    def key(self) -> Hashable:
        """Which one it is."""
        ...

    def look(self) -> tuple[int, int]:
        """Return how much it has accepted, ever, and how much of that it holds."""
        ...

    def rests(self) -> bool:
        """Return whether it waits for another attempt."""
        ...

    def flush(self) -> None:
        """Have it deliver what it holds, now."""


class Rounds:
    """The looks that were taken so far."""

    def __init__(self) -> None:
        self._flushed: dict[Hashable, int] = {}  # how much each had accepted when it was flushed
        self._before: object = None
        self.empty = False  # at the last look

    def look(self, lines: Iterable[Line]) -> bool:
        """
        Flush those of *lines* that want it; return whether all are empty, and have been before.

        Flushed again is only what has accepted something, and does not wait for another attempt:
        an outage is no reason to try twice. What cannot be looked at is left out.
        """
        self.empty, accepted = True, dict[Hashable, int]()
        for line in lines:
            try:
                accepted[line.key], held = line.look()
                if held:
                    self.empty = False
                    self._flush(line, accepted[line.key])
            except Exception:  # noqa: S112  # one that misbehaves spoils nobody's end
                continue
        done = self.empty and accepted == self._before
        self._before = accepted if self.empty else None
        return done

    def _flush(self, line: Line, accepted: int) -> None:
        flushed = self._flushed.get(line.key)
        if flushed is None or (flushed != accepted and not line.rests()):
            self._flushed[line.key] = accepted
            line.flush()
