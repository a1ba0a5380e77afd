"""
Which rows of a batch a destination has had, by what it has noted of batches.

A note is made in the transaction that takes the rows: so either both are there, or neither. The
positions of a stored or shared Queue's items are theirs for good, so that a batch is known again
even if it was cut otherwise before a crash; one with gaps is known as a whole.
"""

import json
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ..abc import BatchId
from ..errors import Reject
from .rows import Refused

REMEMBERED = 100_000
"""How many positions of a partition are remembered at least: far more than can be in flight."""

DAYS = 30
"""How long a store is that nothing comes from any more."""


class Note(NamedTuple):
    """What is noted of a batch that was delivered."""

    ending: int
    """The position behind it; first, since what is looked for ends behind where a batch begins."""
    position: int
    gaps: int
    refused: str
    """What of it was refused: JSON, reasons by place."""


def note(batch: BatchId, refused: Mapping[int, BaseException]) -> Note:
    """Return what is to be noted of *batch*."""
    reasons = {place: str(error) for place, error in refused.items()}
    return Note(
        batch.position + batch.size,
        batch.position,
        batch.gaps,
        json.dumps(reasons) if reasons else "",
    )


def known(batch: BatchId, notes: Iterable[Note]) -> tuple[set[int], Refused]:
    """Return the places of *batch* that were delivered, or refused; and why those were."""
    refused = Refused()
    places: set[int] = set()
    ending = batch.position + batch.size
    for each in notes:
        if batch.gaps != each.gaps or (batch.gaps and each[:2] != (ending, batch.position)):
            continue
        shift = each.position - batch.position
        places.update(range(max(0, shift), min(ending, each.ending) - batch.position))
        reasons: dict[str, str] = json.loads(each.refused or "{}")
        for place, reason in reasons.items():
            if 0 <= int(place) + shift < batch.size:
                refused[int(place) + shift] = Reject(reason)
    return places, refused
