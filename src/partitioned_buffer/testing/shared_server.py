"""
The server of a `SharedDict`: one object for all that would be processes elsewhere.
"""

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any, NamedTuple

from .. import StorageError, StorageRefused
from ..abc.sharing import (
    Claim,
    ClaimLost,
    Depth,
    Found,
    Layout,
    Parcel,
    Read,
    Sealed,
    SharedTerms,
    StorageAway,
    Swap,
    Want,
)
from .shared_line import AnyLine, Dead, Line
from .shared_map_line import MapLine, dealt_anew
from .shared_news import News


class Happening(NamedTuple):
    """Something that the server did, for a test that checks what happened in which order."""

    what: str
    """`"append"`, `"claim"`, `"read"`, `"settle"`, `"bury"` or `"release"`."""
    who: str
    """The producer, or the worker."""
    generation: int
    partition: int
    token: int
    """Of the claim; 0: there is none."""
    start: int
    end: int
    """
    Positions: of the records that were appended, read or settled. Of a Map: how many there had been
    before and after; what was read, of its swap.
    """


class SharedServer:
    """What a buffer has accepted, who delivers it, and who listens."""

    def __init__(
        self, partitions: int, lease: float, limit: int | None, lanes: int, now: Callable[[], float]
    ) -> None:
        self.lease, self.limit, self.lanes, self.now = lease, limit, lanes, now
        self.identity = uuid.uuid4().hex
        self.history: list[Happening] = []
        self.lock = threading.Lock()
        self.generations: list[Sequence[AnyLine]] = []
        self._default = partitions
        self._kind = self._codec = ""
        self._workers: dict[str, float] = {}
        self.news = News()
        self._numbers, self._names = count(1), count(1)

    # --- opening, layouts

    def admit(self, terms: SharedTerms, codec: str) -> str:
        """Return what to call who opens it for *terms*; raise `StorageRefused`."""
        with self.lock:
            if not self.generations:
                self._kind, self._codec = terms.kind, codec
                self._begin(self._default if terms.partitions is None else terms.partitions)
            pinned = len(self.generations[-1])
            for term, has, wanted in (
                ("kind", self._kind, terms.kind),
                ("codec", self._codec, codec),
                ("partitions", pinned, pinned if terms.partitions is None else terms.partitions),
            ):
                if has != wanted:
                    raise StorageRefused(
                        f"the SharedDict was made for {term} {has!r}, and is opened for {wanted!r}"
                    )
            return f"{terms.producer}/{next(self._names)}"

    def _begin(self, partitions: int) -> None:
        generation = len(self.generations)
        make = MapLine if self._kind == "Map" else Line
        self.generations.append([make(generation, each) for each in range(partitions)])

    def resize(self, partitions: int) -> None:
        """Seal what there is, and begin another generation."""
        with self.lock:
            before = self.generations[-1]
            if self._kind == "Map":
                self._check_rest(before)
            for line in before:
                line.sealed = True
            if self._kind == "Map":
                those = [line for line in before if isinstance(line, MapLine)]
                self.generations.append(dealt_anew(those, len(self.generations), partitions))
            else:
                self._begin(partitions)

    def _check_rest(self, lines: Sequence[AnyLine]) -> None:
        """Raise `StorageRefused` if somebody works on a Map: what is in hand cannot be moved."""
        now = self.now()
        owners = {line.lease.owner(now) for line in lines} - {None}
        owners |= {who for who, until in self._workers.items() if now < until}
        if owners:
            raise StorageRefused(
                f"{', '.join(map(str, owners))} works on this Map: expected nobody, for what is in "
                "hand cannot be moved; stop all who deliver it"
            )

    def layouts(self) -> tuple[Layout, Layout]:
        """Return where to append, and what to deliver: the first generation that holds anything."""
        with self.lock:
            last = len(self.generations) - 1
            holding = (
                generation
                for generation, lines in enumerate(self.generations)
                if any(line.held for line in lines)
            )
            return self._layout(last), self._layout(next(holding, last))

    def _layout(self, generation: int) -> Layout:
        partitions = len(self.generations[generation])
        lanes = (tuple(range(lane, partitions, self.lanes)) for lane in range(self.lanes))
        return Layout(generation, partitions, tuple(lanes))

    def line(self, generation: int, partition: int) -> AnyLine:
        """Return that partition; raise `StorageRefused` if there is none."""
        if not 0 <= generation < len(self.generations):
            raise StorageRefused(f"there is no generation {generation}")
        lines = self.generations[generation]
        if not 0 <= partition < len(lines):
            raise StorageRefused(f"there are {len(lines)} partitions, and no partition {partition}")
        return lines[partition]

    # --- writing

    def append(
        self, producer: str, parcels: Sequence[Parcel]
    ) -> tuple[list[StorageError | None], list[int]]:
        """Return what became of each of *parcels*, and which partitions are not empty any more."""
        answers: list[StorageError | None] = []
        woken: list[int] = []
        barred: set[AnyLine] = set()
        answer: StorageError | None
        with self.lock:
            for parcel in parcels:
                line, answer = self.line(parcel.generation, parcel.partition), None
                if line in barred:  # it must not overtake what is not there
                    answer = StorageAway("a parcel before this one is not there")
                elif (answer := self._append(line, producer, parcel, woken)) is not None:
                    barred.add(line)
                answers.append(answer)
        return answers, woken

    def _append(
        self, line: AnyLine, producer: str, parcel: Parcel, woken: list[int]
    ) -> StorageError | None:
        limit, start, was_idle = self.limit, line.end, line.is_idle
        if limit is not None:
            limit = -(-limit // len(self.generations[line.generation]))
        answer = line.append(producer, parcel, limit, self.now())
        if line.end > start:
            self._note("append", (producer, 0), line, (start, line.end))
        if was_idle and not line.is_idle:
            woken.append(line.partition)
        return answer

    def _note(self, what: str, who: tuple[str, int], line: AnyLine, span: tuple[int, int]) -> None:
        (name, token), where = who, (line.generation, line.partition)
        self.history.append(Happening(what, name, *where, token, *span))

    def retire(self, producer: str) -> None:
        """Forget a producer."""
        with self.lock:
            for line in self.lines():
                line.retire(producer)

    def lines(self) -> Iterator[AnyLine]:
        """Yield all partitions of all generations."""
        for lines in self.generations:
            yield from lines

    # --- delivering

    def beat(self, me: str, *, leave: bool) -> tuple[list[str], bool]:
        """Return the workers, with *me* or without, and whether that is news."""
        with self.lock:
            now, before = self.now(), set(self._workers)
            self._workers.pop(me, None)
            if not leave:
                self._workers[me] = now + self.lease
            self._workers = {who: until for who, until in self._workers.items() if now < until}
            return sorted(self._workers), self._workers.keys() != before

    def claim(self, me: str, generation: int, partition: int) -> Claim | None:
        """Claim a partition for *me*."""
        with self.lock:
            now, line = self.now(), self.line(generation, partition)
            if not line.lease.take(me, now, now + self.lease):
                return None
            token = line.lease.token
            self._note("claim", (me, token), line, (line.settled, line.end))
            return Claim(generation, partition, token, now + self.lease)

    def extend(self, claim: Claim) -> AnyLine | None:
        """Have *claim* last longer, and return its partition; None: it is lost."""
        now, line = self.now(), self.line(claim.generation, claim.partition)
        return line if line.lease.extend(claim.token, now, now + self.lease) else None

    def release(self, me: str, claim: Claim) -> bool:
        """Give *claim* back; return False if it is lost."""
        with self.lock:
            if (line := self.extend(claim)) is not None:
                line.lease.end()
                self._note("release", (me, claim.token), line, (line.settled, line.end))
            return line is not None

    def step(self, me: str, want: Want, remember: int) -> tuple[Read | Swap | StorageError, Any]:
        """Settle and read on; return what that brings, and where the claim is then."""
        claim = want.claim
        with self.lock:
            if (line := self.extend(claim)) is None:
                return _lost(claim), claim.state
            who, before = (me, claim.token), line.settled
            answer, state = line.step(want, remember)
            if line.settled > before:
                self._note("settle", who, line, (before, line.settled))
            if isinstance(answer, Swap):
                if answer.entries:
                    self._note("read", who, line, (state[1] - len(answer.entries), state[1]))
            elif answer.chunks:
                start = answer.settled if claim.state is None else claim.state
                self._note("read", who, line, (start, state))
            return answer, state

    def get(self, generation: int, partition: int, key: bytes, producer: str) -> Found:
        """Return what a Map has of *key*."""
        with self.lock:
            line = self.line(generation, partition)
            if not isinstance(line, MapLine):
                raise StorageRefused("a Queue has no keys")
            if line.sealed:
                raise Sealed(f"{line} is sealed")
            return line.get(key, producer)

    def bury(  # noqa: PLR0913, PLR0917  # one record
        self,
        me: str,
        claim: Claim,
        data: bytes,
        records: int,
        why: tuple[str, int],
        letter: object,
    ) -> None:
        """Keep what was given up, and *why*: error and attempts; once, if it is the same letter."""
        with self.lock:
            if (line := self.extend(claim)) is None:
                raise _lost(claim)
            if line.letter == letter:
                return
            line.letter = letter
            line.dead.append(Dead(next(self._numbers), data, records, *why, time.time()))
            self._note("bury", (me, claim.token), line, (line.settled, line.settled))

    # --- looking

    def depth(self, generation: int) -> list[Depth]:
        """Return how it is with each partition of a generation."""
        with self.lock:
            return [line.depth(self.now()) for line in self.generations[generation]]

    def those(self, partition: int) -> list[AnyLine]:
        """Return the partitions of that number, of all generations."""
        return [line for line in self.lines() if line.partition == partition]


def _lost(claim: Claim) -> ClaimLost:
    return ClaimLost(
        f"the claim {claim.token} of partition {claim.partition} has ended, or is another's"
    )
