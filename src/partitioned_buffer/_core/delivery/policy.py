"""
Decide what becomes of what is in flight, and leave the doing to a driver.

`deliver()` yields *effects* and is sent their outcomes. It waits for nothing and
calls nobody itself, so threads and asyncio share one policy and no test sleeps.

    driver                             deliver()
      │ ──────── next ────────────────► │ take a batch
      │ ◄─────── Process(batch) ─────── │
      │ call the processor              │
      │ ──────── None | error ────────► │ None: acknowledge, next batch
      │ ◄─────── Wait(seconds) ──────── │ error: try again, by the `Retry`
      │ ──────── in full? ────────────► │
      │ ◄─────── Process(batch) ─────── │   ... and when attempts are spent, in parts
      │ ◄─────── DeadLetter(items) ──── │   ... until what fails stands alone
"""

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from ...errors import PartialFailure, Reject, RetryAfter
from ..options.retry import Retry

B = TypeVar("B")
B_co = TypeVar("B_co", covariant=True)


@dataclass(slots=True)
class Process(Generic[B]):
    """
    Give *batch* to the processor; send back what it raised (or a `CutShort`), or None.

    First attempts of one cycle share one object, for making it takes as long as cutting a batch.
    """

    batch: B
    attempt: int = 1


@dataclass(slots=True)
class Wait:
    """Let *seconds* pass after the failed *attempt*; send back whether they did, in full."""

    seconds: float
    error: BaseException
    attempt: int


@dataclass(slots=True)
class DeadLetter:
    """Hand *items* to the dead letter handler; send back None, or a `CutShort`."""

    items: list[Any]
    error: BaseException
    attempts: int


@dataclass(slots=True)
class Match:
    """Find the places in *items* of those *named*; send them back, or None if one is a stranger."""

    items: list[Any]
    named: list[Any]


class CutShort(Exception):  # it is no error, and only ever sent back
    """The call was cut short, for no fault of what it was given, which is still in hand."""


class InFlight(Protocol[B_co]):
    """What was taken from the writers and waits for delivery."""

    def take(self, size: int | None, /) -> B_co | None:
        """
        Return the next *size* items (None: all) in a container of their own, or None.

        What was returned last, and not settled otherwise, was delivered.
        """

    def acknowledge(self) -> object:
        """Let go of what was returned last: it was delivered."""

    def keep(self, places: Iterable[int] | None, /) -> int:
        """Keep *places* (None: all) of what was returned last in hand, for `again`; count them."""
        ...

    def again(self, size: int | None, newest: bool = True, /) -> Any | None:
        """Return the first *size* items in hand, with the *newest* values if there are any."""

    def bury(self) -> object:
        """Let go of what was returned last: it was dead-lettered."""

    def release(self) -> object:
        """Have nothing in hand: what is still held is in line."""


Effects = Generator[Process[B] | Wait | DeadLetter | Match, Any, None]
Trial = Generator[Process[B] | Wait | DeadLetter | Match, Any, int]


def deliver(
    in_flight: InFlight[B],
    take: Callable[[], B | None],
    retry: Retry,
    monotonic: Callable[[], float],
) -> Effects[B]:
    """
    Yield the effects that settle all that is *in_flight*, in order, by what *take* returns.

    Nothing overtakes a batch that failed: it is delivered, dead-lettered or deleted before
    the next one is taken.
    """
    first: Process[Any] = Process(None)
    while (batch := take()) is not None:
        first.batch = batch
        error = yield first
        if error is not None:
            yield from _Trouble(in_flight, retry, monotonic).settle(error)
            in_flight.release()


class _Trouble(Generic[B]):
    """A batch that failed, until it is settled."""

    def __init__(
        self, in_flight: InFlight[B], retry: Retry, monotonic: Callable[[], float]
    ) -> None:
        self._in_flight = in_flight
        self._retry = retry
        self._monotonic = monotonic
        self._began = monotonic()
        self._attempts = self._counted = self._pace = 1
        self._error: BaseException

    def settle(self, error: BaseException) -> Effects[B]:
        """Try what is in hand until it is delivered, or given up."""
        if isinstance(error, CutShort):  # that was no attempt
            self._attempts = 0
            self._in_flight.keep(None)
            failed = yield from self._attempt(None)
        else:
            failed = yield from self._judge(error)
        while failed and not self._rejected and (seconds := self._patience()) is not None:
            in_full = yield Wait(seconds, self._error, self._attempts)
            if not in_full:
                self._pace = 1
            elif not isinstance(self._error, RetryAfter):
                self._counted += 1
                self._pace += 1
            failed = yield from self._attempt(None)
        if failed:
            yield from self._isolate(failed)

    def _judge(self, error: BaseException | None) -> Trial[B]:
        """Return how many of those just tried have failed."""
        in_flight = self._in_flight
        if error is None:
            in_flight.acknowledge()
            return 0
        self._error = error
        failed = in_flight.keep(None)
        if isinstance(error, PartialFailure):
            items = in_flight.again(failed, False)  # as they were
            if items is not None:
                failed = in_flight.keep((yield Match(items, error.failed)))
        return failed

    @property
    def _rejected(self) -> bool:
        return isinstance(self._error, Reject)

    def _patience(self) -> float | None:
        """Return how many seconds to wait for the next attempt; None: there is to be none."""
        error, retry = self._error, self._retry
        if isinstance(error, RetryAfter):
            seconds = error.seconds
        elif retry.covers(error) and self._counted != retry.attempts:
            seconds = retry.wait(self._pace)
        else:
            return None
        if retry.deadline is None or self._monotonic() + seconds <= self._began + retry.deadline:
            return seconds
        return None

    def _attempt(self, size: int | None) -> Trial[B]:
        """Try the first *size* in hand; return how many of them failed."""
        self._attempts += 1
        while (batch := self._in_flight.again(size)) is not None:
            error = yield Process(batch, self._attempts)
            if not isinstance(error, CutShort):
                return (yield from self._judge(error))
        return 0

    def _isolate(self, size: int) -> Effects[B]:
        """Halve the first *size* in hand, which failed together, until what fails is alone."""
        if size == 1 or self._rejected or not self._retry.split:
            yield from self._bury(size)
            return
        tried = self._attempts
        for part in (size // 2, size - size // 2):
            self._attempts = tried  # those of the other half are not this one's
            failed = yield from self._attempt(part)
            while failed and isinstance(self._error, RetryAfter):
                if (seconds := self._patience()) is None:
                    break
                yield Wait(seconds, self._error, self._attempts)
                failed = yield from self._attempt(failed)
            if failed:
                yield from self._isolate(failed)

    def _bury(self, size: int) -> Effects[B]:
        cut: CutShort | None = CutShort()
        while cut and (items := self._in_flight.again(size, False)) is not None:
            cut = yield DeadLetter(items, self._error, self._attempts)
            if cut is None:
                self._in_flight.bury()
