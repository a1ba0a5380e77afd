"""
What a partition knows of the first of its line: of what was tried, and has failed.

It is the partition's, and not its worker's, which may die. Nothing overtakes what has failed, so
what was tried stands first in line, in order; some of it, the *hand*, is what is tried again.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from .destination import Destination

GROWTH: Final = 1.02
"""By what batches grow, each time, that once were too large."""


class Tried:
    """What became of one item so far."""

    __slots__ = ("calls", "error", "final", "given", "held", "mark", "since")

    def __init__(self, mark: Any, item: Any) -> None:
        self.mark = mark  # what it is told by: a Map's key, or the item
        self.given = item  # as the processor had it last
        self.calls = 0  # of the processor, that it was in
        self.since: float | None = None  # when it failed first
        self.error: BaseException | None = None  # what it failed with last
        self.final = False  # whether that says that it will never do
        self.held = True  # whether it is still to be settled


class Front:
    """Of number *partition*; *keyed* if that is a Map's."""

    # fmt: off
    __slots__ = (
        "brisk", "cap", "destination", "founded", "hand", "keyed", "pace", "partition", "strikes",
        "tried",
    )
    # fmt: on

    def __init__(
        self, destination: Destination | None = None, partition: int = 0, *, keyed: bool = False
    ) -> None:
        self.destination, self.partition = destination or Destination(), partition
        self.keyed = keyed
        self.reset()

    def reset(self) -> None:
        """Know nothing."""
        self.tried: list[Tried] = []
        self.hand: list[Tried] = []
        self.strikes = 0  # rounds in which the hand has failed
        self.pace = 0  # by how much the wait before the next one has grown
        self.founded = False  # whether what stood before the hand went through when it failed alone
        self.brisk = False  # whether the destination was up when the hand failed first
        self.cap: float | None = None  # the largest batch that is not too large, as far as is known

    def begin(self, hand: list[Tried], *, brisk: bool) -> None:
        """Have *hand*, which has failed; *brisk* if something went through just before."""
        self.hand, self.brisk, self.founded = hand, brisk, False
        self.strikes, self.pace = 1, 0

    def limit(self, size: int | None) -> int | None:
        """Return how many of *size* to take, for the destination's sake."""
        return size if self.cap is None else min(int(self.cap), size or int(self.cap))

    def grow(self, size: int | None) -> None:
        """Let batches be a little larger again, if they are smaller than *size*."""
        if self.cap is not None:
            self.cap *= GROWTH
            if size is not None and self.cap >= size:
                self.cap = None

    def meet(self, items: Sequence[Any], asked: int = 0) -> list[Tried]:
        """
        Return what is known of *items*, the first in line; forget what is gone from there.

        Where more were *asked* for, these are all that there are.
        """
        known, keyed, passed, gone = iter(self.tried), self.keyed, 0, 0
        met: list[Tried] = []
        for item in items:
            mark = item.key if keyed else item
            for tried in known:
                passed += 1
                if tried.mark is mark:
                    break
                tried.held = False  # deleted, or dropped
                gone += 1
            else:
                tried = Tried(mark, item)
            met.append(tried)
        self.tried[:passed] = met
        if len(met) < asked:
            for tried in self.tried[len(met) :]:
                tried.held = False
                gone += 1
        self._look(gone)
        return met

    def call(self, met: Sequence[Tried], items: Iterable[Any]) -> None:
        """Note that the processor is given *items*."""
        for tried, item in zip(met, items, strict=True):
            tried.calls += 1
            tried.given = item

    def recall(self, items: Sequence[Tried]) -> None:
        """Note that this came to nothing."""
        for tried in items:
            tried.calls -= 1

    def fail(
        self, items: Sequence[Tried], error: BaseException, now: float, *, final: bool
    ) -> None:
        """Note that *items* have failed."""
        for tried in items:
            tried.error, tried.final = error, final
            if tried.since is None:
                tried.since = now

    def is_as_tried(self, tried: Tried, item: Any) -> bool:
        """Return whether *item* is what the processor had, and no newer value of a Map."""
        return not self.keyed or item.value is tried.given.value

    def renew(self, tried: Tried) -> None:
        """Forget what became of it: it is another value now."""
        tried.calls, tried.since, tried.error, tried.final = 0, None, None, False

    def settle(self, items: Sequence[Tried]) -> None:
        """Forget *items*: they are delivered, or given up."""
        for tried in items:
            tried.held = False
        self._look(len(items))

    def _look(self, gone: int) -> None:
        """Forget those that are held no more: *gone* of them, at most."""
        if gone:
            self.tried, self.hand = _held(self.tried, gone), _held(self.hand, gone)


def _held(line: list[Tried], gone: int) -> list[Tried]:
    """Return what of *line* is held; *gone* are not, at most, which often stand first."""
    first = next((place for place, tried in enumerate(line) if tried.held), len(line))
    return line[first:] if first == gone else [tried for tried in line if tried.held]


def runs(items: Sequence[Tried]) -> list[list[Tried]]:
    """Return neighbours of one error and number of calls together."""
    made: list[list[Tried]] = []
    for tried in items:
        last = made[-1][-1] if made else None
        if last is not None and last.error is tried.error and last.calls == tried.calls:
            made[-1].append(tried)
        else:
            made.append([tried])
    return made


def halves(size: int) -> list[int]:
    """Return the sizes of two halves, the front one last, for it is popped; none of one."""
    return [size - size // 2, size // 2] if size > 1 else []
