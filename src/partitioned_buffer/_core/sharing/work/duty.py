"""
Which partitions are this worker's: each worker decides alone, by the same rule.

Of n partitions and w workers each has n // w, and the first n % w of them one more. Who has more
gives back, who has less claims what is free. As long as they see different workers, claims keep
them apart.
"""

import threading
from collections.abc import Sequence


class Duty:
    """Of one worker, called *me* among them."""

    def __init__(self, me: str) -> None:
        self._me = me
        self._workers: Sequence[str] = [me]
        self._lock = threading.Lock()  # of who counts before claiming: a pump per lane
        self._held = set[tuple[int, int]]()

    @property
    def workers(self) -> int:
        """How many there are."""
        return len(self._workers)

    def see(self, workers: Sequence[str]) -> bool:
        """Take note of who is there; return whether that is news."""
        before = self._workers
        self._workers = list(workers) if self._me in workers else sorted([*workers, self._me])
        return self._workers != before

    def order(self, partitions: int) -> list[int]:
        """Return all partitions, those first that this worker should have."""
        workers = self._workers
        begin = workers.index(self._me) * partitions // len(workers)
        return [(begin + step) % partitions for step in range(partitions)]

    def quota(self, partitions: int) -> int:
        """Return how many of them are this worker's."""
        workers = self._workers
        rank, count = workers.index(self._me), len(workers)
        return partitions // count + (rank < partitions % count)

    def may_claim(self, where: tuple[int, int], partitions: int) -> bool:
        """Count one more as held, if there may be; `drop` it if it could not be claimed."""
        with self._lock:
            if where in self._held or len(self._held) >= self.quota(partitions):
                return False
            self._held.add(where)
            return True

    def drop(self, where: tuple[int, int]) -> None:
        """Have one less."""
        with self._lock:
            self._held.discard(where)

    def too_many(self, partitions: int) -> int:
        """Return how many to give back."""
        return max(0, len(self._held) - self.quota(partitions))

    @property
    def held(self) -> int:
        """How many this worker has."""
        return len(self._held)
