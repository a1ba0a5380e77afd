"""
A number of attempts is the user's word, and final: then in halves, until what fails is alone.

That is given up. So it is at a deadline; and for ever, `math.inf`, knows no other end.
"""

from .effects import FULL, Effects, Wait
from .front import Tried, halves
from .reading import BUSY, FAILED, OUTAGE
from .trial import Trial


class Number:
    """Settles a hand that failed."""

    def __init__(self, trial: Trial) -> None:
        self._trial, self._front, self._retry = trial, trial.front, trial.retry

    def settle(self) -> Effects:
        """Try the hand until it is delivered, or given up."""
        trial, front = self._trial, self._front
        while front.hand:
            if (seconds := self._patience()) is None:
                yield from self._isolate(front.hand)
            elif late := self._late(front.hand, seconds):
                yield from self._isolate(late)
            else:
                end = yield Wait(seconds, trial.error, front.hand[0].calls)
                if end != FULL:
                    front.pace = 0
                elif trial.said != BUSY:
                    front.pace += 1
                    front.strikes += trial.said != OUTAGE
                yield from trial.call_hand()

    def _patience(self) -> float | None:
        """Return how many seconds to wait for the next attempt; None: there is to be none."""
        trial, retry, front = self._trial, self._retry, self._front
        if trial.said == BUSY:
            return trial.least
        if trial.said == OUTAGE or (trial.said == FAILED and front.strikes != retry.attempts):
            return max(trial.least, retry.wait(front.pace + 1))
        return None

    def _late(self, items: list[Tried], seconds: float) -> list[Tried]:
        """Return those whose time will be over in so many *seconds*."""
        deadline, then = self._retry.deadline, self._trial.now() + seconds
        if deadline is None:
            return []
        return [t for t in items if t.since is not None and t.since + deadline < then]

    def _isolate(self, items: list[Tried]) -> Effects:
        """Halve *items*, the first in line, which failed together, until what fails is alone."""
        trial = self._trial
        if len(items) == 1 or not self._retry.split:
            yield from trial.bury(items)
            return
        for part in reversed(halves(len(items))):
            failed = yield from trial.call(0, part)
            while failed and trial.said in (BUSY, OUTAGE):
                seconds = self._patience() or 0.0
                if self._late(failed, seconds):
                    break
                yield Wait(seconds, trial.error, failed[0].calls)
                failed = yield from trial.call(0, len(failed))
            if failed:
                yield from self._isolate(failed)
