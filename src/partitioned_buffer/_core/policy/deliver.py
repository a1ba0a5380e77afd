"""
Decide what becomes of what is in flight, and leave the doing to a driver.

`deliver()` yields *effects* and is sent their outcomes. It waits for nothing and
calls nobody itself, so threads and asyncio share one policy and no test sleeps.

    driver                             deliver()
      │ ──────── next ────────────────► │ take a batch
      │ ◄─────── Process(batch) ─────── │
      │ call the processor              │
      │ ──────── None | error ────────► │ None: next batch, which acknowledges this one
      │ ◄─────── Wait(seconds) ──────── │ error: it is the *hand*, tried again until it is
      │ ──────── why it ended ────────► │        settled, by the `Retry`: see `number`, for
      │ ◄─────── Process(batch) ─────── │        a number of attempts, or `evidence`
      │ ◄─────── DeadLetter(items) ──── │

What is known of what failed is the partition's (see `front`): a worker that dies takes none of it
along, and the next one goes on with the same hand.
"""

from collections.abc import Callable
from typing import Any

from .effects import Asks, CutShort, Effects, Process, Wait
from .evidence import Evidence
from .front import Tried
from .number import Number
from .trial import Trial


def deliver(trial: Trial, take: Callable[[], Any], batch_size: int | None) -> Effects:
    """
    Yield the effects that settle all that is in flight, in order, by what *take* returns.

    That are *batch_size* items at most, for a first attempt. Nothing overtakes a batch that
    failed: it is delivered, dead-lettered or deleted before the next one is taken.
    """
    front, destination, brisk = trial.front, trial.destination, False
    if front.hand:
        yield from trial.call_hand()
        yield from _settle(trial, batch_size)
    keyed, troubled, first = front.keyed, destination.troubled, Process[Any](None)
    entries = _entries if batch_size is None else list.copy  # a whole table may be a dict
    while True:
        if destination.until:
            yield from _hold(trial)
        if front.tried or front.cap is not None:
            failed = yield from trial.call(0, front.limit(batch_size))
            if failed is None:
                return
            front.grow(batch_size)
        elif (batch := take()) is None:
            return
        else:
            given = entries(batch) if keyed else None
            first.batch = batch
            error = yield first
            if error is None:
                brisk = True
                if troubled:
                    destination.success()
                continue
            failed = yield from _first_failure(trial, given, error)
        if failed:
            front.begin(failed, brisk=brisk)
            yield from _settle(trial, batch_size)
        brisk = True  # what settled it was a success, or the user's word


def _entries(batch: Any) -> list[Any]:
    """Return the entries of *batch* in a list that the processor does not have."""
    return list(batch.values()) if isinstance(batch, dict) else list.copy(batch)


def _first_failure(
    trial: Trial, given: list[Any] | None, error: BaseException
) -> Asks[list[Tried]]:
    """Begin to note what becomes of a batch, whose first call has ended with *error*."""
    in_flight, front = trial.in_flight, trial.front
    if isinstance(error, CutShort):
        in_flight.keep(None)
        return []
    items = (in_flight.again(None, False) or []) if given is None else given
    met = front.meet(items)
    front.call(met, items)
    return (yield from trial.judge(met, 0, error))


def _settle(trial: Trial, size: int | None) -> Effects:
    """Settle the hand; what is behind it comes in batches of *size*."""
    destination, partition = trial.destination, trial.partition
    policy = Evidence(trial, size) if trial.retry.attempts is None else Number(trial)
    destination.troubled.add(partition)
    try:
        yield from policy.settle()
    finally:
        destination.troubled.discard(partition)
    trial.in_flight.keep(None)  # so that nothing is acknowledged with what is taken next
    trial.splitting = trial.progress = False


def _hold(trial: Trial) -> Effects:
    """Wait, as the destination told everyone."""
    destination = trial.destination
    trial.in_flight.acknowledge()
    seconds, error = destination.until - trial.now(), destination.busy
    if seconds > 0 and error is not None:
        yield Wait(seconds, error, 1)
    destination.until, destination.busy = 0.0, None
