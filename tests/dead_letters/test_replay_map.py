"""What a Map has given up is not delivered: it may be replayed into the very Map it came from."""

from pathlib import Path

import pytest
from helpers import Buffers

from partitioned_buffer import Entry, Retry
from partitioned_buffer.dead_letters import DeadLetterFile, Replayed
from partitioned_buffer.testing import RecordingProcessor

pytestmark = pytest.mark.both_faces

AT_ONCE = Retry(attempts=1)


@pytest.mark.parametrize("bound", [None, 1000])
@pytest.mark.parametrize("size", [1, 10])
def test_it_comes_back_to_the_map_that_gave_it_up(
    bound: int | None,
    size: int,
    letters: DeadLetterFile,
    path: Path,
    buffers: Buffers,
    processor: RecordingProcessor,
) -> None:
    mapped = buffers.map(
        retry=AT_ONCE, dead_letter=letters, max_size=bound, processing_batch_size=size
    )
    processor.fail_always(OSError("down"))
    for key in range(100):
        mapped.put_newer(key, "value", 7)
    mapped.flush()
    assert mapped.stats().dead_lettered == 100

    processor.recover()
    assert letters.replay(mapped) == Replayed(100, 0)

    assert processor.items == [Entry(key, "value", 7, 0) for key in range(100)]
    stats = mapped.stats()
    assert (stats.delivered, stats.coalesced, stats.dead_lettered) == (100, 0, 100)
    assert not path.exists()


def test_what_was_delivered_before_still_wins_over_it(
    letters: DeadLetterFile, buffers: Buffers, processor: RecordingProcessor
) -> None:
    mapped = buffers.map(retry=AT_ONCE, dead_letter=letters)
    mapped.put_newer("key", "delivered", 7)
    mapped.flush()
    processor.fail(OSError("down"))
    mapped.put_newer("key", "given up", 8)
    mapped.flush()
    letters([Entry("key", "older", 6, 0)], OSError("down"), 1)

    letters.replay(mapped)

    assert [entry.value for entry in processor.items] == ["delivered", "given up"]
