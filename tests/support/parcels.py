"""Parcels, steps and claims for tests: each record is one byte, its mark is its number."""

from collections.abc import Sequence

from partitioned_buffer.abc.sharing import Claim, Parcel, Read, SharedStore, Want
from partitioned_buffer.errors import StorageError


def parcel(
    records: str,
    *,
    known: int = 0,
    first: int | None = None,
    partition: int = 0,
    generation: int = 0,
) -> Parcel:
    """Return *records*, a letter each, behind the mark *known*, or from the mark *first* on."""
    first = known + 1 if first is None else first
    last = first + len(records) - 1
    return Parcel(generation, partition, known, first, last, len(records), records.encode())


def append(store: SharedStore, *parcels: Parcel, producer: str = "p") -> list[StorageError | None]:
    return list(store.append(0, producer, parcels))


def claimed(store: SharedStore, partition: int = 0) -> Claim:
    claim = store.claim(partition)
    assert claim is not None
    return claim


def step(
    store: SharedStore,
    claim: Claim,
    settled: int = -1,
    *,
    records: int = 100,
    max_bytes: int = 1 << 20,
    given_up: int = 0,
) -> Read:
    (read,) = store.step(0, [Want(claim, settled, records, max_bytes, given_up)])
    if isinstance(read, StorageError):
        raise read
    assert isinstance(read, Read)
    return read


def text(read: Read) -> str:
    """Return the records of a step."""
    return "".join((chunk.data or b"").decode() for chunk in read.chunks)


def everything(store: SharedStore, partition: int = 0) -> str:
    """Return all records of a partition, as another worker gets them."""
    claim = claimed(store, partition)
    found, settled = "", -1
    while (read := step(store, claim, settled)).chunks:
        found += text(read)
        settled = read.chunks[-1].start + read.chunks[-1].count
    store.release(claim)
    return found


def kinds(found: Sequence[StorageError | None]) -> list[str | None]:
    """Return the names of what became of parcels."""
    return [None if each is None else type(each).__name__ for each in found]
