"""A writer that waits for room in a stored buffer, in fake time."""

from typing import Any

import pytest
from helpers import KINDS, in_thread, join, key_of, wait_until

from partitioned_buffer import BufferFull, Queue, Retry
from partitioned_buffer.testing import FakeClock, RecordingProcessor, assert_balanced
from partitioned_buffer.testing.contract.watched import Watched
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
        assert processor.items[:2] == [1, 2]
    else:
        with pytest.raises(BufferFull):
            queue.push(3)
    processor.recover()
    queue.stop()
    assert_balanced(queue.stats())


@pytest.mark.both_faces
@pytest.mark.parametrize("kind", ["queue", "map"])
def test_what_is_in_its_commit_is_delivered_as_soon_as_somebody_waits_for_its_room(
    face: str, kind: str
) -> None:
    """It cannot be delivered yet when the workers are woken for who waits."""
    storage, clock, processor = Watched(DictStorage()), FakeClock(), RecordingProcessor()
    options: dict[str, Any] = {"partitions": 1, "max_size": 1, "processing_interval": 3600.0}
    made = KINDS[face][kind]("full", processor, storage=storage, clock=clock, **options)
    with made as buffer:

        def write(number: int) -> None:
            buffer.push(number) if kind == "queue" else buffer.put(number, number)

        clock.settle()
        storage.close_gate()
        first, _ = in_thread(lambda: write(1))
        try:
            assert storage.at_work.acquire(timeout=60)
            second, outcome = in_thread(lambda: write(2))
            wait_until(lambda: buffer.stats().blocked == 1)
            # All wait, but the committer: the worker has found nothing.
            wait_until(lambda: sum(not signal.idle for signal in [*clock._signals]) == 1)
        finally:
            storage.open_gate()
        join(first, second)
        assert outcome == [None]
        assert clock.monotonic() == 0.0
        assert key_of(processor.items[0]) == 1

    assert [key_of(item) for item in processor.items] == [1, 2]
    assert_balanced(buffer.stats())
