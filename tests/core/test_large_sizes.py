"""Sizes that no number of C's holds, by themselves or together: what has them finds no room."""

from typing import Any

import pytest
from helpers import Buffers

from partitioned_buffer import BufferFull

pytestmark = pytest.mark.both_faces


@pytest.mark.parametrize("size", [2**40 + 1, 2**62, 2**63 - 1, 2**63, 2**70])
@pytest.mark.parametrize("max_bytes", [100, 2**61])
def test_no_size_is_too_large_to_be_refused(max_bytes: int, size: int, buffers: Buffers) -> None:
    options: Any = {"max_bytes": max_bytes, "when_full": "raise", "size_of": lambda _: size}
    queue, mapped = buffers.queue(**options), buffers.map(**options)
    if size > max_bytes:
        with pytest.raises(BufferFull, match=f"holds \\(max_bytes={max_bytes}\\)"):
            queue.push(1)
        with pytest.raises(BufferFull, match=f"holds \\(max_bytes={max_bytes}\\)"):
            mapped.put(1, 1)
    for count in (2, 4, 5):  # of which some come to nothing, or less, in a number of C's
        if count * size > max_bytes:
            with pytest.raises(BufferFull, match="more than buffer"):
                queue.push_all(range(count))
            with pytest.raises(BufferFull, match="more than buffer"):
                mapped.put_all(dict.fromkeys(range(count)))
    assert queue.size() == mapped.size() == 0


@pytest.mark.parametrize("size", [2**62, 2**70])
@pytest.mark.parametrize("policy", ["drop_newest", "drop_oldest"])
def test_what_is_larger_than_all_there_is_is_dropped(
    policy: Any, size: int, buffers: Buffers
) -> None:
    options: Any = {"max_bytes": 100, "when_full": policy, "size_of": lambda _: size}
    queue, mapped = buffers.queue(**options), buffers.map(**options)
    queue.push(1)
    queue.push_all(range(4))
    mapped.put(1, 1)
    mapped.put_all(dict.fromkeys(range(4)))
    for stats in (queue.stats(), mapped.stats()):
        assert (stats.held, stats.dropped) == (0, 5)
