"""
The numbers a buffer owes its user.

The law, at every instant, for each partition and in total:

    accepted = delivered + dead_lettered + dropped + coalesced + deleted + held

Every term is counted where it happens; none is derived from the others, so a
loss would show as a law that does not hold.

What is measured beside it (see `measures`) is not part of the law.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from .measures import Durations, Failure, Rates


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """What became of the writes that were accepted."""

    accepted: int
    """Writes that returned, and what was recovered."""
    recovered: int
    """How many of these were in the buffer's storage when it was opened."""
    delivered: int
    """Given to the processor, which returned."""
    dead_lettered: int
    """Given up after failing, and handed to the dead letter handler."""
    dropped: int
    """Given up without being tried; announced by `ItemsDropped`."""
    drop_reasons: Mapping[str, int]
    """How many of these for which reason."""
    coalesced: int
    """Overwritten by a newer write of the same key, or older than what was there."""
    deleted: int
    """Removed by `delete()` before they were delivered."""
    waiting: int
    """In the current table."""
    in_flight: int
    """Taken by a processing cycle and not yet delivered."""
    oldest_age: float | None
    """Seconds that the oldest held item has been here at most; None when nothing is held."""
    restarts: int
    """How often a worker died of an unexpected error and was restarted."""
    overdue: int
    """How many partitions wait for a call of the processor that has exceeded
    `processing_timeout`."""
    batches: int = 0
    """How many batches the processor was given; one that is tried again, or in parts, counts once
    for its first attempt."""
    calls: int = 0
    """How many calls of the processor have ended."""
    failed_calls: int = 0
    """How many of these raised."""
    rates: Rates = Rates()
    """How much was accepted, delivered and failed per second: see [`Rates`](#rates)."""
    durations: Durations = Durations()
    """How long the processor took: see [`Durations`](#durations)."""
    last_success: float | None = None
    """When a call of the processor returned last, by the wall clock; None before the first."""
    last_failure: Failure | None = None
    """What a call raised last, and when: `time`, `type` and `message`. It stays, whatever comes
    after it."""
    retry_in: float | None = None
    """Seconds until the next attempt, at the latest, where what is in flight waits for that, and is
    not with the processor; of several partitions, the next one's. None where none waits so."""

    @property
    def p50(self) -> float | None:
        """Seconds that half of the calls of the processor took at most, right to 14 %."""
        return self.durations.quantile(0.5)

    @property
    def p99(self) -> float | None:
        """Seconds that 99 of 100 calls of the processor took at most, right to 14 %."""
        return self.durations.quantile(0.99)

    @property
    def longest(self) -> float | None:
        """Seconds that the longest call of the processor took that has ended."""
        return self.durations.longest

    @property
    def held(self) -> int:
        """Waiting or in flight."""
        return self.waiting + self.in_flight

    @property
    def balanced(self) -> bool:
        """Whether the law holds."""
        settled = self.delivered + self.dead_lettered + self.dropped + self.coalesced + self.deleted
        return self.accepted == settled + self.held

    def as_dict(self) -> dict[str, Any]:
        """Return every number by its name, `held` and `balanced` too, as `json.dumps` takes it."""
        numbers: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        failure = self.last_failure
        return numbers | {
            "drop_reasons": dict(self.drop_reasons),
            "rates": self.rates.as_dict(),
            "durations": self.durations.as_dict(),
            "last_failure": None if failure is None else failure.as_dict(),
            **{name: getattr(self, name) for name in DERIVED},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionStats(Ledger):
    """The ledger of one partition."""

    partition: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedStats:
    """What a process knows of the server of its shared buffer."""

    shipped: int
    """How many records this process has brought there."""
    front: int
    """How many wait in this process to be brought there."""
    workers: int
    """How many processes deliver; 0 where this one does not, and so does not know."""
    owners: Mapping[int, str]
    """Who delivers which partition."""
    gaps: int
    """How often the server had less of this process than it had acknowledged."""
    lost: int
    """How many records those were."""
    away: str | None
    """What keeps this process from the server now."""
    age: float | None
    """Seconds since the server was asked for the numbers; None: it was not yet."""

    def as_dict(self) -> dict[str, Any]:
        """Return every number by its name, as `json.dumps` takes it."""
        numbers: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        return numbers | {"owners": {str(p): owner for p, owner in self.owners.items()}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats(Ledger):
    """The ledger of a buffer, in total and per partition."""

    hook_errors: int
    """How often a hook raised. Its first error is in the log."""
    dead_letter_errors: int
    """How often the dead letter handler raised. Its first error is in the log."""
    blocked: int
    """How many writers wait for room."""
    partitions: tuple[PartitionStats, ...]
    shared: SharedStats | None = None
    """Of a shared buffer, whose other numbers are those of all processes together."""

    def as_dict(self) -> dict[str, Any]:
        """Return every number by its name, a list of `partitions` too, as `json.dumps` takes it."""
        each = [partition.as_dict() for partition in self.partitions]
        shared = None if self.shared is None else self.shared.as_dict()
        return Ledger.as_dict(self) | {"partitions": each, "shared": shared}


@dataclass(frozen=True, slots=True)
class StopReport:
    """What a `stop()` achieved."""

    delivered: int
    """Items delivered between the call and its end."""
    dead_lettered: int
    """Items dead-lettered in that time."""
    left: Sequence[Any]
    """What could not be delivered, in order per partition: items of a Queue, entries of a Map.
    The buffer still holds it, and a later `start()` goes on with it. A tuple; of a stored buffer,
    a sequence that knows its length, and reads the store when it is gone through."""


DERIVED = ("held", "balanced", "p50", "p99", "longest")
"""What `as_dict()` has beside the fields."""

_SUMS = [f.name for f in fields(Ledger) if f.type is int]


def total(partitions: Iterable[PartitionStats], **others: Any) -> Stats:
    """Add up the partitions of one buffer."""
    each = tuple(partitions)
    ages = [p.oldest_age for p in each if p.oldest_age is not None]
    successes = [p.last_success for p in each if p.last_success is not None]
    retries = [p.retry_in for p in each if p.retry_in is not None]
    failures = [p.last_failure for p in each if p.last_failure is not None]
    reasons = Counter[str]()
    for partition in each:
        reasons.update(partition.drop_reasons)
    return Stats(
        **{name: sum(getattr(p, name) for p in each) for name in _SUMS},
        drop_reasons=dict(reasons),
        oldest_age=max(ages, default=None),
        rates=sum((p.rates for p in each), Rates()),
        durations=sum((p.durations for p in each), Durations()),
        last_success=max(successes, default=None),
        last_failure=max(failures, key=lambda failure: failure.time, default=None),
        retry_in=min(retries, default=None),
        partitions=each,
        **others,
    )
