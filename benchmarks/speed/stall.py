"""
A run whose sink stalls for a minute: what is held, and how old it is, second by second.

Time is a fake clock's, so that it comes out the same each time, and is over at once.
"""

from typing import NamedTuple

import partitioned_buffer
from partitioned_buffer.testing import FakeClock

RATE = 1000
"""Pushes per second."""
BATCH, TAKES = 200, 0.05
"""What the sink takes at once, and the seconds that it needs for it: four times `RATE`."""
STALL = (30.0, 90.0)
END = 130
STEPS = 2
"""Looks at the numbers, per second."""


class Look(NamedTuple):
    """What `stats()` says at a time."""

    at: float
    held: int
    age: float


def run() -> list[Look]:
    """Return what there was to see."""
    clock, looks = FakeClock(), list[Look]()

    def sink(_: list[int]) -> None:
        begun, (since, until) = clock.monotonic(), STALL
        pause = clock.signal()
        pause.wait(until - begun if since <= begun < until else TAKES)
        pause.close()

    with partitioned_buffer.Queue[int](
        "stalled",
        sink,
        partitions=1,
        processing_interval=1.0,
        processing_batch_size=BATCH,
        processing_timeout=600.0,  # it is told of elsewhere that a call takes long
        clock=clock,
    ) as queue:
        for step in range(END * STEPS):
            queue.push_all(range(RATE // STEPS))
            clock.advance(1 / STEPS)
            stats = queue.stats()
            looks.append(Look((step + 1) / STEPS, stats.held, stats.oldest_age or 0.0))
    return looks
