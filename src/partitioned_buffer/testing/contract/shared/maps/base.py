"""
What the tests of shared Maps have: a producer and a worker, after whose calls the books balance.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..... import StorageError
from .....abc.sharing import Claim, MapOp, Parcel, Swap, Tally, Want
from ..base import Sender, SharedBase, Site, depth_of, failure, lane_of
from .ops import Key, Seen, raw, seen, tally_of

MOST = 1 << 40


class MapBase(SharedBase):
    """What a subclass gives is as for Queues; and what the tests of Maps use."""

    def forgets(self, storage: Any, records: int) -> None:
        """Have the server lose the last parcel of partition 0: puts of keys that begin `lost`."""
        super().forgets(storage, records)

    @contextmanager
    def map(
        self, tmp_path: Path, partitions: int = 1, *, limit: int | None = None, **terms: Any
    ) -> "Generator[Shared]":
        """Make a new storage of a Map, and close its stores at the end."""
        with self.site(tmp_path, partitions, limit=limit, kind="Map") as site:
            yield Shared(site, terms)


class Shared:
    """A Map that is shared, a producer of it, and what the test knows of its numbers."""

    def __init__(self, site: Site, terms: dict[str, Any]) -> None:
        self.site, self._terms = site, terms
        self.store = self.open()
        self.sender = MapSender(self.store)
        self.accepted = self.delivered = self.dead = 0

    def open(self) -> Any:
        """Return another store."""
        return self.site.open(**self._terms)

    def write(self, *ops: MapOp, partition: int = 0) -> None:
        """Have *ops* done, in one parcel."""
        assert self.send(self.sender.ops(*ops, partition=partition)) is None

    def send(self, parcel: Parcel) -> StorageError | None:
        """Return what becomes of *parcel*; unless it was sent before, it counts."""
        answer = self.sender.send(parcel)
        if answer is None:
            self.accepted += parcel.tally.accepted
        self.check()
        return answer

    def again(self, parcel: Parcel) -> StorageError | None:
        """Send what was there already."""
        answer = self.sender.send(parcel)
        self.check()
        return answer

    def worker(self, store: Any = None, partition: int = 0) -> "MapWorker":
        """Return a worker that has the claim of a partition."""
        return MapWorker(self, self.open() if store is None else store, partition)

    def worker_after(self, worker: "MapWorker") -> "MapWorker":
        """Have *worker* give its claim back; return another one, that has it."""
        worker.leave()
        return self.worker(partition=worker.partition)

    def found(self, key: Key, partition: int = 0) -> tuple[Seen | None, Seen | None]:
        """Return what waits of *key*, and what is in flight."""
        found = self.store.get(partition, raw(key), self.sender.name)
        return seen(raw(key), found.waiting), seen(raw(key), found.flying)

    def waiting(self, key: Key) -> Seen | None:
        """Return what waits of *key*."""
        return self.found(key)[0]

    def numbers(self, partition: int = 0) -> tuple[int, int]:
        """Return how many were coalesced, and deleted."""
        depth = depth_of(self.store, partition)
        return depth.coalesced, depth.deleted

    def held(self) -> int:
        """Return how many there are."""
        return sum(depth.appended - depth.settled for depth in self.store.depth())

    def check(self) -> None:
        """See that what was accepted is delivered, dead, coalesced, deleted, or held."""
        depths = self.store.depth()
        for depth in depths:
            waits, flies = depth.goal - depth.passed > 0, depth.appended > depth.settled
            assert waits == flies, "a flush waits for what is held, and for nothing else"
            assert (depth.oldest is None) != flies
        dead = sum(depth.dead for depth in depths)
        others = sum(depth.coalesced + depth.deleted for depth in depths)
        assert sum(depth.appended for depth in depths) == self.accepted
        assert dead == self.dead
        settled = sum(depth.settled for depth in depths)
        assert settled - dead - others == self.delivered


class MapSender(Sender):
    """A producer of a Map."""

    def ops(
        self,
        *ops: MapOp,
        partition: int = 0,
        known: int | None = None,
        tally: Tally | None = None,
    ) -> Parcel:
        """Return the next ops as a parcel."""
        first, generation = self.mark + 1, self.store.layout.generation
        self.mark += len(ops)
        if known is None:
            known = self.known.get((generation, partition), 0)
        counted = tally_of(ops) if tally is None else tally
        return Parcel(generation, partition, known, first, self.mark, len(ops), b"", ops, counted)


class MapWorker:
    """Who has the claim of a Map's partition: it checks what steps bring."""

    def __init__(self, shared: Shared, store: Any, partition: int) -> None:
        claim = store.claim(partition)
        assert claim is not None, "somebody has it"
        self.claim: Claim = claim
        self.shared, self.store, self.partition = shared, store, partition
        self.number = -1
        """The swap that it has read of."""
        self.hand: dict[bytes, Seen | None] = {}
        """What it has read, and has not settled."""
        self.last: Swap | None = None

    def want(self, records: int = 1000, max_bytes: int = MOST, **keys: Any) -> Want:
        """Return what it asks for."""
        return Want(self.claim, self.number, records, max_bytes, **keys)

    def ask(self, want: Want) -> Swap | StorageError:
        """Return what a step brings."""
        (answer,) = self.store.step(lane_of(self.store.duty, self.partition), [want])
        assert isinstance(answer, Swap | StorageError)
        return answer

    def step(self, records: int = 1000, max_bytes: int = MOST, **keys: Any) -> Swap:
        """Step once, and take what it brings."""
        answer = self.ask(self.want(records, max_bytes, **keys))
        if isinstance(answer, StorageError):
            raise answer
        self.take(answer, records)
        self.shared.check()
        return answer

    def take(self, swap: Swap, records: int) -> None:
        """Take what a step has brought."""
        if swap.number != self.number:
            assert swap.number > self.number, "swaps are numbered"
            self.number = swap.number
            self.hand.clear()  # what was deleted in hand
        assert records or not swap.entries
        for key, record in swap.entries:
            self.hand[key] = seen(key, record)
        assert not swap.is_all or swap.left <= len(self.hand), "it has been given all"
        held = depth_of(self.shared.store, self.partition)
        assert swap.left + swap.waiting == held.appended - held.settled
        assert held.swap == (
            swap.number + (swap.waiting > 0), swap.number - (swap.left > 0)
        )  # fmt: skip
        self.last = swap

    def read(self, records: int = 1000, max_bytes: int = MOST) -> dict[bytes, Seen | None]:
        """Read all of the swap, and return what it has in hand."""
        for _ in range(100_000):
            if self.step(records, max_bytes).is_all:
                return self.hand
        raise AssertionError("it does not end")

    def settle(self, *keys: Key, records: int = 0, buried: Sequence[Key] = ()) -> Swap:
        """Settle *keys*, delivered; or all that it has in hand."""
        those = [raw(key) for key in keys]
        gone = [raw(key) for key in buried]
        if not those and not gone:
            those = list(self.hand)
        self.shared.delivered += sum(self.flies(key) for key in those)
        self.shared.dead += len(gone)
        for key in those + gone:
            self.hand.pop(key, None)
        return self.step(records, delivered=those, buried=gone)

    def flies(self, key: bytes) -> bool:
        """Return whether *key* is in flight."""
        return self.shared.found(key, self.partition)[1] is not None

    def cycle(self) -> dict[bytes, Seen | None]:
        """Deliver a whole swap; return what it had."""
        found = dict(self.read())
        self.settle()
        return found

    def bury(self, *keys: Key) -> None:
        """Keep *keys* as given up; they are not settled by that."""
        self.store.bury(self.claim, b"data", len(keys), "an error", 1)
        self.shared.check()

    def give_up(self, *keys: Key) -> None:
        """Settle *keys* as given up, and not kept."""
        self.settle(buried=keys)

    def lost(self) -> StorageError | None:
        """Return what a step fails with."""
        return failure(lambda: self.ask(self.want(0)))

    def leave(self) -> None:
        """Give the claim back."""
        self.store.release(self.claim)
