"""
What a shared storage under test has to be given, and what its tests share.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import SkipTest

from .... import StorageError
from ....abc.sharing import Claim, Layout, Parcel, Read, SharedStore, SharedTerms, Want
from ..base import NAME
from ..watched import Renamed


class SharedBase:
    """What a subclass gives, and may give."""

    def make(self, tmp_path: Path) -> Any:
        """Return a new storage, of which nobody has seen anything yet."""
        raise NotImplementedError

    def make_limited(self, tmp_path: Path, limit: int) -> Any:  # noqa: ARG002  # for who can
        """Return a new storage whose partitions hold *limit* records together."""
        raise SkipTest("make_limited() is not given")

    def forgets(self, storage: Any, records: int) -> None:
        """
        Have the server lose the last *records* of partition 0, as one that had not saved them.

        These are one parcel. Unless given, *storage* has a method `forgets(records)`.
        """
        _given(storage, "forgets")(records)

    def expire(self, storage: Any, partition: int) -> None:
        """
        End the claim of a partition as if its owner had not been heard of for its lease.

        Unless given, *storage* has a method `expire(partition)`.
        """
        _given(storage, "expire")(partition)

    def lose_reply(self, storage: Any) -> None:
        """
        Have the next append or step of the stores of *storage* done, and its reply lost.

        Unless given, *storage* has a number `loses_replies`.
        """
        _given(storage, "loses_replies")
        storage.loses_replies = 1

    def recode(self, storage: Any) -> None:
        """Have *storage* be one with another codec; unless given, its `codec` can be set."""
        try:
            storage.codec = Renamed(storage.codec)
        except AttributeError:
            raise SkipTest("recode() is not given") from None

    def resize(self, store: Any, partitions: int) -> None:
        """
        Give the buffer that *store* has open other partitions.

        Unless given, *store* has a method `resize(partitions)`.
        """
        _given(store, "resize")(partitions)

    # --- what the tests use

    @contextmanager
    def site(
        self,
        tmp_path: Path,
        partitions: int | None = 1,
        *,
        limit: int | None = None,
        kind: str = "Queue",
    ) -> "Generator[Site]":
        """Make a new storage, and close its stores at the end."""
        made = self.make(tmp_path) if limit is None else self.make_limited(tmp_path, limit)
        site = Site(made, partitions, kind)
        try:
            yield site
        finally:
            site.close()


def _given(thing: Any, name: str) -> Any:
    if not hasattr(thing, name):
        raise SkipTest(f"{name} is not given")
    return getattr(thing, name)


class Site:
    """A storage, and what processes have open of it."""

    def __init__(self, storage: Any, partitions: int | None, kind: str) -> None:
        self.storage, self._partitions, self._kind = storage, partitions, kind
        self._stores: list[SharedStore] = []

    def open(self, **terms: Any) -> Any:
        """Return a store as another process has it."""
        wanted = SharedTerms(NAME, self._kind, self._partitions, "a test")
        store = self.storage.share(wanted._replace(**terms))
        self._stores.append(store)
        return store

    def close(self) -> None:
        """Close all stores."""
        for store in self._stores:
            store.close()


def lane_of(layout: Layout, partition: int) -> int:
    """Return the lane of a partition."""
    (lane,) = (lane for lane, those in enumerate(layout.lanes) if partition in those)
    return lane


class Sender:
    """A producer: it marks its records, and knows what is there."""

    def __init__(self, store: Any, name: str = "a producer") -> None:
        self.store, self.name, self.mark = store, name, 0
        self.known: dict[tuple[int, int], int] = {}

    def parcel(self, partition: int, *items: Any, known: int | None = None) -> Parcel:
        """Return the next records as a parcel."""
        first, generation = self.mark + 1, self.store.layout.generation
        self.mark += len(items)
        if known is None:
            known = self.known.get((generation, partition), 0)
        data = self.store.codec.pack(items)
        return Parcel(generation, partition, known, first, self.mark, len(items), data)

    def send(self, parcel: Parcel) -> StorageError | None:
        """Return what becomes of *parcel*."""
        lane = lane_of(self.store.layout, parcel.partition)
        (answer,) = self.store.append(lane, self.name, [parcel])
        if answer is None:
            self.known[parcel.generation, parcel.partition] = parcel.last
        assert answer is None or isinstance(answer, StorageError)
        return answer

    def write(self, partition: int, *items: Any) -> None:
        """Have *items* there."""
        answer = self.send(self.parcel(partition, *items))
        assert answer is None, answer

    def resend(self, parcel: Parcel) -> None:
        """Send *parcel*, whose reply gets lost, until it is there."""
        assert failure(lambda: self.send(parcel)) is not None, "no reply was lost"
        assert self.send(parcel) is None


def failure(call: Any) -> StorageError | None:
    """Return the error that *call* raises, or returns."""
    try:
        result = call()
    except StorageError as error:
        return error
    return result if isinstance(result, StorageError) else None


class Worker:
    """Who has the claim of a partition: it checks that nothing is skipped, or comes twice."""

    def __init__(self, store: Any, partition: int = 0) -> None:
        claim = store.claim(partition)
        assert claim is not None, "somebody has it"
        self.store, self.partition = store, partition
        self.claim: Claim = claim
        self.items: list[Any] = []
        self.began = -1
        self.position = -1
        """What it has read up to."""
        self.settled = -1

    def want(self, records: int = 1000, max_bytes: int = 1 << 20) -> Want:
        """Return what it asks for."""
        return Want(self.claim, self.settled, records, max_bytes)

    def step(self, records: int = 1000, max_bytes: int = 1 << 20) -> Read:
        """Step once, and take what it brings."""
        (read,) = self.store.step(self.lane, [self.want(records, max_bytes)])
        return self.take(read)

    @property
    def lane(self) -> int:
        """The lane of its partition."""
        return lane_of(self.store.duty, self.partition)

    def take(self, read: Read | StorageError) -> Read:
        """Take what a step has brought; raise what it has not."""
        if isinstance(read, StorageError):
            raise read
        if self.position < 0:
            self.began = self.position = read.settled
            if read.chunks:
                assert read.chunks[0].start <= self.position, "something is skipped"
        elif read.chunks:
            assert read.chunks[0].start == self.position, "read on where it had read up to"
        for start, count, data in read.chunks:
            assert start <= self.position < start + count, "chunk after chunk"
            assert data is not None
            items = self.store.codec.decode(data, count)
            assert len(items) == count
            self.items += items[self.position - start :]
            self.position = start + count
        assert self.position <= read.end
        return read

    def drain(self, records: int = 1000, max_bytes: int = 1 << 20) -> list[Any]:
        """Read all there is, and return all that was read."""
        while self.step(records, max_bytes).end > self.position:
            pass
        return self.items

    def settle(self, records: int | None = None) -> Read:
        """Settle the first *records* that it has read, or all."""
        self.settled = self.position if records is None else self.began + records
        return self.step(0)

    def lost(self) -> StorageError | None:
        """Return what a step fails with."""
        return failure(lambda: self.store.step(self.lane, [self.want(0)])[0])


def read_all(store: Any, partition: int = 0) -> list[Any]:
    """Return what a partition holds, and give its claim back."""
    worker = Worker(store, partition)
    items = worker.drain()
    store.release(worker.claim)
    return items


def depth_of(store: Any, partition: int = 0) -> Any:
    """Return how it is with a partition of `layout`."""
    depths: Sequence[Any] = store.depth()
    where = store.layout.generation, partition
    (depth,) = (each for each in depths if (each.generation, each.partition) == where)
    return depth
