"""
A Map's window: entries of one swap after the other.

    step ─► table ─► hand ─► processor         settled: key by key, of the swap that is in flight

What is read may come twice; what is deleted on the server meanwhile is delivered all the same.
"""

from collections.abc import Callable, Sequence
from itertools import count

from ....abc.sharing import Claim, SharedStore, Swap, Want
from ...options.settings import Settings
from .map_table import WindowTable
from .window import MOST_BYTES, Window

Settled = tuple[int, bytes, bool]
"""A swap, a key of it, and whether that was given up."""


class MapWindow(Window):
    """Of a Map's partition."""

    def __init__(self, claim: Claim, settings: Settings, most: int) -> None:
        super().__init__(claim, settings, most)
        self.table = WindowTable(settings, self._settled)
        self._numbers = count(1)
        self._hand: dict[bytes, tuple[int, int]] = {}  # swap, and position in the table
        self._done: list[Settled] = []  # what the server is to be told; appended to by the worker
        self._told = 0  # how many of these the last step had
        self._swap = Swap(-1, (), is_all=False, left=0, waiting=0)
        self._wake: Callable[[], None] = lambda: None

    # --- what the pump asks ------------------------------------------------------

    @property
    def wanted(self) -> int:
        """How many entries to read on."""
        if self.gives_back or self.is_lost:
            return 0
        return self.half if len(self._hand) <= self.most - self.half else 0

    @property
    def has_more(self) -> bool:
        """Whether there is more to be read, as far as is known."""
        swap = self._swap
        return not swap.is_all if swap.left else swap.waiting > 0 and not self._hand

    def has_news(self) -> bool:
        """Return whether so much is settled that the server should know."""
        unsaid = len(self._done)
        return unsaid >= self.half or (unsaid > 0 and not self._hand)

    def want(self) -> Want:
        """Return what the next step is to do."""
        return self._want(self.wanted)

    def last_want(self) -> Want | None:
        """Return what the server has to be told before the claim is given back, if anything."""
        return self._want(0) if self._done else None

    def _want(self, records: int) -> Want:
        is_free = not self._hand  # before: what leaves the hand is among what is done by then
        done, number = self._done[:], self._swap.number
        self._told = len(done)
        mine = [(key, given_up) for swap, key, given_up in done if swap == number]
        return Want(
            self.claim,
            number,
            records,
            MOST_BYTES,
            delivered=[key for key, given_up in mine if not given_up],
            buried=[key for key, given_up in mine if given_up],
            may_swap=is_free,
        )

    def took(
        self,
        store: SharedStore,
        want: Want,  # noqa: ARG002  # which it was
        outcome: Swap,
        wake: Callable[[], None],
    ) -> None:
        """Take what the step has brought."""
        if not self.has_begun:
            self._wake, self.has_begun = wake, True
            self.table.begin_at(store, self.claim)
        del self._done[: self._told]
        self._told = 0
        self._swap = outcome._replace(entries=())
        self._land(outcome.entries, outcome.number)

    def _land(self, entries: Sequence[tuple[bytes, bytes]], number: int) -> None:
        landed = False
        # First what is in hand: the worker leaves a key there until it is among what is done.
        known = {key for key, (swap, _) in self._hand.copy().items() if swap == number}
        known |= {key for swap, key, _ in self._done[:] if swap == number}
        for key, record in entries:
            if key not in known:
                position = next(self._numbers)
                self._hand[key] = number, position  # before the worker can have it
                self.table.place(key, record, position)
                landed = True
        if landed:
            self.landed()

    # --- what the table says ---------------------------------------------------------

    def _settled(self, settled: Sequence[tuple[bytes, int]], *, given_up: bool) -> None:
        """Note which keys are settled, and up to which position of the table."""
        for key, position in settled:
            swap, at = self._hand.get(key, (-1, 0))
            if at == position:  # not one of a later swap
                self._done.append((swap, key, given_up))
                self._hand.pop(key, None)
        if settled and (self.has_news() or (self.wanted and self.has_more)):
            self._wake()
