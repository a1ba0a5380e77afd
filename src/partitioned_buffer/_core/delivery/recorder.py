"""
What a worker measures of its partition: nothing at a write, next to nothing at a batch.

The worker alone writes; anybody may read, at any time. Calls are noted when `QUICK` has passed
since the last time, or the cycle is over: so all but the last of them were shorter than that.
"""

from bisect import bisect_left
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from ...abc import Clock
from ..measures import BOUNDS, QUICK, Durations, Failure, Rates, failure

EACH: Final = 1.0
"""Seconds between samples, at least."""
WINDOWS: Final = (10.0, 60.0)


class Sample(NamedTuple):
    """How much there had been by then: accepted, delivered, calls that raised."""

    at: float
    counts: tuple[int, int, int]


class Recorder:
    """Of one partition."""

    # fmt: off
    __slots__ = (
        "_clock", "_counts", "_longest", "_next", "_samples", "_seconds",
        "_succeeded_at", "_table", "batches", "calls", "failed", "failure", "rests_until",
        "settled_at", "since",
    )
    # fmt: on

    def __init__(self, clock: Clock, table: Any) -> None:
        self._clock, self._table = clock, table
        self.calls = self.batches = self.failed = 0  # of these: first attempts; that raised
        self._counts = [0] * (len(BOUNDS) + 1)
        self._seconds, self._longest = 0.0, 0.0
        # When something was settled last, and from when on quick calls are to be noted.
        self.settled_at = self.since = clock.monotonic()
        self._succeeded_at: float | None = None
        self.failure: Failure | None = None
        self.rests_until: float | None = None  # when the next attempt is due that is waited for
        self._samples: tuple[Sample, ...] = ()
        self._next = 0.0  # when the next sample is due

    # --- what the worker says ------------------------------------------------------

    def note(
        self, count: int, seconds: float, at: float, *, again: bool = False
    ) -> tuple[int, float]:
        """
        Note so many calls that went well: all quick, but the last, which took *seconds*.

        *again*: it was another attempt. Return how many are to be noted now, and when.
        """
        if count:
            self._counts[0] += count - 1
            self._count(seconds, at)
            self.calls += count
            self.batches += count - again
            self._seconds += seconds if count == 1 else at - self.since
            self.since = self._succeeded_at = at
        return 0, at + QUICK

    def raised(self, seconds: float, at: float, error: BaseException, *, again: bool) -> None:
        """Note a call that took so many *seconds*, and ended in *error*."""
        self._count(seconds, at)
        self.calls += 1
        self.batches += not again
        self._seconds += seconds
        self.failed += 1
        self.failure = failure(error, self._clock.time())

    def _count(self, seconds: float, at: float) -> None:
        self._counts[bisect_left(BOUNDS, seconds)] += 1
        self._longest = max(self._longest, seconds)
        self.sample(at)

    # --- rates -----------------------------------------------------------------------

    def sample(self, now: float) -> None:
        """Look, if it is time to."""
        if now >= self._next:
            self.look(now, self._table.counts())

    def look(self, now: float, counts: Mapping[str, int]) -> None:
        """Keep how much there has been, once a second; a stranger's sample may be lost, no more."""
        if now >= self._next:
            self._next = now + EACH
            old = [sample for sample in self._samples if sample.at <= now - WINDOWS[-1]]
            self._samples = (*self._samples[max(0, len(old) - 1) :], self._sample(now, counts))

    def _sample(self, now: float, counts: Mapping[str, int]) -> Sample:
        accepted = counts["accepted"] - counts.get("recovered", 0)
        return Sample(now, (accepted, counts["delivered"], self.failed))

    def _rates(self, now: float, counts: Mapping[str, int]) -> Rates:
        samples = (*self._samples, self._sample(now, counts))
        each = list[float]()
        for seconds in WINDOWS:
            before = _counts_at(samples, now - seconds)
            ended = zip(samples[-1].counts, before, strict=True)
            each += [max(0.0, after - count) / seconds for after, count in ended]
        return Rates(*each)

    # --- what anybody reads ----------------------------------------------------------

    def numbers(self, now: float, counts: Mapping[str, int]) -> dict[str, Any]:
        """Return what `Ledger` has of it; *counts*: the table's part."""
        self.look(now, counts)
        rates, failure, at = self._rates(now, counts), self.failure, self._succeeded_at
        if (settled_at := self.settled_at) > self.since:  # quick calls, which are not noted yet
            at = settled_at
        buckets = tuple(self._counts)
        longest = max(self._longest, QUICK) if any(buckets) else None
        return {
            "batches": self.batches,
            "calls": self.calls,
            "failed_calls": self.failed,
            "rates": rates,
            "durations": Durations(buckets, self._seconds, longest),
            "last_success": None if at is None else self._clock.time() - (now - at),
            "last_failure": failure,
            "retry_in": None if (until := self.rests_until) is None else max(0.0, until - now),
        }


def _counts_at(samples: tuple[Sample, ...], at: float) -> list[float]:
    """Return how much there had been at that time: between two samples, in proportion."""
    before = after = samples[0]
    for after in samples:
        if after.at >= at:
            break
        before = after
    passed = after.at - before.at
    part = (at - before.at) / passed if passed > 0 and at > before.at else 0.0
    return [a + (b - a) * part for a, b in zip(before.counts, after.counts, strict=True)]
