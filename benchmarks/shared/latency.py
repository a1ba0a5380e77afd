"""How long a record takes from a push here to a processor elsewhere; and how long a takeover."""

import time
from typing import Any

from partitioned_buffer import Queue
from partitioned_buffer.storage.redis import Redis

from .flow import PARTITIONS
from .processes import CONTEXT, Worker, alone
from .servers import running

RATE = 20_000
LEASE = 1.0


def one_round(kind: str, seconds: float) -> dict[str, float]:
    """Return milliseconds: the median, and what one in a hundred takes longer than."""
    with running(kind) as server:
        up, over, found = CONTEXT.Event(), CONTEXT.Event(), CONTEXT.Queue()
        args = server.url, up, over, found
        worker = CONTEXT.Process(target=_worker, args=args, daemon=True)
        worker.start()
        assert up.wait(30)
        pushed = alone(_producer, server.url, seconds)
        over.set()
        times = sorted(found.get(timeout=30))
        worker.join(20)
    assert len(times) == pushed, f"{len(times)} came, of {pushed}"
    return {"p50": 1000 * times[len(times) // 2], "p99": 1000 * times[int(0.99 * len(times))]}


def _worker(url: str, up: Any, over: Any, found: Any) -> None:
    times: list[float] = []

    def process(batch: list[tuple[float, str]]) -> None:
        now = time.time()
        times.extend([now - pushed for pushed, _ in batch])

    storage = Redis(url)
    with Queue[Any](
        "latency",
        process,
        storage=storage,
        partitions=PARTITIONS,
        processing_batch_size=100,
        flush_at=1,
    ):
        time.sleep(1)  # until it has claimed all of them
        up.set()
        over.wait()
        time.sleep(1)
    found.put(times)


def _producer(url: str, seconds: float) -> int:
    """Offer so many a second, evenly."""
    pushed, pad = 0, "x" * 90
    with Queue[Any]("latency", storage=Redis(url), partitions=PARTITIONS) as queue:
        began = time.perf_counter()
        while (now := time.perf_counter() - began) < seconds:
            due = int(now * RATE)
            for _ in range(due - pushed):
                queue.push((time.time(), pad))
            pushed = due
            time.sleep(0.0005)
    return pushed


def takeover(kind: str) -> dict[str, float]:
    """Kill who delivers; return after how many leases another one does."""
    with (
        running(kind) as server,
        Queue[int]("takeover", storage=Redis(server.url), partitions=1) as queue,
    ):
        workers = [Worker(server.url, "takeover", lease=LEASE) for _ in range(2)]
        for each in workers:
            each.wait(lambda worker: worker.is_up)
        time.sleep(2 * LEASE)  # until they agree on whose it is
        queue.push(0)
        while not any(each.count for each in workers):
            time.sleep(0.005)
        first, second = sorted(workers, key=lambda worker: worker.count, reverse=True)
        killed = time.monotonic()
        first.kill()
        queue.push(1)
        second.wait(lambda worker: worker.count > 0)
        second.stop()
    return {"takeover": (second.began - killed) / LEASE}
