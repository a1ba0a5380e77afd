"""Events, hooks and subscriptions."""

import dataclasses
import time
from typing import Any

import pytest
from helpers import Buffers

import partitioned_buffer
from partitioned_buffer import events
from partitioned_buffer.events import (
    Event,
    PartitionStarted,
    PartitionStopped,
    ProcessingException,
    ProcessingStarted,
    ProcessingStopped,
)
from partitioned_buffer.testing import FakeClock, RecordingHook, RecordingProcessor

pytestmark = pytest.mark.both_faces


def kinds(hook: RecordingHook) -> list[type[Event]]:
    return [type(event) for event in hook.events]


def test_a_buffers_life_in_events(buffers: Buffers, clock: FakeClock, hook: RecordingHook) -> None:
    queue = buffers.queue(name="events", hooks=[hook])
    clock.advance(5.0)
    queue.push_all([1, 2, 3])
    clock.advance(5.0)
    queue.stop()

    assert kinds(hook) == [
        PartitionStarted,
        ProcessingStarted,
        ProcessingStopped,
        PartitionStopped,
    ]
    assert {event.buffer for event in hook.events} == {"events"}
    assert {event.partition for event in hook.events} == {0}
    assert hook.of(ProcessingStopped)[0].size == 3


def test_each_partition_speaks_for_itself(buffers: Buffers, hook: RecordingHook) -> None:
    queue = buffers.queue(partitions=3, hooks=[hook])
    queue.stop()

    assert sorted(e.partition for e in hook.of(PartitionStarted)) == [0, 1, 2]
    assert sorted(e.partition for e in hook.of(PartitionStopped)) == [0, 1, 2]


def test_times_are_seconds(buffers: Buffers, clock: FakeClock, hook: RecordingHook) -> None:
    def slow(_: list[int]) -> None:
        clock.jump(2.0)
        if failing:
            raise OSError

    failing = [True]
    queue = buffers.queue(processor=slow, hooks=[hook])
    queue.push(1)
    clock.advance(5.0)
    failing.clear()
    clock.advance(5.0)
    now = clock.monotonic()
    queue.stop()

    assert hook.of(ProcessingException)[0].duration == 2.0
    assert hook.of(ProcessingStopped)[0].duration == 9.0, "two calls, and the wait between"
    assert hook.of(PartitionStopped)[0].duration == now
    assert abs(hook.of(PartitionStarted)[0].time - time.time()) < 3600
    assert hook.of(ProcessingStarted)[0].time - hook.of(PartitionStarted)[0].time == 5.0


def test_subscribers_hear_every_buffer_until_they_unsubscribe(
    buffers: Buffers, hook: RecordingHook
) -> None:
    unsubscribe = partitioned_buffer.subscribe(hook)
    other = partitioned_buffer.subscribe(hook)
    try:
        buffers.queue(name="q").stop()
        assert len(hook.events) == 4
        unsubscribe()
        unsubscribe()
        buffers.map(name="m").stop()
        assert [event.buffer for event in hook.events] == ["q", "q", "q", "q", "m", "m"]
    finally:
        unsubscribe()
        other()
    buffers.queue().stop()
    assert len(hook.events) == 6


def test_a_coroutine_function_is_no_hook() -> None:
    async def hook(event: object) -> None: ...

    with pytest.raises(TypeError, match="expected a plain function"):
        partitioned_buffer.subscribe(hook)
    with pytest.raises(partitioned_buffer.InvalidOption, match="plain functions"):
        partitioned_buffer.Queue("q", print, hooks=[hook])


def test_subscribing_what_cannot_be_called_raises() -> None:
    with pytest.raises(TypeError, match="hook='print': expected a plain function"):
        partitioned_buffer.subscribe("print")  # type: ignore[arg-type]


def test_events_are_frozen_and_slotted() -> None:
    for kind in vars(events).values():
        if isinstance(kind, type) and issubclass(kind, Event):
            assert dataclasses.is_dataclass(kind)
            blank: dict[str, Any] = {f.name: None for f in dataclasses.fields(kind)}
            assert not hasattr(kind(**blank), "__dict__")
    with pytest.raises(dataclasses.FrozenInstanceError):
        Event(buffer="b", partition=0).buffer = "c"  # type: ignore[misc]


def test_stats_count_per_partition_and_in_total(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(partitions=2, processing_batch_size=1)
    queue.push_all([1, 2, 3])
    queue.push_all([4])
    processor.fail(OSError())
    clock.advance(5.0)

    stats = queue.stats()

    assert stats.accepted == 4
    assert stats.delivered + stats.held == 4
    assert (
        stats.delivered == sum(part.delivered for part in stats.partitions) == len(processor.items)
    )
    assert [part.partition for part in stats.partitions] == [0, 1]
    with pytest.raises(dataclasses.FrozenInstanceError):
        stats.accepted = 5  # type: ignore[misc]


def test_an_unbalanced_ledger_is_noticed(buffers: Buffers) -> None:
    stats = buffers.queue().stats()

    with pytest.raises(AssertionError, match="accepted is not the sum"):
        partitioned_buffer.testing.assert_balanced(dataclasses.replace(stats, accepted=1))
