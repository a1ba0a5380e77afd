"""
What each process of a `SharedDict` has open, and what may go wrong for it.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from heapq import merge
from itertools import islice

from .. import StorageError, StorageRefused
from ..abc import Codec
from ..abc.sharing import (
    Claim,
    Depth,
    Found,
    Layout,
    Parcel,
    Read,
    SharedTerms,
    StorageAway,
    Swap,
    Want,
)
from .shared_line import Dead
from .shared_server import SharedServer


class Faults:
    """What a test may have go wrong between its buffers and the server, at any time."""

    def __init__(self) -> None:
        self.fails: BaseException | None = None
        """What every call raises now: `StorageAway("...")`, say; None: they work."""
        self.loses_replies: int | Callable[[str], bool] = 0
        """
        How many of the next appends and steps are done, and raise `StorageAway` all the same. Or
        what says so: called with the name of each call that has changed something.
        """
        self.down_lanes: set[int] = set()
        """Lanes that cannot be reached."""
        self.deaf = False
        """Whether news are lost: nobody hears that a partition is not empty any more."""
        self.on_call: Callable[[str], object] | None = None
        """Called with the name of each call, before it is done: it may block, or raise."""
        self._lock = threading.Lock()

    def meet(self, call: str) -> None:
        """Raise what the test has ordered for *call*."""
        if self.on_call is not None:
            self.on_call(call)
        if (error := self.fails) is not None:
            raise error.with_traceback(None)  # it may have been raised before

    def reply(self, call: str) -> None:
        """Raise `StorageAway` if the reply to *call*, which is done, is lost."""
        with self._lock:
            lost = self.loses_replies
            if isinstance(lost, int):
                if lost <= 0 or call not in {"append", "step"}:
                    return
                self.loses_replies = lost - 1
        if isinstance(lost, int) or lost(call):
            raise StorageAway(f"the reply to {call}() was lost")


class SharedDictStore:
    """A `SharedStore`: a `SharedDict` that is open, as another process would have it."""

    where = "a SharedDict"

    def __init__(
        self, faults: Faults, server: SharedServer, codec: Codec, terms: SharedTerms
    ) -> None:
        self._faults, self._server, self.codec = faults, server, codec
        self.me, self._remember = server.admit(terms, codec.name), terms.remember
        self.identity, self.lease = server.identity, server.lease
        self.warnings: Sequence[str] = ()
        self.layout, self.duty = server.layouts()
        self._buried = 0  # letters, and heard so
        self._ends: list[Callable[[], None]] = []
        self._is_open = True

    def _check(self, call: str) -> None:
        if not self._is_open:
            raise StorageRefused("the SharedDict is closed")
        self._faults.meet(call)

    def _reach(self, call: str, *partitions: int) -> None:
        """Raise `StorageAway` if one of *partitions* cannot be reached."""
        self._check(call)
        for partition in partitions:
            if (lane := partition % self._server.lanes) in self._faults.down_lanes:
                raise _down(lane)

    def _own(self, lane: int, partitions: Sequence[int]) -> None:
        """Raise if some of *partitions* are not of *lane*: a real one would not reach them."""
        if strange := [each for each in partitions if each % self._server.lanes != lane]:
            raise StorageRefused(f"the partitions {strange} are not of lane {lane}")

    def refresh(self) -> bool:
        """Look for another layout, or duty; return whether there is one."""
        self._check("refresh")
        before: tuple[Layout, Layout] = self.layout, self.duty
        self.layout, self.duty = self._server.layouts()
        return before != (self.layout, self.duty)

    def resize(self, partitions: int) -> None:
        """Seal all partitions, and have *partitions* others for what is to come."""
        self._check("resize")
        self._server.resize(partitions)
        self._faults.reply("resize")

    def append(
        self, lane: int, producer: str, parcels: Sequence[Parcel], /
    ) -> Sequence[StorageError | None]:
        """Append each of *parcels* once; return what became of each."""
        self._check("append")
        self._own(lane, [parcel.partition for parcel in parcels])
        if lane in self._faults.down_lanes:
            return [_down(lane) for _ in parcels]
        answers, woken = self._server.append(producer, parcels)
        self._server.news.tell(*woken)
        self._faults.reply("append")
        return answers

    def retire(self, producer: str, /) -> None:
        """Forget a *producer* that sends nothing any more."""
        self._check("retire")
        self._server.retire(producer)
        self._faults.reply("retire")

    def beat(self, *, leave: bool = False) -> Sequence[str]:
        """Be among the workers for another lease; return all of them."""
        self._check("beat")
        workers, is_news = self._server.beat(self.me, leave=leave)
        if is_news:
            self._server.news.tell(-3)
        self._faults.reply("beat")
        return workers

    def claim(self, partition: int, /) -> Claim | None:
        """Claim a partition of `duty`; None: somebody else has it."""
        self._reach("claim", partition)
        claim = self._server.claim(self.me, self.duty.generation, partition)
        self._faults.reply("claim")
        return claim

    def release(self, claim: Claim, /) -> None:
        """Give it back."""
        self._reach("release", claim.partition)
        if self._server.release(self.me, claim):
            self._server.news.tell(-3)
        self._faults.reply("release")

    def step(self, lane: int, wants: Sequence[Want], /) -> Sequence[Read | Swap | StorageError]:
        """For each claim, of one lane: stay its owner, forget what is settled, and read on."""
        self._check("step")
        self._own(lane, [want.claim.partition for want in wants])
        if lane in self._faults.down_lanes:
            return [_down(lane) for _ in wants]
        began = self._server.now()
        answers = [self._server.step(self.me, want, self._remember) for want in wants]
        self._faults.reply("step")  # before the claims move on: what was lost is read again
        for want, (answer, state) in zip(wants, answers, strict=True):
            if not isinstance(answer, StorageError):
                want.claim.until, want.claim.state = began + self.lease, state
        return [answer for answer, _ in answers]

    def get(self, partition: int, key: bytes, producer: str, /) -> Found:
        """Return what the Map has of *key* in a partition of `layout`; or raise `Sealed`."""
        self._reach("get", partition)
        return self._server.get(self.layout.generation, partition, key, producer)

    def bury(self, claim: Claim, data: bytes, count: int, error: str, attempts: int, /) -> None:
        """Keep *count* records that were given up; raise `ClaimLost` if they are another's."""
        self._reach("bury", claim.partition)
        # The same again is one that was not heard of, unless others were kept since.
        letter = claim.token, self._buried, data, count, error, attempts
        self._server.bury(self.me, claim, data, count, (error, attempts), letter)
        self._faults.reply("bury")
        self._buried += 1

    def depth(self) -> Sequence[Depth]:
        """Return how it is with each partition of each layout there has been."""
        partitions = [len(lines) for lines in self._server.generations]
        self._reach("depth", *range(max(partitions)))
        return [depth for each in range(len(partitions)) for depth in self._server.depth(each)]

    def listen(self, heard: Callable[[int], object], /) -> Callable[[], None]:
        """
        Call *heard* with all news, in the thread of whoever makes them: when a write has returned,
        it has been called. Now it is called with -1.
        """
        self._check("listen")
        end = self._server.news.listen(heard, lambda: self._faults.deaf)
        self._ends.append(end)
        heard(-1)

        def stop() -> None:
            end()
            with suppress(ValueError):  # ended already
                self._ends.remove(end)

        return stop

    def hurry(self) -> None:
        """Have all workers hear that somebody waits for a flush."""
        self._check("hurry")
        self._server.news.tell(-2)

    def dead(self, partition: int, /) -> Iterator[tuple[int, bytes, int, str, int, float | None]]:
        """Yield what was given up, of all generations."""
        self._reach("dead", partition)
        with self._server.lock:
            found = [dead for line in self._server.those(partition) for dead in line.dead]
        yield from found

    def last_dead(
        self, most: int, max_bytes: int, /
    ) -> Sequence[tuple[int, bytes | None, int, str, int, float | None]]:
        """Return *most* of what was given up last, the newest first."""
        self._reach("last_dead", *range(max(map(len, self._server.generations))))
        with self._server.lock:
            each = [
                _brought(line.dead[: -most - 1 : -1], max_bytes) for line in self._server.lines()
            ]
        return list(islice(merge(*each, key=lambda letter: -letter[0]), most))

    def forget_dead(self, partition: int, number: int, /) -> None:
        """Forget one of those."""
        self._reach("forget_dead", partition)
        with self._server.lock:
            for line in self._server.those(partition):
                line.dead[:] = [dead for dead in line.dead if dead.number != number]
        self._faults.reply("forget_dead")

    def close(self) -> None:
        """Let go of it: nothing is heard any more, and what it has claimed ends by itself."""
        self._is_open = False
        while self._ends:
            self._ends.pop()()


def _brought(
    letters: Sequence[Dead], room: int
) -> list[tuple[int, bytes | None, int, str, int, float | None]]:
    """Return them, with data for which there is room."""
    found: list[tuple[int, bytes | None, int, str, int, float | None]] = []
    for each in letters:
        fits = len(each.data) <= room
        room -= len(each.data) * fits
        found.append((each.number, each.data if fits else None, *each[2:]))
    return found


def _down(lane: int) -> StorageAway:
    return StorageAway(f"lane {lane} of the SharedDict is down")
