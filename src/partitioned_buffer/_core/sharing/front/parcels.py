"""
How a batch of records is cut into parcels, and what is known of each until it has arrived.

Records with a key go where its hash says. Those without take turns, a parcel at a time: dealt out
one by one, each parcel would have few of them, and the server works per parcel.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from ....abc import Codec
from ....abc.sharing import Gap, Layout, Parcel, SharedStore
from ....errors import StorageError
from ...backing.queue.hashes import NO_KEY, with_hashes
from ...writes.routing import slot_numbers
from .records import Record, plain, tickets_of, weight_of

MOST_RECORDS: Final = 1000
MOST_BYTES: Final = 256 << 10
"""Of a parcel. The server works per parcel: of half as many records it takes half as much again."""

_ALL = 1 << 53
"""More than any mark: what is not had is a gap then, and is not taken."""

Append = Callable[[list[Parcel]], Sequence[StorageError | None]]


class Pending:
    """A parcel that may not have arrived yet, and its *records*, of these *places* of a batch."""

    __slots__ = ("codec", "marks", "parcel", "places", "records")
    records: Sequence[Any]

    def __init__(  # noqa: PLR0913, PLR0917  # what it is of
        self,
        codec: Codec,
        where: tuple[int, int],
        known: int,
        records: Sequence[Any],
        marks: Sequence[int],
        places: Sequence[int],
    ) -> None:
        self.codec, self.records, self.marks, self.places = codec, records, marks, places
        self.parcel = Parcel(
            *where, known, first=marks[0], last=marks[-1], count=len(marks), **self.load()
        )

    @property
    def where(self) -> tuple[int, int]:
        """Which partition it is for, of which generation."""
        return self.parcel.generation, self.parcel.partition

    def known_again(self, known: int) -> None:
        """Send it with another idea of what is known."""
        self.parcel = self.parcel._replace(known=known)

    def cut_off(self, upto: int) -> list[Any]:
        """
        Have only what comes behind the mark *upto*: the rest has arrived.

        Returns the signals of those who need not wait any more.
        """
        gone = bisect_right(self.marks, upto)
        told = list(_told(self.records[:gone]))
        self.records, self.places = self.records[gone:], self.places[gone:]
        self.marks = self.marks[gone:]
        self.parcel = self.parcel._replace(
            known=upto, first=self.marks[0], count=len(self.records), **self.load()
        )
        return told

    def load(self) -> dict[str, Any]:
        """Return what its parcel carries."""
        return {"data": _data(self.records, self.codec)}

    def arrived(self) -> Iterable[Any]:
        """Return the signals of those who need not wait any more."""
        return () if isinstance(self.places, range) else _told(self.records)


class Cutter:
    """
    Of one producer: it deals out its records, and numbers them.

    *unknown*: what is known of a partition to which nothing was sent yet: 0, that it has nothing;
    or -1, that it may.
    """

    kind_of_pending: type[Pending] = Pending

    def __init__(self, codec: Codec, turn: int, unknown: int) -> None:
        self._codec, self._turn, self._unknown = codec, turn, unknown
        self._mark = 0  # of the last record
        self._known: dict[tuple[int, int], int] = {}  # the last mark of each partition

    def forget(self, where: tuple[int, int]) -> None:
        """Know nothing of what a partition has had."""
        self._known[where] = -1

    def cut(
        self,
        layout: Layout,
        lane: Sequence[int],
        places: Sequence[int],
        batch: Sequence[Record],
        positions: Sequence[int] | None,
    ) -> list[Pending]:
        """
        Return the parcels of these *places* of *batch*, in the order in which to send them.

        Where the *positions* of its records are known, those are their marks, and say where
        records without a key go: to the same partition after a crash.
        """
        if positions is None and set(map(type, batch)) == {bytes} and len(places) == len(batch):
            return list(self._slices(layout.generation, lane, batch))
        groups: dict[int, list[int]] = {}
        slots = slot_numbers(layout.partitions)
        for place in places:
            record = batch[place]
            if positions is None:
                hashed = NO_KEY if type(record) is bytes else record[0]
            else:
                hashed = self.hash_of(record, positions[place])
            where = NO_KEY if hashed == NO_KEY else slots[hashed % len(slots)]
            groups.setdefault(where, []).append(place)
        made: list[Pending] = []
        for where, group in groups.items():
            for part in parts(group, [weight_of(batch[place]) for place in group]):
                partition = self._next(lane) if where == NO_KEY else where
                marks = self.marks(part, positions)
                made.append(self.pack(layout.generation, partition, part, marks, batch))
        return made

    def hash_of(self, record: Any, position: int) -> int:
        """Return what says where a record goes whose *position* is known."""
        hashed: int = NO_KEY if type(record) is bytes else record[0]
        return position // MOST_RECORDS if hashed == NO_KEY else hashed

    def _slices(
        self, generation: int, lane: Sequence[int], batch: Sequence[Record]
    ) -> Iterator[Pending]:
        """Yield the parcels of a batch without any keys: most of them, and ten times as fast."""
        for at in range(0, len(batch), MOST_RECORDS):
            part = batch[at : at + MOST_RECORDS]
            places = range(at, at + len(part))
            small = sum(map(len, part)) <= MOST_BYTES
            for each in (places,) if small else parts(list(places), list(map(len, part))):
                marks = self.marks(each, None)
                yield self.pack(generation, self._next(lane), each, marks, batch)

    def marks(self, places: Sequence[int], positions: Sequence[int] | None) -> Sequence[int]:
        """Return the next marks, of these *places*."""
        if positions is not None:
            return [positions[place] + 1 for place in places]
        first, self._mark = self._mark + 1, self._mark + len(places)
        return range(first, self._mark + 1)

    def _next(self, lane: Sequence[int]) -> int:
        self._turn += 1
        return lane[self._turn % len(lane)]

    def pack(
        self,
        generation: int,
        partition: int,
        places: Sequence[int],
        marks: Sequence[int],
        batch: Sequence[Any],
    ) -> Pending:
        """Return the parcel of these *places* of *batch*."""
        where = generation, partition
        if isinstance(places, range):
            records = batch[places.start : places.stop]
        else:
            records = [batch[place] for place in places]
        known, self._known[where] = self._known.get(where, self._unknown), marks[-1]
        return self.kind_of_pending(self._codec, where, known, records, marks, places)


def _told(records: Iterable[Any]) -> Iterator[Any]:
    """Count *records* off their tickets; yield the signals of those that are done."""
    for record in records:
        for ticket in tickets_of(record):
            if ticket.arrived():
                yield ticket.signal


def parts(places: list[int], weights: Sequence[int]) -> Iterable[list[int]]:
    """Yield *places*, of so many bytes each, in parts of what a parcel holds at most."""
    for at in range(0, len(places), MOST_RECORDS):
        part = places[at : at + MOST_RECORDS]
        sizes = weights[at : at + MOST_RECORDS]
        if sum(sizes) <= MOST_BYTES:
            yield part
            continue
        begin = size = 0
        for end, each in enumerate(sizes):
            if size and size + each > MOST_BYTES:
                yield part[begin:end]
                begin, size = end, 0
            size += each
        yield part[begin:]


def _data(records: Sequence[Any], codec: Codec) -> bytes:
    if set(map(type, records)) != {bytes}:
        records = [plain(record) for record in records]
    return with_hashes(codec.join(records), ())  # the hashes have done their work


def nothing_of(generation: int, partition: int) -> Parcel:
    """Return what is never taken: the answer says how much a partition has had."""
    return Parcel(generation, partition, _ALL, _ALL, _ALL, 1, b"")


class Asked:
    """What would have gone to a partition of a *generation*, by *marks*, of these *places*."""

    def __init__(self, generation: int, partition: int) -> None:
        self.generation, self.partition = generation, partition
        self.places: list[int] = []
        self.marks: list[int] = []
        self.least = self.most = 0
        """How many of these are had, at least and at most."""

    def add(self, place: int, mark: int) -> None:
        """Have one more to ask about."""
        self.places.append(place)
        self.marks.append(mark)
        self.most += 1

    @property
    def asked(self) -> int:
        """How many are had, if the answer to `question` is yes."""
        return (self.least + self.most + 1) // 2

    @property
    def question(self) -> Parcel:
        """What is there already, or is not taken: the last of those that are asked about."""
        mark = self.marks[self.asked - 1]
        return Parcel(self.generation, self.partition, _ALL, mark, mark, 1, b"")

    def answered(self, answer: StorageError | None) -> None:
        """Know more; raise what says nothing."""
        if answer is None:
            self.least = self.asked
        elif isinstance(answer, Gap):
            self.most = self.asked - 1
        else:
            raise answer


def had_earlier(
    store: SharedStore,
    append: Append,
    hashes: Sequence[int],
    places: Sequence[int],
    positions: Sequence[int],
) -> set[int]:
    """
    Return those of *places*, of records of these *hashes*, that earlier layouts have had.

    A partition knows what it has had of a producer. So those are asked to which a front's earlier
    life would have sent: in each, what is had comes before what is not.
    """
    generations = [depth.generation for depth in store.depth()]
    counts = Counter(each for each in generations if each < store.layout.generation)
    lines: dict[tuple[int, int], Asked] = {}
    for generation, partitions in counts.items():
        slots = slot_numbers(partitions)
        for place, hashed in zip(places, hashes, strict=True):
            where = generation, slots[hashed % len(slots)]
            lines.setdefault(where, Asked(*where)).add(place, positions[place] + 1)
    while asked := [line for line in lines.values() if line.least < line.most]:
        answers = append([line.question for line in asked])
        for line, answer in zip(asked, answers, strict=True):
            line.answered(answer)
    return {place for line in lines.values() for place in line.places[: line.least]}
