"""
What is measured of a partition's work: rates, how long the processor takes, what failed last.

A call is sorted into one of `BOUNDS`, ten to a decade, so what is read from them is right to
14 %. Calls shorter than the first bound are not told from each other.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import accumulate
from typing import Any, Final

_STEPS: Final = ("1", "1.25", "1.6", "2", "2.5", "3.2", "4", "5", "6.3", "8")
BOUNDS: Final = (*(float(f"{step}e{ten}") for ten in range(-4, 3) for step in _STEPS), 1000.0)
"""Seconds: a tenth of a millisecond to 1000 seconds."""
QUICK: Final = BOUNDS[0]


@dataclass(frozen=True, slots=True)
class Rates:
    """How much there was per second, over the last ten seconds and the last minute."""

    in_10s: float = 0.0
    """Writes accepted. Known as of the worker's last look: each `processing_interval`."""
    out_10s: float = 0.0
    """Items delivered."""
    failed_10s: float = 0.0
    """Calls of the processor that raised."""
    in_60s: float = 0.0
    """As `in_10s`, over the last minute."""
    out_60s: float = 0.0
    """As `out_10s`, over the last minute."""
    failed_60s: float = 0.0
    """As `failed_10s`, over the last minute."""

    def __add__(self, other: "Rates") -> "Rates":
        return Rates(*map(sum, zip(self._each(), other._each(), strict=True)))

    def _each(self) -> tuple[float, ...]:
        ten = self.in_10s, self.out_10s, self.failed_10s
        return (*ten, self.in_60s, self.out_60s, self.failed_60s)

    def as_dict(self) -> dict[str, float]:
        """Return every number by its name."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Durations:
    """How long calls of the processor took that have ended."""

    counts: tuple[int, ...] = (0,) * (len(BOUNDS) + 1)
    """How many took as long as each of `BOUNDS` at most, and longer than the one before; the last
    number is of those that took longer than all."""
    seconds: float = 0.0
    """How long all of them took together."""
    longest: float | None = None
    """How long the longest took; None before the first has ended."""

    @property
    def count(self) -> int:
        """How many they are."""
        return sum(self.counts)

    def quantile(self, part: float) -> float | None:
        """Return how long that *part* (0 to 1) of the calls took at most; None without any."""
        count, longest = self.count, self.longest
        if not count or longest is None:
            return None
        place = bisect_left(list(accumulate(self.counts)), max(1, part * count))
        if place == 0:
            return QUICK
        if place >= len(BOUNDS):
            return longest
        return min(longest, math.sqrt(BOUNDS[place - 1] * BOUNDS[place]))

    def __add__(self, other: "Durations") -> "Durations":
        both = [each for each in (self.longest, other.longest) if each is not None]
        counts = tuple(map(sum, zip(self.counts, other.counts, strict=True)))
        return Durations(counts, self.seconds + other.seconds, max(both, default=None))

    def up_to(self, bounds: Iterable[float]) -> list[int]:
        """Return how many calls took as long as each of *bounds*, some of `BOUNDS`, at most."""
        sums = list(accumulate(self.counts))
        return [sums[BOUNDS.index(bound)] for bound in bounds]

    def as_dict(self) -> dict[str, Any]:
        """Return every number by its name; `counts` by their bounds, where there are any."""
        names = [*map(str, BOUNDS), "inf"]
        counts = {name: count for name, count in zip(names, self.counts, strict=True) if count}
        return {"count": self.count, "seconds": self.seconds, "counts": counts}


@dataclass(frozen=True, slots=True)
class Failure:
    """A call of the processor that raised."""

    time: float
    """When, by the wall clock."""
    type: str
    """The name of what it raised."""
    message: str
    """What that says, 500 letters of it at most."""

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


def failure(error: BaseException, time: float) -> Failure:
    """Return what is kept of an *error*: nothing that it holds."""
    return Failure(time, type(error).__name__, message(error))


def message(error: BaseException) -> str:
    """Return what *error* says of itself; nothing if it cannot."""
    with suppress(BaseException):
        return str(error)[:500]
    return ""


def described(error: BaseException) -> str:
    """Return of which type *error* is, and what it says."""
    return f"{type(error).__name__}: {message(error)}".removesuffix(": ")


def together(one: Mapping[str, Any] | None, other: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was measured under two claims of one partition, *other* the later."""
    if one is None:
        return dict(other)
    last = {name: other[name] or one[name] for name in one if name.startswith("last_")}
    now = {"retry_in": other["retry_in"]}
    return {name: one[name] + other[name] for name in one if name not in {*last, *now}} | last | now
