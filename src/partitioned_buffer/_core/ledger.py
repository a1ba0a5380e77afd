"""
The numbers a buffer owes its user.

The law, at every instant, for each partition and in total:

    accepted = delivered + dead_lettered + dropped + coalesced + deleted + held

Every term is counted where it happens; none is derived from the others, so a
loss would show as a law that does not hold.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any


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
        reasons = dict(self.drop_reasons)
        return numbers | {"drop_reasons": reasons, "held": self.held, "balanced": self.balanced}


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionStats(Ledger):
    """The ledger of one partition."""

    partition: int


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

    def as_dict(self) -> dict[str, Any]:
        """Return every number by its name, a list of `partitions` too, as `json.dumps` takes it."""
        each = [partition.as_dict() for partition in self.partitions]
        return Ledger.as_dict(self) | {"partitions": each}


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


_SUMS = [f.name for f in fields(Ledger) if f.type is int]


def total(partitions: Iterable[PartitionStats], **others: int) -> Stats:
    """Add up the partitions of one buffer."""
    each = tuple(partitions)
    ages = [p.oldest_age for p in each if p.oldest_age is not None]
    reasons = Counter[str]()
    for partition in each:
        reasons.update(partition.drop_reasons)
    return Stats(
        **{name: sum(getattr(p, name) for p in each) for name in _SUMS},
        drop_reasons=dict(reasons),
        oldest_age=max(ages, default=None),
        partitions=each,
        **others,
    )
