"""How often, and when, a batch that failed is tried again."""

import random
from dataclasses import dataclass

from ...errors import InvalidOption
from .checks import COUNT, ERRORS, FACTOR, FLAG, FRACTION, WAIT, or_none

Errors = type[BaseException] | tuple[type[BaseException], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """
    What happens to a batch whose processor raised: waits that grow, and an end to them.

    The wait after attempt *n* is `wait_initial * multiplier ** (n - 1)` seconds, at most
    `wait_max`, shortened at random by up to the fraction `jitter`, so that many machines do
    not come back in step ("Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
    Meanwhile what is behind the batch in its partition waits, so that the order is kept.
    `stop()` and `flush()` cut a wait short, and the waits after it begin small again; an attempt
    made early is not counted.

    When attempts are spent, a batch of *n* is tried in halves, and halves of halves, until
    what fails stands alone: one bad item costs about `2 * log2(n)` calls, and its neighbours
    are delivered. What stands alone and fails is dead-lettered.

    The defaults give up after about 4 minutes. Raises `InvalidOption`.
    """

    attempts: int | None = 10
    """Calls of the processor in all, with the first. None: for ever."""
    wait_initial: float = 1.0
    """Seconds between the first attempt and the second."""
    wait_max: float = 60.0
    """Seconds that no wait exceeds."""
    multiplier: float = 2.0
    """What each wait is multiplied by to get the next."""
    jitter: float = 0.5
    """Fraction of a wait, from 0 to 1, that chance may take off it."""
    deadline: float | None = None
    """Seconds after its first failure at which a batch is given up, whatever the attempts."""
    on: Errors = BaseException
    """Types of error that are worth trying again. Others are permanent: no waiting."""
    never: Errors = ()
    """Types of error that are permanent, though `on` has them."""
    split: bool = True
    """Whether to try parts. Not for a processor for which half a batch is a wrong batch:
    the whole batch is dead-lettered then."""

    def __post_init__(self) -> None:
        """Check everything."""
        for name, check in _CHECKS.items():
            value = getattr(self, name)
            if not check.passes(value):
                raise InvalidOption(f"Retry({name}={value!r}): expected {check.expected}")

    def covers(self, error: BaseException) -> bool:
        """Return whether *error* is worth another attempt."""
        return isinstance(error, self.on) and not isinstance(error, self.never)

    def wait(self, attempts: int) -> float:
        """Return how many seconds to wait after so many *attempts*."""
        try:
            seconds = min(self.wait_max, self.wait_initial * self.multiplier ** (attempts - 1))
        except OverflowError:
            seconds = self.wait_max
        return seconds * (1 - self.jitter * random.random())


_CHECKS = {
    "attempts": or_none(COUNT),
    "wait_initial": WAIT,
    "wait_max": WAIT,
    "multiplier": FACTOR,
    "jitter": FRACTION,
    "deadline": or_none(WAIT),
    "on": ERRORS,
    "never": ERRORS,
    "split": FLAG,
}
