"""A partition of a shared Map in memory, that is written to and delivered from by hand."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from partitioned_buffer._core.backing.map.log import kinds_of, read
from partitioned_buffer._core.sharing.front.unsent import Unsent, value_of
from partitioned_buffer.abc.shared_map import HEAD, VERSIONED
from partitioned_buffer.abc.sharing import Claim, Parcel, SharedTerms, Swap, Want
from partitioned_buffer.testing.sharing import SharedDict


class Known(NamedTuple):
    """What a record says."""

    value: Any
    version: int | None
    updates: int
    hash: int


class Says(NamedTuple):
    """How it is with the partition."""

    waiting: dict[bytes, Known]
    flying: dict[bytes, Known]
    versions: dict[bytes, int]
    counts: tuple[int, int, int, tuple[int, int] | None]
    """Accepted, held, given up; and the swap."""
    coalesced: int
    deleted: int


class MapLines:
    """It, and who writes to it."""

    def __init__(self, merge: Any) -> None:
        self.shared, self._merge = SharedDict(partitions=1), merge
        self._store = self.shared.share(SharedTerms("map", "Map", None, "host:1"))
        claim = self._store.claim(0)
        assert claim is not None
        self._claim: Claim = claim
        self._mark = self._swap = 0

    def append(self, unsent: Unsent) -> int:
        """Send one op; return 1 if it was of a version that was not newer."""
        before = self.shared.waiting()
        self._mark += 1
        mark, op = self._mark, unsent.op
        parcel = Parcel(0, 0, mark - 1, mark, mark, 1, b"", [op], unsent.tally)
        assert self._store.append(0, "producer", [parcel]) == [None]
        return int(bool(unsent.flags & VERSIONED) and self.shared.waiting() == before)

    def swap(self) -> None:
        """Put in flight what waits, if nothing is."""
        self._step(1000)

    def settle(self, *, given_up: bool = False) -> None:
        """Settle all that is in flight."""
        keys = list(self.shared.flying())
        self._step(0, *(((), keys) if given_up else (keys, ())))

    def _step(
        self, records: int, delivered: Sequence[bytes] = (), buried: Sequence[bytes] = ()
    ) -> None:
        want = Want(self._claim, self._swap, records, 1 << 20, 0, delivered, buried)
        (swap,) = self._store.step(0, [want])
        assert isinstance(swap, Swap)
        self._swap = swap.number

    def says(self) -> Says:
        """Return how it is."""
        (depth,) = self._store.depth()
        return Says(
            self._known(self.shared.waiting()),
            self._known(self.shared.flying()),
            self.shared.versions(),
            (depth.appended, depth.appended - depth.settled, depth.dead, depth.swap),
            depth.coalesced,
            depth.deleted,
        )

    def _known(self, records: dict[bytes, bytes]) -> dict[bytes, Known]:
        return {key: self._of(record) for key, record in records.items()}

    def _of(self, record: bytes) -> Known:
        mode, flags, version, updates, hashed = HEAD.unpack_from(record)
        value = value_of(mode, record[HEAD.size :], self.shared.codec, self._merge)
        return Known(value, version if flags & VERSIONED else None, updates, hashed)


def kept(data: bytes, shared: SharedDict) -> Iterator[tuple[Any, Any, int | None]]:
    """Yield key, value and version of each entry of a dead letter."""
    count = len(kinds_of(data))
    columns = read(data, count)
    for _, _, key, value, version, _ in columns.ops(shared.codec.decode(columns.values, count)):
        yield shared.keys.decode(key), value, version
