"""
Ids of batches in memory: the same items have the same one, as long as nothing is settled.

Only who asks pays for it: what a batch is made of is compared with what was asked for before.
"""

import os
from collections.abc import Sequence
from typing import Any

from ...abc import BatchId
from ..tables.entry import Entry


class Identities:
    """Of one partition."""

    def __init__(self, buffer: str, partition: int) -> None:
        self._buffer, self._partition = buffer, partition
        self._store = os.urandom(8).hex()
        self._position = 0
        self._settled = -1
        self._known: list[tuple[list[Any], BatchId]] = []

    def of(self, batch: Any, settled: int) -> BatchId:
        """Return the id of *batch*, given that so many were *settled* before."""
        content = _content(batch)
        if settled != self._settled:
            self._known, self._settled = [], settled
        for known, identity in self._known:
            if _same(known, content):
                return identity
        made = BatchId(self._buffer, self._store, self._partition, self._position, len(batch))
        self._position += len(batch)
        self._known.append((content, made))
        return made


def _content(batch: Any) -> list[Any]:
    entries = batch.values() if isinstance(batch, dict) else batch
    return [part for item in entries for part in _parts(item)]


def _parts(item: Any) -> Sequence[Any]:
    return item if isinstance(item, Entry) else (item,)


def _same(one: list[Any], other: list[Any]) -> bool:
    return len(one) == len(other) and all(a is b for a, b in zip(one, other, strict=True))
