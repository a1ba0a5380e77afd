"""
By default an outage is not poison: evidence decides.

    the hand fails ─► round after round: a wait, and the hand again
      several, twice? ─► isolated: in halves, without waits, until one item fails alone
      alone, `STRIKES` times? ─► a *probe*: what is next in line, alone
            it goes through: the hand was poison, and is given up
            it fails: nothing is known, and both stay, for as long as it takes

  - Evidence comes from the same partition alone. Others give news, and pace.
  - What was delivered before the hand counts, as far as nothing is behind it.
  - What is given up after a probe is not called again: that would break the order.
  - What fails by its own word (`Reject`, `never`, too large alone) needs none.
  - A run of poison hides what is good behind it, so that a probe goes on past its first failure;
    but seldom: at twice, four, eight times the strikes, for no more calls than there were waits.
  - The outage may be over when the probe is made, after the hand has failed. That is likelier
    where calls hang, or where other partitions are in trouble, too: a probe is made then only
    after something went through, or seldom.
"""

from typing import Final

from .effects import FLUSH, FULL, NEWS, STOP, Asks, Effects, End, Wait
from .front import Tried, halves
from .reading import BUSY, FAILED, NEVER, OUTAGE, SPLIT
from .trial import Trial

STRIKES: Final = 8
"""Rounds in which an item fails alone before what is behind it is tried."""
TOGETHER: Final = 2
"""Rounds in which several fail before they are isolated."""
PAUSE: Final = 1.0
"""Seconds after a call before which no flush has another one made."""
SLOW: Final = 0.25
"""The part of the first wait after which a call that fails has hung."""
BRISK: Final = 3
"""By how many steps waits grow at most while what stood before the hand has just gone through."""


class Evidence:
    """Settles a hand that failed."""

    def __init__(self, trial: Trial, size: int | None) -> None:
        self._trial, self._front, self._retry = trial, trial.front, trial.retry
        self._size = size  # of a batch
        self._destination, self._me = trial.destination, trial.partition
        self._news = trial.destination.news  # as far as it was heard of

    def settle(self) -> Effects:
        """Try the hand, round after round, until it is delivered, or given up."""
        front = self._front
        end: End = FULL
        if front.strikes == 1 and self._trial.said in (BUSY, OUTAGE):
            front.strikes = 0
        try:
            while front.hand:
                yield from self._decide(end)
                if front.hand:
                    end = yield from self._rest()
                    yield from self._again(end)
        finally:
            self._destination.turns.pop(self._me, None)

    def _again(self, end: End) -> Effects:
        """Try the hand once more, and count that."""
        trial, front = self._trial, self._front
        yield from trial.call_hand()
        if trial.progress:  # what is left begins anew
            trial.progress, front.strikes, front.pace = False, 0, 0
        if end == FULL and trial.said not in (BUSY, OUTAGE):
            front.strikes += 1

    def _decide(self, end: End) -> Effects:
        """Do what can be done about the hand without waiting."""
        trial, front = self._trial, self._front
        if late := self._late():
            yield from self._last_try(late)
        elif trial.said in (NEVER, SPLIT):
            yield from self._isolate() if self._parts else trial.bury(front.hand)
        elif trial.said == FAILED and self._parts:
            if front.strikes >= TOGETHER:
                yield from self._isolate()
        elif trial.said == FAILED and self._is_due(end):
            sure = front.brisk or self._destination.news != self._news or self._is_rare(end)
            alone = self._destination.troubled == {self._me}
            if sure or alone:
                yield from self._probe(self._limit() if end == FULL else 1, sure=sure)
            front.brisk = front.brisk and front.strikes < 2 * STRIKES

    def _rest(self) -> Asks[End]:
        """Wait for the next round."""
        trial, front, retry, destination = (
            self._trial,
            self._front,
            self._retry,
            self._destination,
        )
        quiet = destination.news == self._news and front.strikes > 1
        self._news = destination.news
        front.pace = min(front.pace, BRISK) if front.brisk else front.pace
        seconds, pause = trial.least, retry.wait(front.pace + 1)
        if quiet and retry.is_longest(front.pace + 1):
            # Those who find nothing going through call in turn, for all of them.
            pause = destination.turn(self._me, trial.now(), pause)
        if trial.said != BUSY:
            seconds = max(seconds, pause)
        if retry.deadline is not None:
            seconds = min(seconds, max(0.0, self._first_failed + retry.deadline - trial.now()))
        end: End = yield Wait(
            seconds,
            trial.error,
            front.hand[0].calls,
            least=min(PAUSE, retry.wait_initial),
            news=self._news if quiet else None,
        )
        destination.turns.pop(self._me, None)
        if end in (FLUSH, STOP):
            front.pace = 0
        elif end == FULL and trial.said != BUSY:
            front.pace += 1
        return end

    @property
    def _parts(self) -> bool:
        """Whether the hand may be tried in parts."""
        return self._retry.split and len(self._front.hand) > 1

    # --- several calls, with no wait between them -----------------------------------------

    def _isolate(self) -> Effects:
        """Halve the hand, which has failed, until what fails is alone, and is the hand."""
        trial, front = self._trial, self._front
        parts, before = halves(len(front.hand)), False
        while parts:
            failed = yield from trial.call(0, parts.pop())
            if failed is None:
                return
            before = before or trial.through
            if not failed:
                continue
            if trial.said in (BUSY, OUTAGE):
                return
            if len(failed) > 1:
                parts += halves(len(failed))
            elif failed[0].final:
                yield from trial.bury(failed)
            else:
                front.hand, front.founded = failed, before
                front.brisk = front.brisk or before
                front.strikes, trial.progress = 1, False
                if front.brisk:
                    front.pace = 0
                return

    def _is_due(self, end: End) -> bool:
        strikes = self._front.strikes
        if strikes < STRIKES:
            return False
        return strikes % STRIKES == 0 if end == FULL else end in (NEWS, STOP)

    def _is_rare(self, end: End) -> bool:
        return end == FULL and self._front.strikes >= 4 * STRIKES and self._limit() > 1

    def _limit(self) -> int:
        """Return how many failing calls in a row end a probe."""
        times = self._front.strikes // STRIKES
        return self._front.strikes // 2 if times > 1 and times & (times - 1) == 0 else 1

    def _probe(self, limit: int, *, sure: bool) -> Effects:
        """
        Try what is behind the hand, which has just failed again, one by one, in order.

        What goes through proves those before it poison. *limit* calls failing in a row, or a
        second: it is an outage. The hand is tried again first, for there are destinations
        that fail every other time.
        """
        trial, front = self._trial, self._front
        if not (yield from self._fails_again(sure=sure)):
            return
        suspects, began = [front.hand], trial.now()
        while True:
            unit = 1 if self._retry.split else self._size
            behind = yield from trial.call(sum(map(len, suspects)), unit)
            if trial.through or (behind is None and front.founded and len(suspects) == 1):
                yield from trial.bury([item for items in suspects for item in items])
                return
            if behind is None:
                return
            if behind and trial.said in (BUSY, OUTAGE):
                trial.said = FAILED  # so said the probe, not the hand
                return
            if behind and all(item.final for item in behind):
                yield from trial.bury(behind)
            elif behind:
                limit -= 1
                suspects.append(behind)
                if limit < 1 or trial.now() - began > self._retry.wait_initial:
                    return

    def _fails_again(self, *, sure: bool) -> Asks[bool]:
        """Return whether the hand fails once more, and soon enough to prove something."""
        trial, began = self._trial, self._trial.now()
        yield from trial.call_hand()
        if not self._front.hand or trial.through or trial.said != FAILED:
            return False
        # If it hung, the outage may have ended meanwhile.
        return sure or trial.now() - began <= self._retry.wait_initial * SLOW

    # --- deadlines -------------------------------------------------------------------------

    @property
    def _first_failed(self) -> float:
        since = self._front.hand[0].since
        return self._trial.now() if since is None else since

    def _late(self) -> list[Tried]:
        """Return those of the hand whose time is over: each has its own."""
        trial, deadline = self._trial, self._retry.deadline
        if deadline is None:
            return []
        then = trial.now() + (trial.least if trial.said == BUSY else 0.0)
        return [t for t in self._front.hand if t.since is not None and t.since + deadline <= then]

    def _last_try(self, late: list[Tried]) -> Effects:
        """Give up those that fail alone, and all that are left once two in a row do."""
        trial, streak = self._trial, 0
        parts = halves(len(late)) if self._retry.split and trial.said != BUSY else []
        while parts and streak < 2:
            failed = yield from trial.call(0, parts.pop())
            if failed is None:
                break
            streak = 0 if trial.through else streak
            if len(failed) > 1:
                parts += halves(len(failed))
            elif failed:
                streak += 1
                yield from trial.bury(failed)
        yield from trial.bury(late)
