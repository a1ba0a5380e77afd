"""A worker that stops is none any more when its stop has ended: others have its partitions soon."""

import asyncio
import time

import pytest

from partitioned_buffer import AsyncQueue, Queue
from partitioned_buffer._core.sharing.clerk import Clerk
from partitioned_buffer.abc.sharing import SharedTerms, StorageAway
from partitioned_buffer.testing.sharing import SharedDict

TERMS = SharedTerms("events", "Queue", None, "host:1")


@pytest.fixture(autouse=True)
def _nobody_waits_for_what_comes_after_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the process ends right after it."""
    monkeypatch.setattr(Clerk, "_take_leave", lambda _self, store: store.close())


def test_a_worker_has_left_when_stop_returns() -> None:
    shared = SharedDict()
    other = shared.share(TERMS)
    queue = Queue[int]("events", lambda _: None, storage=shared.another())
    queue.start()
    queue.push(1)
    queue.flush()
    assert len(other.beat()) == 2

    queue.stop(10)

    assert other.beat() == [other.me]


async def _stopped(shared: SharedDict) -> None:
    async def process(_: object) -> None: ...

    async with AsyncQueue[int]("events", process, storage=shared.another()) as queue:
        await queue.push(1)
        await queue.flush()


def test_a_worker_of_tasks_has_left_when_its_block_has_ended() -> None:
    shared = SharedDict()
    other = shared.share(TERMS)

    asyncio.run(_stopped(shared))

    assert other.beat() == [other.me]


def test_a_stop_ends_that_cannot_say_so() -> None:
    shared = SharedDict()
    own = shared.another()
    queue = Queue[int]("events", lambda _: None, storage=own)
    queue.start()
    queue.push(1)
    queue.flush()
    own.fails = StorageAway("asleep")
    began = time.monotonic()

    queue.stop(0.5)

    assert time.monotonic() - began < 5
