"""
What others take to have tiny tasks done: rq, arq, dramatiq; each enqueues first, then delivers.

Each runs in a process of its own, its worker too, in the way in which it is fastest: rq with no
fork per task and many enqueued at once, arq fifty at a time, dramatiq without middleware.
"""

import asyncio
import logging
import threading
import time
from typing import Any

import redis

from partitioned_buffer import Queue
from partitioned_buffer.storage.redis import Redis

from .flow import ITEM
from .processes import alone, shipped
from .servers import running

Times = tuple[float, float]
"""Seconds per item: to enqueue, and to deliver."""


def one_round(kind: str, part: float) -> dict[str, float]:
    """Return items a second, both in turn."""
    found: dict[str, float] = {}
    for name, (run, count) in SUBJECTS.items():
        with running(kind) as server:
            put, took = alone(run, server.port, int(part * count))
        found |= {name: 1 / (put + took), f"{name} put": 1 / put, f"{name} took": 1 / took}
    found["best"] = max(found[name] for name in PEERS)
    return found


def task(item: str) -> None:
    """Do nothing."""


def _rq(port: int, count: int) -> Times:
    import rq  # noqa: PLC0415  # in that process alone

    logging.disable()
    queue = rq.Queue(connection=redis.Redis(port=port))
    began = time.perf_counter()
    queue.enqueue_many([rq.Queue.prepare_data(task, (ITEM,), result_ttl=0) for _ in range(count)])
    put = time.perf_counter()
    rq.SimpleWorker([queue], connection=queue.connection).work(burst=True)
    assert not queue.count
    return (put - began) / count, (time.perf_counter() - put) / count


def _arq(port: int, count: int) -> Times:
    import arq  # noqa: PLC0415
    from arq.connections import RedisSettings  # noqa: PLC0415

    done = 0

    async def job(_context: Any, _item: str) -> None:
        nonlocal done
        done += 1

    async def run() -> Times:
        settings = RedisSettings(port=port)
        pool = await arq.create_pool(settings)
        began = time.perf_counter()
        for _ in range(count // 50):
            await asyncio.gather(*(pool.enqueue_job("job", ITEM) for _ in range(50)))
        put = time.perf_counter()
        await arq.Worker(
            [arq.func(job, name="job", keep_result=0)],
            redis_settings=settings,
            burst=True,
            poll_delay=0.005,
            max_jobs=100,
            handle_signals=False,
            queue_read_limit=500,
        ).main()
        assert done == count // 50 * 50
        return (put - began) / done, (time.perf_counter() - put) / done

    logging.disable()
    return asyncio.run(run())


def _dramatiq(port: int, count: int) -> Times:
    import dramatiq  # noqa: PLC0415
    from dramatiq.brokers.redis import RedisBroker  # noqa: PLC0415

    broker: Any = RedisBroker(url=f"redis://127.0.0.1:{port}", middleware=[])
    dramatiq.set_broker(broker)
    done: list[None] = []  # appended to in single steps
    actor: Any = dramatiq.actor(lambda _: done.append(None), actor_name="task", broker=broker)
    began = time.perf_counter()
    for _ in range(count):
        actor.send(ITEM)
    put = time.perf_counter()
    worker: Any = dramatiq.Worker(broker, worker_threads=4, worker_timeout=50)
    worker.start()
    while len(done) < count:
        time.sleep(0.002)
    took = time.perf_counter() - put
    worker.stop()
    return (put - began) / count, took / count


def _by_hand(port: int, count: int) -> Times:
    """An item at a time, which is in another list until it is done."""
    client: Any = redis.Redis(port=port, protocol=2, single_connection_client=True)
    began = time.perf_counter()
    for _ in range(count):
        client.rpush("list", ITEM)
    put = time.perf_counter()
    for _ in range(count):
        record = client.lmove("list", "hand", "LEFT", "RIGHT")
        client.lrem("hand", 1, record)
    return (put - began) / count, (time.perf_counter() - put) / count


def _ours(port: int, count: int) -> Times:
    """Push one by one; then deliver in batches of a hundred, from the start of a worker on."""
    storage, lock, done = Redis(f"redis://127.0.0.1:{port}"), threading.Lock(), 0

    def process(batch: list[str]) -> None:
        nonlocal done
        with lock:
            done += len(batch)

    with Queue[str]("tasks", storage=storage) as queue:
        began = time.perf_counter()
        for _ in range(count):
            queue.push(ITEM)
        shipped(queue)
        put = time.perf_counter()
    put_again = time.perf_counter()
    with Queue[str]("tasks", process, storage=storage, processing_batch_size=100, flush_at=1):
        while done < count:
            time.sleep(0.002)
        took = time.perf_counter() - put_again
    return (put - began) / count, took / count


PEERS = {"rq": (_rq, 400), "arq": (_arq, 1000), "dramatiq": (_dramatiq, 3000)}
SUBJECTS = {"ours": (_ours, 300_000), **PEERS, "hand": (_by_hand, 4000)}
