"""Workers of tasks, whose loop may be busy when a partition is theirs."""

import asyncio
import time
from typing import Any

from partitioned_buffer import AsyncQueue
from partitioned_buffer.testing.sharing import SharedDict


def test_a_partition_gets_one_worker_however_busy_the_loop_is() -> None:
    got = list[Any]()

    async def process(batch: list[Any]) -> None:
        got.extend(batch)
        await asyncio.sleep(0.001)

    async def program() -> None:
        shared = SharedDict(partitions=1, lease=0.3)
        async with AsyncQueue("busy", process, storage=shared, partitions=1) as queue:
            for number in range(5):
                time.sleep(0.2)  # noqa: ASYNC251  # steps are taken meanwhile
                await queue.push(number)
            await asyncio.sleep(0.05)
            assert len(queue._task_run.guests) == 1
            for number in range(5, 300):
                await queue.push(number)
            await queue.flush(timeout=10)

    asyncio.run(program())

    assert got == list(range(300))
