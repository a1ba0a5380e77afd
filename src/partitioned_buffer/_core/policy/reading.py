"""
What an error says of the items that it is about. In a group, all of its leaves have a say.

    BUSY       come back later: counted for nothing
    OUTAGE     this is no fault of theirs: counted for nothing
    PARTIAL    some of them were delivered, see `names`
    SPLIT      too many, or too large, together
    REJECT     they will never do, together as alone
    NEVER      some of them will never do
    FAILED     nothing more
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from ...errors import Outage, PartialFailure, Reject, RetryAfter, Split
from ..options.retry import Retry

Said = Literal["busy", "outage", "partial", "split", "reject", "never", "failed"]
BUSY: Final = "busy"
OUTAGE: Final = "outage"
PARTIAL: Final = "partial"
SPLIT: Final = "split"
REJECT: Final = "reject"
NEVER: Final = "never"
FAILED: Final = "failed"


@dataclass(frozen=True, slots=True)
class Reading:
    """What an error says; how many seconds to wait at least, and whether everyone is to."""

    said: Said
    seconds: float = 0.0
    everyone: bool = False


def leaves(error: BaseException) -> Iterator[BaseException]:
    """Yield what a group is made of; an error that is none, itself."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from leaves(each)
    else:
        yield error


def read(error: BaseException, retry: Retry) -> Reading:
    """Return what *error* says."""
    all_ = list(leaves(error))
    waits = [(seconds, e) for e in all_ if (seconds := _seconds(e)) is not None]
    seconds = max((seconds for seconds, _ in waits), default=0.0)
    everyone = any(getattr(e, "everyone", False) is True for _, e in waits)
    return Reading(BUSY if len(waits) == len(all_) else _say(all_, retry), seconds, everyone)


def _say(all_: list[BaseException], retry: Retry) -> Said:
    if all(isinstance(e, PartialFailure) for e in all_):
        return PARTIAL
    if any(isinstance(e, (Outage, retry.always)) for e in all_):
        return OUTAGE
    if any(isinstance(e, Split) for e in all_):
        return SPLIT
    if all(isinstance(e, Reject) for e in all_):
        return REJECT
    if all(isinstance(e, Reject) or not retry.covers(e) for e in all_):
        return NEVER
    return FAILED


def _seconds(error: BaseException) -> float | None:
    """Return how long a `RetryAfter` says, if it does: a subclass may have forgotten to."""
    seconds = error.seconds if isinstance(error, RetryAfter) else None
    return seconds if isinstance(seconds, int | float) and 0 <= seconds < math.inf else None
