"""
What hooks receive: one frozen object per thing that happened.

    PartitionStarted              a worker is up
      ProcessingStarted           a cycle took what was waiting
        ProcessingException       ... the processor raised
        ProcessingFailed          ... so the batch waits for another attempt
        BatchRetried              ... which begins
        BatchDeadLettered         ... or there are to be no more
        ProcessingOverdue         ... a call of the processor takes too long
      ProcessingStopped           the cycle has settled all that it took
      ItemsDropped                something accepted will not be delivered
    PartitionStopped              the worker is gone, or died and comes back

The first six carry the measurements and metadata of the telemetry events of
Elixir's `partitioned_buffer`; times are seconds, `time` is the wall clock's
(as `time.time()`), `duration` the monotonic clock's.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What all events say: the buffer's name and the partition's number, from 0."""

    buffer: str
    partition: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionStarted(Event):
    """A partition's worker started, at wall-clock `time`."""

    time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionStopped(Event):
    """A partition's worker ended after `duration`; `reason` is what killed it, None at stop()."""

    duration: float
    reason: BaseException | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessingStarted(Event):
    """A processing cycle began, at wall-clock `time`; one with nothing to do says nothing."""

    time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessingStopped(Event):
    """A cycle settled all it had taken, in `duration`; `size` items of it were delivered."""

    duration: float
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessingException(Event):
    """The processor raised `error` (with its traceback), `duration` into the cycle."""

    duration: float
    error: BaseException


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessingFailed(Event):
    """
    A batch failed with `error`, at wall-clock `time`, and stays, with all behind it: `left` items.

    The next attempt is made in `retry_in` seconds; None: not before the buffer is started again.
    """

    time: float
    error: BaseException
    left: int
    retry_in: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessingOverdue(Event):
    """A call of the processor has taken `duration`, more than `processing_timeout`, so far."""

    duration: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRetried(Event):
    """A batch that failed, or a part of it, is processed again: this is `attempt` 2, 3, ..."""

    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchDeadLettered(Event):
    """`size` items were given up after so many `attempts`, the last of which raised `error`."""

    size: int
    error: BaseException
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemsDropped(Event):
    """`count` accepted items will not be delivered, for `reason`; `error` if one was raised."""

    count: int
    reason: str
    error: Exception | None
