"""
What a worker has in hand of one partition, in a stored buffer's table, whose worker delivers it.

    step ─► landed ─► line ─► hand ─► processor        what is settled, the next step says

The table takes a window for its store: it notes what is settled here, and the pump tells the
server.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

from ....abc import Clock
from ....abc.sharing import Claim, SharedStore, Want
from ....errors import RetryAfter
from ...backing.partition import StoredPartition
from ...delivery.worker import Worker
from ...options.checks import is_coroutine_function
from ...options.settings import Settings

POLL = 0.25
"""Seconds after which a partition is looked at that nobody has said anything of."""

LATER = 0.05
"""Seconds after which a batch is tried again that came when its claim was over."""

MOST_BYTES = 4 << 20
"""Of one read."""


class Window(ABC):
    """Of one claim, from its first step to its last."""

    worker: Worker[Any] | None = None
    table: Any

    def __init__(self, claim: Claim, settings: Settings, most: int) -> None:
        self.claim, self.most, self.half = claim, most, max(1, most // 2)
        self._processor = _guarded(claim, settings)
        self.settings = settings
        self.partition: StoredPartition | None = None
        self.stepped_at = 0.0
        self.has_begun = False
        """Whether a step has said where it stands."""
        self.is_counted = False  # whether what was measured is the buffer's, not the window's
        self.is_admitted = False  # whether a worker is on its way, or there
        self.is_lost = self.gives_back = self.is_heard = self.hurries = False

    def retuned(self, settings: Settings) -> Settings:
        """Return by which options it is delivered."""
        flush_at = min(settings.flush_at or self.half, self.half)
        self.settings = replace(
            settings, processor=self._processor, flush_at=flush_at, partitions=1
        )
        return self.settings

    # --- what the pump asks ------------------------------------------------------

    @property
    @abstractmethod
    def wanted(self) -> int:
        """How many records to read on."""

    @property
    @abstractmethod
    def has_more(self) -> bool:
        """Whether there is more to be read, as far as is known."""

    @abstractmethod
    def has_news(self) -> bool:
        """Return whether so much is settled that the server should know."""

    @abstractmethod
    def want(self) -> Want:
        """Return what the next step is to do."""

    @abstractmethod
    def last_want(self) -> Want | None:
        """Return what the server has to be told before the claim is given back, if anything."""

    @abstractmethod
    def took(self, store: SharedStore, want: Want, outcome: Any, wake: Callable[[], None]) -> None:
        """Take what the step that did *want* has brought."""

    def feed(self) -> None:  # noqa: B027  # most have nothing to do
        """Have the table land as much as may be in hand."""

    def is_due(self, now: float, lease: float) -> bool:
        """Return whether there is anything to tell the server, or to ask it."""
        since = now - self.stepped_at
        if not self.has_begun or since >= lease / 3 or self.has_news():
            return True
        return self.wanted > 0 and (self.is_heard or self.has_more or since >= POLL)

    def landed(self) -> None:
        """Have the worker look, if somebody waits."""
        if self.hurries and self.worker is not None:
            self.worker.wake()

    def hurry(self) -> None:
        """Deliver what is there without waiting for more: somebody waits for a flush."""
        if self.worker is not None:
            self.worker.wake()

    def finish(self) -> None:
        """Begin nothing more: what the processor has is settled, the rest is given back."""
        self.gives_back = True
        if self.worker is not None:
            Worker.abandon(self.worker)  # which cuts off nobody's call

    def lose(self) -> None:
        """Know that somebody else may have it."""
        self.is_lost = True
        self.claim.until = 0.0
        self.finish()

    @property
    def restarts(self) -> int:
        """How often its worker died."""
        return 0 if self.partition is None else self.partition.restarts

    @property
    def rests(self) -> bool:
        """Whether nobody works on it any more."""
        return self.worker is None or self.worker.ended


def _guarded(claim: Claim, settings: Settings) -> Callable[[Any], Any]:
    """
    Return the processor, which is not called when the claim is over by this process's clock.

    It may have slept for longer than the claim lasts, and nobody had the time to notice.
    """
    clock = settings.clock
    processor = cast("Callable[..., object]", settings.processor)
    if not is_coroutine_function(processor):

        def guarded(batch: Any) -> object:
            _look(claim, clock)
            return processor(batch)

        return guarded

    async def guarded_coroutine(batch: Any) -> object:
        _look(claim, clock)
        return await processor(batch)  # type: ignore[misc]  # it is a coroutine function

    return guarded_coroutine


class ClaimOver(RetryAfter):
    """The claim is over: whoever has the partition now delivers the batch."""


def _look(claim: Claim, clock: Clock) -> None:
    if clock.monotonic() >= claim.until:
        raise ClaimOver(LATER)


class WindowPartition(StoredPartition):
    """A partition of the server, as long as it is claimed."""

    __slots__ = ()
    no_failures = (ClaimOver,)

    def report(self, message: str, *args: object, error: BaseException | None = None) -> None:
        """Log an error, unless it is that the claim is over: nothing has failed then."""
        if not isinstance(error, ClaimOver):
            super().report(message, *args, error=error)
