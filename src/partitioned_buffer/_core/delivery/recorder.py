"""
What a worker measures of its partition: nothing at a write, next to nothing at a batch.

A `Stopwatch`, which is in C, too, counts calls and takes their time; the rest is here. The worker
alone writes; anybody may read, at any time.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from ...abc import Clock
from ..measures import BOUNDS, QUICK, Durations, Failure, Rates, failure
from ..tables.implementation import Stopwatch

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
        "_clock", "_next", "_samples", "_table", "failed", "failure", "rests_until", "watch",
    )
    # fmt: on

    def __init__(self, clock: Clock, table: Any) -> None:
        self._clock, self._table = clock, table
        self.watch = Stopwatch(clock.monotonic, BOUNDS)
        self.failed = 0  # how many calls raised
        self.failure: Failure | None = None
        self.rests_until: float | None = None  # when the next attempt is due that is waited for
        self._samples: tuple[Sample, ...] = ()
        self._next = 0.0  # when the next sample is due

    # --- what the worker says of a call that is no part of a row of them -------------

    def returned(self, again: bool) -> None:
        """Note that it went well; *again*: at another attempt."""
        self.sample(self.watch.returned(again))

    def raised(self, error: BaseException, again: bool = False) -> None:
        """Note that it ended in *error*."""
        now = self.watch.raised(again)
        self.failed += 1
        self.failure = failure(error, self._clock.time())
        self.sample(now)

    # --- rates -----------------------------------------------------------------------

    def sample(self, now: float) -> float:
        """Look, if it is time to; return when it is the next time."""
        if now >= self._next:
            self.look(now, self._table.counts())
        return self._next

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
        each: list[float] = []
        for seconds in WINDOWS:
            before = _counts_at(samples, now - seconds)
            ended = zip(samples[-1].counts, before, strict=True)
            each += [max(0.0, after - count) / seconds for after, count in ended]
        return Rates(*each)

    # --- what anybody reads ----------------------------------------------------------

    def numbers(self, now: float, counts: Mapping[str, int]) -> dict[str, Any]:
        """Return what `Ledger` has of it; *counts*: the table's part."""
        self.look(now, counts)
        rates, failed, failure = self._rates(now, counts), self.failed, self.failure
        buckets, batches, seconds, longest, at = self.watch.times()
        calls = sum(buckets)
        return {
            "batches": batches,
            "calls": calls,
            "failed_calls": failed,
            "rates": rates,
            "durations": Durations(buckets, seconds, max(longest, QUICK) if calls else None),
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
