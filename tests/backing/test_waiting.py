"""A writer that waits for room in a stored buffer, in fake time: that goes on meanwhile."""

from typing import Any

import pytest

from partitioned_buffer import BufferFull, Queue, Retry
from partitioned_buffer.testing import FakeClock, RecordingProcessor, assert_balanced
from partitioned_buffer.testing.storage import DictStorage


@pytest.mark.parametrize("failures", [2, 50])
def test_time_goes_on_while_a_writer_waits_for_room(failures: int) -> None:
    processor, clock = RecordingProcessor(), FakeClock()
    processor.fail(*(OSError() for _ in range(failures)))
    queue: Queue[Any] = Queue(
        "full",
        processor,
        partitions=1,
        storage=DictStorage(),
        clock=clock,
        max_size=2,
        block_timeout=20.0,
        retry=Retry(wait_initial=5.0, jitter=0.0),
    ).start()
    queue.push_all([1, 2])
    if failures == 2:
        queue.push(3)
        assert processor.items == [1, 2]
    else:
        with pytest.raises(BufferFull):
            queue.push(3)
    processor.recover()
    queue.stop()
    assert_balanced(queue.stats())
