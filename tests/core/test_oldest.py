"""How far all is settled: before the oldest item that is held."""

import random
from pathlib import Path
from typing import Any

import pytest
from helpers import Buffers, Sink, in_turn, unwoken

from partitioned_buffer import PartialFailure, Queue, Retry
from partitioned_buffer.storage import SQLite
from partitioned_buffer.testing import FakeClock, RecordingProcessor

pytestmark = pytest.mark.both_faces


def test_it_is_the_first_of_what_waits_or_is_in_flight(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = unwoken(buffers.queue(processing_batch_size=2))

    assert queue.oldest() == []
    queue.push_all([1, 2, 3, 4, 5])
    assert queue.oldest() == [1]
    processor.block()
    clock.jump(5.0)
    processor.wait_for_call()
    assert queue.oldest() == [1]
    processor.unblock()
    clock.settle()
    assert queue.oldest() == []


def test_what_is_behind_a_failed_item_does_not_count_before_that_is_settled(
    buffers: Buffers, clock: FakeClock
) -> None:
    sink = Sink()
    queue = unwoken(buffers.queue(processor=sink, processing_batch_size=4, dead_letter=sink.bury))
    sink.fail(PartialFailure(retry=[2]), OSError(), PartialFailure(reject=[2]))
    queue.push_all([1, 2, 3, 4])
    clock.advance(5.0)

    assert sorted(sink.delivered) == [1, 3, 4]
    assert queue.oldest() == [2]
    clock.advance(20.0)

    assert sink.dead == [2]
    assert queue.oldest() == []


@in_turn
def test_each_partition_has_one_of_its_own(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = unwoken(buffers.queue(partitions=3, max_bytes=1000, size_of=lambda _: 1))
    for number in range(5):
        queue.push(number)

    assert sorted(queue.oldest()) == [0, 1, 2]
    clock.advance(5.0)
    assert queue.oldest() == []


def test_what_is_dropped_is_settled(buffers: Buffers) -> None:
    queue = unwoken(buffers.queue(max_size=2, when_full="drop_oldest"))
    queue.push_all([1])
    for number in (2, 3, 4):
        queue.push(number)

    assert queue.oldest() == [3]


@pytest.mark.parametrize("seed", range(20))
def test_whatever_fails_all_before_the_oldest_is_settled(
    buffers: Buffers, clock: FakeClock, seed: int
) -> None:
    dice, sink, pushed = random.Random(seed), Sink(), 0

    def process(batch: list[int]) -> None:
        if dice.random() < 0.5:
            failed = dice.sample(batch, dice.randint(1, len(batch)))
            kind = "reject" if dice.random() < 0.1 else "retry"
            sink.delivered.extend(item for item in batch if item not in failed)
            raise PartialFailure(**{kind: failed})
        sink.delivered.extend(batch)

    def bury(items: list[Any], *_: object) -> None:
        sink.dead.extend(items)

    retry = Retry(attempts=4, wait_initial=1.0, jitter=0.0)
    queue = buffers.queue(processor=process, partitions=2, retry=retry, dead_letter=bury)
    for _ in range(30):
        count = dice.randint(0, 9)
        for number in range(pushed, pushed + count):
            queue.push(number)
        pushed += count
        clock.advance(dice.choice([0.5, 1.0, 5.0]))
        settled, mark = {*sink.delivered, *sink.dead}, min(queue.oldest(), default=pushed)
        assert settled.issuperset(range(mark))
        assert mark == pushed or mark not in settled
    clock.advance(300.0)
    assert queue.oldest() == []


@pytest.mark.threads
def test_one_with_a_storage_needs_none(tmp_path: Path) -> None:
    queue: Queue[int] = Queue("stored", print, storage=SQLite(tmp_path / "file", codec="pickle"))

    with pytest.raises(TypeError, match="goes on where it was"):
        queue.oldest()
