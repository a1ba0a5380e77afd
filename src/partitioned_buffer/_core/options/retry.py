"""How often, and when, a batch that failed is tried again."""

import random
from dataclasses import dataclass

from ...errors import InvalidOption
from .checks import COUNT_OR_INF, ERRORS, FACTOR, FLAG, FRACTION, WAIT, or_none

Errors = type[BaseException] | tuple[type[BaseException], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """
    What happens to a batch whose processor raised: waits that grow, and what ends them.

    The wait after attempt *n* is `wait_initial * multiplier ** (n - 1)` seconds, at most
    `wait_max`, shortened at random by up to the fraction `jitter`, so that many machines do
    not come back in step ("Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
    Meanwhile what is behind the batch in its partition waits, so that the order is kept.

    By default **an outage is not poison**: an item is given up only when something else of its
    partition went through, or when its own error says that it will never do. A batch that failed
    twice is tried in halves, without waits, until what fails stands alone. That item is tried
    again and again. After eight such attempts the next item in line is tried, once: if that goes
    through, the first one was poison, and is dead-lettered; if it fails as well, this is an outage,
    and both stay, for as long as it takes.

    With a number of `attempts`, or a `deadline`, that is the end, whatever the reason: the batch
    is tried in halves, and what stands alone and fails is dead-lettered. One bad item of *n* costs
    about `2 * log2(n)` calls, and its neighbours are delivered.

    `stop()` and `flush()` cut a wait short, and the waits after it begin small again; an attempt
    made early is not counted. Raises `InvalidOption`.
    """

    attempts: float | None = None
    """None: until something else went through (see above). A whole number: so many calls of the
    processor in all, with the first. `math.inf`: for ever."""
    wait_initial: float = 1.0
    """Seconds between the first attempt and the second."""
    wait_max: float = 60.0
    """Seconds that no wait exceeds."""
    multiplier: float = 2.0
    """What each wait is multiplied by to get the next."""
    jitter: float = 0.5
    """Fraction of a wait, from 0 to 1, that chance may take off it."""
    deadline: float | None = None
    """Seconds after its own first failure at which an item is given up, whatever the attempts."""
    on: Errors = BaseException
    """Types of error that are worth trying again. Others are permanent: no waiting."""
    never: Errors = ()
    """Types of error that are permanent, though `on` has them."""
    always: Errors = ()
    """Types of error that are an outage's, and say nothing of the items: waited for as long as it
    takes, and never counted. `Outage` is one without being named."""
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
        return self._longest_after(attempts) * (1 - self.jitter * random.random())

    def is_longest(self, attempts: int) -> bool:
        """Return whether waits do not grow beyond that after so many *attempts*."""
        return self.multiplier == 1 or self._longest_after(attempts) >= self.wait_max

    def _longest_after(self, attempts: int) -> float:
        try:
            return min(self.wait_max, self.wait_initial * self.multiplier ** (attempts - 1))
        except OverflowError:
            return self.wait_max


_CHECKS = {
    "attempts": or_none(COUNT_OR_INF),
    "wait_initial": WAIT,
    "wait_max": WAIT,
    "multiplier": FACTOR,
    "jitter": FRACTION,
    "deadline": or_none(WAIT),
    "on": ERRORS,
    "never": ERRORS,
    "always": ERRORS,
    "split": FLAG,
}
