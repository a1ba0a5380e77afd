"""A claimed partition has one worker, however long an event loop takes to make it."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from servers import Server, wait_until

from partitioned_buffer import AsyncQueue
from partitioned_buffer._core.sharing import attending
from partitioned_buffer.storage.redis import Redis
from partitioned_buffer.storage.redis.claims import Claims

pytest.importorskip("msgspec")


def test_a_loop_that_stands_still_hires_one(
    server: Server, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    got, steps, hired = list[int](), list[int](), list[int]()
    step, hire = Claims.step, attending._hired

    def counted_step(claims: Claims, wants: Sequence[Any]) -> Any:
        outcome = step(claims, wants)
        steps.append(1)
        return outcome

    def counted_hire(window: Any, worker: Any) -> bool:
        hired.append(window.claim.partition)
        return hire(window, worker)

    monkeypatch.setattr(Claims, "step", counted_step)
    monkeypatch.setattr(attending, "_hired", counted_hire)

    async def main() -> None:
        async with AsyncQueue[int](
            name, got.extend, storage=Redis(server.url, lease=60), partitions=1
        ) as queue:
            wait_until(lambda: len(steps) >= 3, 30)  # and nothing else goes on in this loop
            await queue.push(1)
            await queue.flush(30)

    asyncio.run(main())
    assert hired == [0]
    assert got == [1]
