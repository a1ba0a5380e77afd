"""
Which partition a hash is of: for who writes, and for a storage that deals anew what it holds.

Keys are hashed into a prime number of *slots*, and the slots are dealt out to the partitions in a
shuffled but fixed order. `hash(key) % partitions` alone would send ids that are multiples of 8 (or
of 4096, as Snowflake ids often are) to one of 8 partitions; a prime with shuffled slots spreads
them, at no cost to the one who writes.
"""

import random
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeVar

P = TypeVar("P")

_SLOTS_PER_PARTITION = 64
"""A partition's share of the slots is uneven by at most one slot: under 2 %."""


def deal_slots(partitions: Sequence[P]) -> tuple[P, ...]:
    """Return which partition each slot belongs to."""
    count = _next_prime(len(partitions) * _SLOTS_PER_PARTITION)
    slots = [partitions[i % len(partitions)] for i in range(count)]
    random.Random(0).shuffle(slots)
    return tuple(slots)


@lru_cache(maxsize=16)
def slot_numbers(partitions: int) -> tuple[int, ...]:
    """
    Return which of so many partitions each slot belongs to: always the same, for stores.

    The slot of a hash is the remainder of a division by how many there are.
    """
    return deal_slots(range(partitions))


def _next_prime(number: int) -> int:
    while any(number % divisor == 0 for divisor in range(2, int(number**0.5) + 1)):
        number += 1
    return number
