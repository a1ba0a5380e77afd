"""
A Queue's window: chunks read from the server.

    step ─► ready ─► landed ─► line ─► hand ─► processor        settled: all before it is
            chunks   at most `window` records between it and what is settled
"""

import sys
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import cast

from ....abc import Chunk, Cursor, Store
from ....abc.sharing import Claim, Read, SharedStore, Want
from ...backing.queue.hashes import with_hashes, without_hashes
from ...backing.queue.landing import Committing
from ...backing.queue.part import Part
from ...backing.queue.table import StoredQueueTable
from ...options.settings import Settings
from .window import MOST_BYTES, Window


class Held:
    """A store, as the table of one claim knows it, and its committer."""

    window = sys.maxsize
    is_awaited = False
    """Whether writers wait for a commit: see `backing.committer`."""

    def __init__(
        self, store: SharedStore, claim: Claim, begin: int, noted: Callable[[], None]
    ) -> None:
        self._store, self._claim, self._begin, self._noted = store, claim, begin, noted
        self.where, self.codec = store.where, store.codec
        self.identity = f"{store.identity}-{claim.generation}"
        self.said = begin, 0
        """Up to where all is settled, and how many of these were given up: of one instant."""
        self.given_up = set[int]()  # positions behind that

    @property
    def settled(self) -> int:
        """Up to where all is settled."""
        return self.said[0]

    def cursor(self, _partition: int, /) -> Cursor:
        """Return that nothing is in hand yet."""
        return Cursor(0, self._begin)

    def end(self, _partition: int, /) -> int:
        """Return that nothing has landed yet."""
        return self._begin

    def read(self, _partition: int, _position: int, _max_bytes: int, /) -> Sequence[Chunk]:
        """Return nothing: all there is has landed."""
        return ()

    def records(self, _partition: int, /) -> Iterator[Chunk]:
        """Yield nothing, as `read`."""
        return iter(())

    def weight(self, _partition: int, /) -> int:
        """Return 0: bytes are bounded where they are written."""
        return 0

    def settle(
        self, _partition: int, cursor: int, kept: Sequence[int] = (), _hand: int = 0, /
    ) -> None:
        """Note up to where all is settled: never a count, for some may be kept."""
        settled, (_, count) = min([cursor, *kept]), self.said
        gone = {position for position in self.given_up if position < settled}
        self.said = settled, count + len(gone)
        self.given_up -= gone
        self._noted()

    def bury(self, _partition: int, data: bytes, count: int, error: str, attempts: int, /) -> None:
        """Keep what was given up on the server."""
        self._store.bury(self._claim, data, count, error, attempts)

    def reclaim(self) -> None:
        """Do nothing: the server forgets what is settled by itself."""

    catch_up = reclaim


class WindowQueueTable(StoredQueueTable):
    """Has the store know which records were given up: the server is told of a prefix."""

    def bury(self, places: Iterable[int] | None = None, /) -> int:
        """Settle these *places* of what was returned last (None: all) as dead-lettered."""
        self._store.given_up |= {self._hand.places[place] for place in self._chosen(places)}
        return super().bury(places)

    def _unloaded(self, decoded: Sequence[tuple[Chunk, Part]]) -> tuple[Part, int, Counter[str]]:
        for (start, count, _), part in decoded:
            asked = range(max(start, self._loaded), start + count)
            if len(part.items) < len(asked):  # what does not decode was buried
                self._store.given_up |= set(asked).difference(part.places)
        return super()._unloaded(decoded)


class QueueWindow(Window):
    """Of a Queue's partition."""

    held: Held | None = None

    def __init__(self, claim: Claim, settings: Settings, most: int) -> None:
        super().__init__(claim, settings, most)
        self.table = WindowQueueTable(claim.partition, None)
        self.ready: deque[Chunk] = deque()
        self.told = -1  # up to where the server knows that all is settled
        self.read_to = self._landed = 0
        self.end = 0  # of the partition, as far as is known

    @property
    def settled(self) -> int:
        """Up to where all is settled; -1 where nothing is known."""
        return -1 if self.held is None else self.held.settled

    @property
    def in_hand(self) -> int:
        """How many records have been read, and are not settled."""
        return 0 if self.held is None else self.read_to - self.held.settled

    @property
    def wanted(self) -> int:
        """How many records to read on."""
        if self.gives_back or self.is_lost or self.ready:
            return 0
        if self.held is None:
            return self.half
        return self.half if self._landed - self.settled <= self.most - self.half else 0

    @property
    def has_more(self) -> bool:
        """Whether there is more to be read, as far as is known."""
        return self.end > self.read_to

    def has_news(self) -> bool:
        """Return whether so much is settled that the server should know."""
        unsaid = self.settled - self.told
        return unsaid >= self.half or (unsaid > 0 and self.in_hand == 0)

    def want(self) -> Want:
        """Return what the next step is to do."""
        return self._want(self.wanted, MOST_BYTES)

    def last_want(self) -> Want | None:
        """Return what the server has to be told before the claim is given back, if anything."""
        if self.settled <= self.told:
            return None
        return self._want(0, 0)

    def _want(self, records: int, max_bytes: int) -> Want:
        settled, given_up = (-1, 0) if self.held is None else self.held.said
        return Want(self.claim, settled, records, max_bytes, given_up)

    def took(self, store: SharedStore, want: Want, outcome: Read, wake: Callable[[], None]) -> None:
        """Take what the step that did *want* has brought."""
        if self.held is None:
            self._begin(store, outcome.settled, wake)
        self.told = max(self.told, want.settled)
        self.end = outcome.end
        for chunk in outcome.chunks:
            self.ready.extend(_pieces(chunk, self.half, self))
            self.read_to = chunk.start + chunk.count
        self.feed()

    def _begin(self, store: SharedStore, position: int, wake: Callable[[], None]) -> None:
        """Begin where others have left off."""

        def noted() -> None:
            if self.has_news() or (self.ready and self._fits(self.ready[0])):
                wake()

        held = Held(store, self.claim, position, noted)
        committer: Committing = held
        self.table.begin(cast("Store", held), committer)  # as much of a store as a table uses
        self.read_to = self._landed = self.told = position
        self.held, self.has_begun = held, True

    def feed(self) -> None:
        """Have the table land as much as may be in hand."""
        landed = False
        while self.ready and self._fits(self.ready[0]):
            chunk = self.ready.popleft()
            self.table.landed([chunk.start], [(chunk.count, chunk.data or b"")], ())
            self._landed, landed = chunk.start + chunk.count, True
        if landed:
            self.landed()

    def _fits(self, chunk: Chunk) -> bool:
        unsettled = self._landed - self.settled
        return unsettled <= 0 or chunk.start + chunk.count - self.settled <= self.most


def _pieces(chunk: Chunk, most: int, window: QueueWindow) -> Iterator[Chunk]:
    """Yield *chunk*, in pieces if it is more than may be landed at a time."""
    start, count, data = chunk
    if count <= most or data is None or window.held is None:
        yield chunk
        return
    codec = window.held.codec
    records = codec.split(without_hashes(data))
    for at in range(0, count, most):
        part = records[at : at + most]
        yield Chunk(start + at, len(part), with_hashes(codec.join(part), ()))
