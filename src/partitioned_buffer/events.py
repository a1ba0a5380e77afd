"""
What hooks receive: one frozen object per thing that happened.

    PartitionStarted                          a worker is up
      ProcessingStarted                       a cycle took what was waiting
        BatchRetried                          ... and begins with a batch that failed before
        ProcessingException                   ... the processor raised
      ProcessingStopped | ProcessingFailed    the cycle delivered all | left some for the next
      ItemsDropped                            something accepted will not be delivered
    PartitionStopped                          the worker is gone, or died and comes back

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
    """A cycle delivered all it had taken: `size` items in `duration`."""

    duration: float
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessingException(Event):
    """The processor raised `error` (with its traceback), `duration` into the cycle."""

    duration: float
    error: BaseException


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessingFailed(Event):
    """A cycle was ended by `error`, at wall-clock `time`; `left` items stay for the next."""

    time: float
    error: BaseException
    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRetried(Event):
    """A cycle begins with what failed before: this is attempt `attempt` (2 is the first retry)."""

    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemsDropped(Event):
    """`count` accepted items will not be delivered, because of `reason`."""

    count: int
    reason: str
