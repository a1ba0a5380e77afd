"""Keys keep their order where a resize would have them go another way to the server."""

import time
from typing import Any

from partitioned_buffer import Queue
from partitioned_buffer.testing.sharing import SharedDict


def key_of(item: Any) -> Any:
    return item[0]


def test_keys_keep_their_order_while_a_lane_is_away() -> None:
    shared, got = SharedDict(partitions=2, lanes=2), list[Any]()
    mine = shared.another()
    writer = Queue[Any]("writer", storage=mine, partition_key=key_of).start()
    mine.down_lanes |= {0, 1}
    for key in range(16):
        writer.push((key, 0))
    time.sleep(0.2)
    shared.resize(7)
    mine.down_lanes.clear()
    mine.down_lanes.add(1)
    time.sleep(0.2)
    for number in range(1, 20):
        for key in range(16):
            writer.push((key, number))
        time.sleep(0.02)
    mine.down_lanes.clear()
    with Queue("worker", got.extend, storage=shared.another(), processing_interval=0.01):
        writer.flush(timeout=20)
    writer.stop(timeout=5)

    for key in range(16):
        assert [number for k, number in map(tuple, got) if k == key] == list(range(20)), key
