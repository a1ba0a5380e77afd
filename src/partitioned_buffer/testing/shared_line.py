"""
One partition of a `SharedDict`, as its server has it. Whoever calls has the server's lock.

What those of Queues and of Maps have alike is in `AnyLine`; `shared_map_line` has those of Maps.
"""

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections import deque
from typing import Any, NamedTuple

from .. import StorageError, StorageFull
from ..abc import Chunk
from ..abc.sharing import Depth, Gap, Parcel, Part, Read, Sealed, Swap, Want


class Had(NamedTuple):
    """What a partition has had of one producer: the last mark, and how many records."""

    mark: int = 0
    count: int = 0  # type: ignore[assignment]  # instead of a tuple's method


class Dead(NamedTuple):
    """Records that were given up."""

    number: int
    data: bytes
    count: int  # type: ignore[assignment]  # instead of a tuple's method
    error: str
    attempts: int
    time: float


class Accepted(NamedTuple):
    """A parcel that was appended, and what there was before: the way back."""

    before: Any
    producer: str
    had: Had


class Lease:
    """Who may deliver a partition, and until when."""

    def __init__(self) -> None:
        self.token = 0
        self._owner, self._until = "", 0.0

    def owner(self, now: float) -> str | None:
        """Return who has it, if anybody has."""
        return self._owner if self._owner and now < self._until else None

    def take(self, who: str, now: float, until: float) -> bool:
        """
        Have *who* own it, with another token, unless somebody else does.

        Its owner may take it again: the reply to the first time was lost, perhaps.
        """
        if self.owner(now) not in {None, who}:
            return False
        self.token += 1
        self._owner, self._until = who, until
        return True

    def extend(self, token: int, now: float, until: float) -> bool:
        """Return whether *token* is the owner's; it then owns it longer."""
        if token != self.token or self.owner(now) is None:
            return False
        self._until = until
        return True

    def end(self) -> None:
        """Have nobody own it."""
        self._owner = ""


class AnyLine(ABC):
    """What a partition has had of each producer, who delivers it, and what was given up."""

    remembered: int | None = None
    """How many parcels can be forgotten; None: all."""

    def __init__(self, generation: int, partition: int) -> None:
        self.generation, self.partition = generation, partition
        self.lease = Lease()
        self.end = 0  # how many records it has ever had
        self.sealed = False
        self.dead: list[Dead] = []
        self.given_up = 0  # ever
        self.letter: object = None  # what tells the last one that was kept from others
        self._had: dict[str, Had] = {}
        self._accepted = deque[Accepted](maxlen=self.remembered)

    @property
    @abstractmethod
    def held(self) -> int:
        """How many records are not settled."""

    @property
    def settled(self) -> int:
        """How many are."""
        return self.end - self.held

    @property
    @abstractmethod
    def is_idle(self) -> bool:
        """Whether nothing waits: who delivers it may be asleep."""

    def append(
        self, producer: str, parcel: Parcel, limit: int | None, now: float
    ) -> StorageError | None:
        """Append *parcel*, or return why not: what it has had comes before any other reason."""
        had = self._had.get(producer, Had())
        if had.mark >= parcel.last:
            return None
        if had.mark >= parcel.first:
            part = Part(f"{self} has the records up to the mark {had.mark} already")
            part.upto, part.had = had
            return part
        if had.mark < parcel.known:
            gap = Gap(f"{self} has lost records behind the mark {had.mark}")
            gap.had = had.count
            return gap
        if self.sealed:
            return Sealed(f"{self} takes nothing any more")
        before = self._state()
        if (full := self._take(parcel, limit, now)) is not None:
            self._go_back(before)
            return full
        self._accepted.append(Accepted(before, producer, had))
        self._had[producer] = Had(parcel.last, had.count + parcel.count)
        return None

    def __str__(self) -> str:
        return f"partition {self.partition} of generation {self.generation}"

    def mark(self, producer: str) -> int:
        """Return the mark of the last record that it has had of *producer*."""
        return self._had.get(producer, Had()).mark

    def retire(self, producer: str) -> None:
        """Forget what was had of *producer*."""
        self._had.pop(producer, None)

    def forget(self, records: int) -> None:
        """Be as before the last parcels came, that had *records* or a few more; end the lease."""
        least = self.end - records
        while self._accepted and self.end > least:
            before, producer, had = self._accepted.pop()
            self._go_back(before)
            self._had[producer] = had
        self.lease.end()

    def depth(self, now: float) -> Depth:
        """Return how it is with it."""
        since = self.since()
        return Depth(
            self.generation,
            self.partition,
            appended=self.end,
            settled=self.settled,
            dead=self.given_up,
            kept=sum(dead.count for dead in self.dead),
            oldest=None if since is None else now - since,
            owner=self.lease.owner(now),
        )

    @abstractmethod
    def since(self) -> float | None:
        """Return when the oldest record that is held came."""

    @abstractmethod
    def step(self, want: Want, remember: int) -> tuple[Read | Swap, Any]:
        """Settle and read on; return what that brings, and where the claim is then."""

    @abstractmethod
    def _take(self, parcel: Parcel, limit: int | None, now: float) -> StorageFull | None:
        """Have the records of *parcel*; unless there is room, it goes back."""

    @abstractmethod
    def _state(self) -> Any:
        """Return what `_go_back` makes it again."""

    @abstractmethod
    def _go_back(self, before: Any) -> None:
        """Be as *before*, but for leases, marks, and what was given up."""


class Line(AnyLine):
    """A Queue's: its chunks."""

    def __init__(self, generation: int, partition: int) -> None:
        super().__init__(generation, partition)
        self.chunks: list[Chunk] = []
        self._settled = 0  # all before this position is
        self._given_up_by = 0, 0  # a token, and how many of those that are it has told of
        self._times: dict[int, float] = {}

    @property
    def held(self) -> int:
        """How many records are not settled."""
        return self.end - self._settled

    @property
    def is_idle(self) -> bool:
        """Whether nothing is held."""
        return not self.held

    def _take(self, parcel: Parcel, limit: int | None, now: float) -> StorageFull | None:
        if limit is not None and self.held and self.held + parcel.count > limit:
            return StorageFull(f"{self} holds {self.held} records of {limit}")
        self._times[self.end] = now
        self.chunks.append(Chunk(self.end, parcel.count, parcel.data))
        self.end += parcel.count
        return None

    def step(self, want: Want, remember: int) -> tuple[Read, int | None]:
        """Settle and read on; a claim's state is the position that it has read up to."""
        del remember  # of Maps
        self.settle(want.settled)
        self._give_up(want.claim.token, want.given_up)
        state: int | None = want.claim.state
        chunks = self.read(self.settled if state is None else state, want.records, want.max_bytes)
        if chunks:
            state = chunks[-1].start + chunks[-1].count
        return Read(self.settled, chunks, self.end), state

    def read(self, position: int, records: int, max_bytes: int) -> list[Chunk]:
        """Return chunks from that which holds *position*: about so many records, or bytes."""
        count, size = 0, 0
        found: list[Chunk] = []
        for chunk in self.chunks[self._holding(position) :]:
            if count >= records or size >= max_bytes:
                break
            found.append(chunk)
            count += chunk.count - max(0, position - chunk.start)
            size += len(chunk.data or b"")
        return found

    def _holding(self, position: int) -> int:
        """Return the place of the chunk that holds *position*, or of the next."""
        return bisect_right(self.chunks, position, key=lambda chunk: chunk.start + chunk.count)

    def settle(self, position: int) -> None:
        """Forget what is before *position*; chunks that are settled in part stay whole."""
        self._settled = max(self._settled, min(position, self.end))
        gone = self._holding(self._settled)
        for chunk in self.chunks[:gone]:
            del self._times[chunk.start]
        del self.chunks[:gone]

    def _give_up(self, token: int, count: int) -> None:
        who, told = self._given_up_by
        more = count - (told if who == token else 0)
        if more > 0:
            self.given_up += more
            self._given_up_by = token, count

    def since(self) -> float | None:
        """Return when the oldest record that is held came."""
        return self._times[self.chunks[0].start] if self.chunks else None

    def _state(self) -> int:
        return self.end

    def _go_back(self, before: int) -> None:
        self.end = before
        while self.chunks and self.chunks[-1].start >= self.end:
            del self._times[self.chunks.pop().start]
        self._settled = min(self._settled, self.end)
