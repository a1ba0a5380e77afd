"""
How a buffer does, in a word: what somebody sees before reading any number.

    stopped    it takes no writes
    away       its server cannot be used from here
    outage     nothing that it holds gets through: the last calls raised
    stalled    a call of the processor does not return, or nobody takes what waits
    full       there is no room, or writers wait for some
    failing    a part of what it holds does not get through
    behind     what is held gets older than it should
    flowing    items come, or go
    idle       nothing is held, and nothing comes
"""

from collections.abc import Iterator
from typing import Any, Final

from .. import PartitionStats, Stats

WORDS: Final = (
    *("stopped", "away", "outage", "stalled", "full", "failing", "behind", "flowing", "idle"),
)
"""The worst first."""

SLOW: Final = 3.0
"""How many times longer than the longest before it a call takes that does not return."""
LEAST: Final = 5.0
"""Seconds that it takes at least."""
LATE: Final = 10.0
"""Seconds that an item may be older than two intervals."""
SINCE: Final = 3.0
"""Seconds without success from which on calls that raise are no single bad item's."""
RATED: Final = 10.0
"""Seconds that a rate looks back."""
NEARLY: Final = 0.95
"""Which part of its room is held when a buffer is full, where writers do not wait."""


def states(buffer: Any, stats: Stats) -> list[str]:
    """Return what is to be said of a buffer, the worst first."""
    found = set(_found(buffer, stats))
    return [word for word in WORDS if word in found]


def _found(buffer: Any, stats: Stats) -> Iterator[str]:
    settings, is_late = buffer._settings, _is_late(buffer, stats)
    if not buffer.running:
        yield "stopped"
        return
    if stats.shared is not None and stats.shared.away is not None:
        yield "away"
    failing = _failing(stats, settings.clock.time())
    if failing is not None:
        yield failing
    if _hangs(buffer, stats) or (is_late and failing is None and _nobody_works(settings, stats)):
        yield "stalled"
    elif is_late and failing != "outage":
        yield "behind"
    if _is_full(buffer, stats):
        yield "full"
    rates = stats.rates
    yield "flowing" if stats.held or rates.in_10s or rates.out_10s else "idle"


def _failing(stats: Stats, now: float) -> str | None:
    """Return whether all of what is held fails, a part of it, or none."""
    holding = [part for part in stats.partitions if part.held]
    failing = [part for part in holding if _fails(part, now)]
    if not failing:
        return None
    is_all = len(failing) == len(holding) and not any(_gets_through(part, now) for part in failing)
    return "outage" if is_all else "failing"


def _gets_through(part: PartitionStats, now: float) -> bool:
    """Return whether calls that raise, of a part of their batch, deliver the rest."""
    success = part.last_success
    return part.rates.out_10s > 0 and (success is None or now - success > RATED)


def _fails(part: PartitionStats, now: float) -> bool:
    """Return whether the last call raised, and none went well for a while."""
    failure, success = part.last_failure, part.last_success
    if failure is None or success is None:
        return failure is not None
    return failure.time >= success and now - success >= SINCE


def _hangs(buffer: Any, stats: Stats) -> bool:
    """Return whether a call takes far longer than any before it."""
    settings, longest = buffer._settings, stats.longest
    patience = settings.processing_timeout
    if longest is not None:
        patience = min(patience, max(LEAST, SLOW * longest))
    since = settings.clock.monotonic() - patience
    return bool(stats.overdue or buffer._run.overdue(since))


def _is_late(buffer: Any, stats: Stats) -> bool:
    limit = 2 * buffer._settings.processing_interval + LATE
    return stats.oldest_age is not None and stats.oldest_age > limit


def _nobody_works(settings: Any, stats: Stats) -> bool:
    """Return whether nothing has been done for a while about what waits."""
    rates, patience = stats.rates, settings.processing_timeout
    if stats.in_flight or rates.out_10s or rates.failed_10s:
        return False
    # What other processes have in hand of a shared buffer is not known here.
    return stats.shared is None or (stats.oldest_age or 0.0) > patience


def _is_full(buffer: Any, stats: Stats) -> bool:
    settings = buffer._settings
    limits = [settings.max_size, getattr(settings.storage, "limit", None)]
    if stats.blocked or any(limit and stats.held >= NEARLY * limit for limit in limits):
        return True
    room = buffer._admission.room
    used = getattr(room, "used_bytes", 0)
    return bool(settings.max_bytes and used >= NEARLY * settings.max_bytes)
