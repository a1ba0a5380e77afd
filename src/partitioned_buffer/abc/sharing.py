"""
Where what is accepted waits for many processes: what a shared storage has to do.

    producers: front ─► append, exactly once ─► partitions ─► step ─► window ─► processor: workers
                                                     ▲ settled, a prefix  │
                                                     └────────────────────┘

A partition is delivered by whoever has its *claim*, a lease with a token. Partitions that are
reached over the same connection make a *lane*: what one lane cannot reach holds up no other.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

from ..errors import StorageError
from .outcomes import ClaimLost, Gap, Part, Sealed, StorageAway
from .shared_map import Found, MapOp, Swap, Tally
from .storing import Chunk, Codec, Keys

__all__ = [
    "Claim", "ClaimLost", "Depth", "Found", "Gap", "Layout", "MapOp", "Parcel", "Part", "Read",
    "Sealed", "SharedStorage", "SharedStore", "SharedTerms", "StorageAway", "Swap", "Tally", "Want",
]  # fmt: skip


class SharedTerms(NamedTuple):
    """What a buffer opens a shared store for."""

    name: str
    kind: str
    """`"Queue"` or `"Map"`."""
    partitions: int | None
    """None: as many as are pinned there; the first to open pins 8."""
    producer: str
    """Who opens it, for people: a host and a process."""
    remember: int = 100_000
    """How many versions of delivered keys a Map's partition remembers; 0: none."""


class Parcel(NamedTuple):
    """
    Records of one producer for one partition, sent as they are until they are there.

    Each record of a producer has a *mark*, from 1, greater than those of all before it. `known` is
    the mark of the producer's last record that the partition is known to have (0: none; -1: not
    known, what is had is had; `first` or more: never taken, only asked), `first` and `last` those
    of the first and last one here. A layout's *generation* may be an earlier one by now.
    """

    generation: int
    partition: int
    known: int
    first: int
    last: int
    count: int  # type: ignore[assignment]  # instead of a tuple's method
    data: bytes
    """A Queue's records, as its codec joins them."""
    ops: Sequence[MapOp] = ()
    """A Map's, instead. A key may come more than once: then the later op is to be done later."""
    tally: Tally = Tally()


class Layout(NamedTuple):
    """How records are dealt out, of one generation: each resize begins another."""

    generation: int
    partitions: int
    lanes: tuple[tuple[int, ...], ...]


class Claim:
    """The right to deliver a partition, until it ends or is lost."""

    __slots__ = ("generation", "partition", "state", "token", "until")

    def __init__(
        self, generation: int, partition: int, token: int, until: float, state: Any = None
    ) -> None:
        self.generation, self.partition = generation, partition
        self.token = token
        """Greater than that of any claim of this partition before."""
        self.until = until
        """When it ends, by `time.monotonic()` of this process; each `step` moves it."""
        self.state = state
        """The store's own."""


class Want(NamedTuple):
    """What one claim asks of a step."""

    claim: Claim
    settled: int
    """
    Everything before this position is settled; -1: nothing has been read yet. Of a Map: the number
    of the swap whose keys are settled; those of another are not.
    """
    records: int
    """About how many records to read on; 0: none."""
    max_bytes: int
    given_up: int = 0
    """Of a Queue: how many of those that this claim has ever settled were given up, kept or not."""
    delivered: Sequence[bytes] = ()
    """A Map's keys that are settled, and whose versions are to be remembered."""
    buried: Sequence[bytes] = ()
    """... that were given up, kept or not: what is remembered of them stays."""
    may_swap: bool = True
    """... whether another swap may be: not while any of this one is in hand, deleted or not."""


class Read(NamedTuple):
    """What a step has brought."""

    settled: int
    """Everything before this position is settled. Where the first step begins to read."""
    chunks: Sequence[Chunk]
    """What comes next, in order; the first may begin before `settled`."""
    end: int
    """The position that the next record of the partition gets."""


class Depth(NamedTuple):
    """How it is with one partition."""

    generation: int
    partition: int
    appended: int
    """How many records it has ever had."""
    settled: int
    """How many of these are delivered, or given up."""
    dead: int
    """How many of these were given up, ever."""
    kept: int
    """How many of those are kept, and not dealt with yet."""
    oldest: float | None
    """Seconds that the oldest one that is held has been there; None: nothing is held."""
    owner: str | None
    """Who has its claim."""
    coalesced: int = 0
    """Of a Map: how many of those that are settled others have replaced or taken in."""
    deleted: int = 0
    """Likewise: how many were deleted."""
    swap: tuple[int, int] | None = None
    """Likewise: the number that the swap has, or will have, with which the last one that is held
    goes; and that of the last swap of which nothing is in flight any more."""

    @property
    def goal(self) -> int:
        """What `passed` has to reach for all that is held now to be settled."""
        return self.appended if self.swap is None else self.swap[0]

    @property
    def passed(self) -> int:
        """See `goal`."""
        return self.settled if self.swap is None else self.swap[1]


class SharedStore(Protocol):
    """
    An open shared storage.

    It blocks, for one timeout of its own at most, and may be used by several threads; each lane's
    `append` by one at a time, each lane's `step` by one at a time. Whatever it raises is a
    `StorageError`: `StorageAway` if the same may be tried again, `StorageRefused` if that makes
    no sense. Anything may have happened or not where it raises `StorageAway`; the same again does
    no harm then.
    """

    where: str
    """The server, for people."""
    identity: str
    """What tells the buffer that is kept there from all others; the same in every process."""
    codec: Codec
    me: str
    """What this process is called among the workers, and nobody else."""
    lease: float
    """Seconds that a claim lasts."""
    warnings: Sequence[str]
    """What is risky about the server's settings, in sentences that name the server."""
    layout: Layout
    """Where records are to be appended."""
    duty: Layout
    """What is to be delivered: an earlier layout, as long as it holds anything."""

    def refresh(self) -> bool:
        """Look for another layout, or duty; return whether there is one."""
        ...

    def append(
        self, lane: int, producer: str, parcels: Sequence[Parcel], /
    ) -> Sequence[StorageError | None]:
        """
        Append each of *parcels* once, however often it is sent, in one round trip.

        Each is there whole, or not at all. Returns what became of each: None, it is there;
        `StorageAway`: send it again as it is; `StorageFull`: the same, later; `Gap`; `Part`;
        `Sealed`; `StorageRefused`.
        """
        ...

    def retire(self, producer: str, /) -> None:
        """Forget a *producer* that sends nothing any more."""

    def beat(self, *, leave: bool = False) -> Sequence[str]:
        """Be among the workers for another lease; return all of them, in an order for all."""
        ...

    def claim(self, partition: int, /) -> Claim | None:
        """Claim a partition of `duty`; None: somebody has it."""
        ...

    def release(self, claim: Claim, /) -> None:
        """Give it back."""

    def step(self, lane: int, wants: Sequence[Want], /) -> Sequence[Read | Swap | StorageError]:
        """
        For each claim, of one lane: stay its owner, forget what is settled, and read on.

        Reads on behind what this claim has been given before. In one round trip; what becomes of
        one is no affair of the others: `ClaimLost`, or `StorageAway`. Of a Map it first puts in
        flight what waits, if nothing is in flight and something is wanted, and brings a `Swap`.
        """
        ...

    def get(self, partition: int, key: bytes, producer: str, /) -> Found:
        """Return what the Map has of *key* in a partition of `layout`; or raise `Sealed`."""
        ...

    def bury(self, claim: Claim, data: bytes, count: int, error: str, attempts: int, /) -> None:
        """Keep *count* records, given up: dead when a `step` settles them; raise `ClaimLost`."""

    def depth(self) -> Sequence[Depth]:
        """Return how it is with each partition of each layout there has been."""
        ...

    def listen(self, heard: Callable[[int], object], /) -> Callable[[], None]:
        """
        Call *heard*, in a thread of the store's own, with each partition that is not empty any
        more, with -1 when something may have been missed, with -2 when somebody waits for a flush,
        and with -3 when a partition is free that had an owner, or a worker has come or gone.
        Returns what ends that.
        """
        ...

    def hurry(self) -> None:
        """Have all workers hear that somebody waits for a flush."""

    def dead(self, partition: int, /) -> Iterator[tuple[int, bytes, int, str, int, float | None]]:
        """Yield what was given up: number, data, count, error, attempts, `time.time()` or None."""
        ...

    def last_dead(
        self, most: int, max_bytes: int, /
    ) -> Sequence[tuple[int, bytes | None, int, str, int, float | None]]:
        """Return *most*, the newest first; None: data beyond *max_bytes* of a partition."""
        ...

    def forget_dead(self, partition: int, number: int, /) -> None:
        """Forget one of those."""

    def close(self) -> None:
        """Let go of it; calls in other threads end soon."""


@runtime_checkable
class SharedStorage(Protocol):
    """Where what is accepted waits, for many processes."""

    ack: str
    """When a write returns: `"local"`, `"server"` or `"replicated"`."""
    ack_timeout: float | None
    """Seconds that a write waits for the server at most."""
    front: Any
    """The storage that keeps what is not on the server yet; None: memory."""
    window: int
    """How many records of a partition a worker has in hand at most."""
    deliver: bool
    """Whether a buffer that has a processor delivers."""

    @property
    def codec(self) -> Codec:
        """How items become bytes."""
        ...

    @property
    def keys(self) -> Keys:
        """How a Map's keys do."""
        ...

    def hash(self, key: Any, /) -> int:
        """Return the hash of *key*, the same in every process; raise `TypeError`."""
        ...

    def share(self, terms: SharedTerms, /) -> SharedStore:
        """
        Reach the storage, and make it for these terms unless it is there.

        Raises `StorageAway` if it cannot be reached, and `StorageRefused` if it was made for other
        terms, or if its settings would lose what was accepted; both values are named.
        """
        ...
