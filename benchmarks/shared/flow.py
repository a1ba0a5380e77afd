"""How many records a second go to the server, and come from it; and what it works for each."""

import os
import signal
import time
from typing import Any

import msgspec

from partitioned_buffer import Queue
from partitioned_buffer.storage.redis import Redis

from . import limit
from .processes import Worker, alone, shipped
from .servers import Server, running

ITEM = "x" * 100
PARTITIONS = 8
STOPPED = 0.6
"""Seconds that a server may be stopped without anybody taking it for one that is away."""


def one_round(kind: str, count: int) -> dict[str, float]:
    """Return rates by what was measured, and to the limit then; and microseconds of the server."""
    limits = [_limit(kind, count // 2)]
    found: dict[str, float] = {}

    def note(name: str, rate: float) -> None:
        limits.append(_limit(kind, count // 2))
        found[name] = rate
        found[f"{name} to the limit"] = rate / ((limits[-2] + limits[-1]) / 2)

    with running(kind) as server:
        note("single", alone(_single, server.url, count))
    with running(kind) as server:
        before = server.cpu()
        rate, held = alone(_held, server.url, server.pid, count)
        appended = server.cpu()
        note("held", rate)
        between = server.cpu()
        note("drain", _drain(server, held))
        found["append us"] = (appended - before) / held / 1000
        found["drain us"] = (server.cpu() - between) / held / 1000
    found["us"] = found["append us"] + found["drain us"]
    with running(kind) as server:
        found["hand put"], found["hand take"] = alone(_by_hand, server.port, count)
    return found | {"limit": sum(limits) / len(limits)}


def _limit(kind: str, count: int) -> float:
    with running(kind) as server:
        return limit.pipelined(server, count)


def _single(url: str, count: int) -> float:
    """Push one after the other; until the server has them."""
    with Queue[str]("flow", storage=Redis(url), partitions=PARTITIONS) as queue:
        began = time.perf_counter()
        for _ in range(count):
            queue.push(ITEM)
        shipped(queue)
        return count / (time.perf_counter() - began)


def _held(url: str, pid: int, count: int) -> tuple[float, int]:
    """Push while the server is stopped; how fast it has them once it goes on, and how many."""
    pushed = 0
    with Queue[str]("flow", storage=Redis(url), partitions=PARTITIONS) as queue:
        until = time.perf_counter() + STOPPED
        os.kill(pid, signal.SIGSTOP)
        try:
            while pushed < count and time.perf_counter() < until:
                queue.push_all([ITEM] * 1000)
                pushed += 1000
        finally:
            os.kill(pid, signal.SIGCONT)
        began = time.perf_counter()
        shipped(queue)
        return pushed / (time.perf_counter() - began), pushed


def _drain(server: Server, count: int) -> float:
    worker = Worker(server.url, "flow", processing_batch_size=100)
    worker.wait(lambda worker: worker.count >= count)
    worker.stop()
    return worker.rate


def _by_hand(port: int, count: int) -> tuple[float, float]:
    """Put a hundred at a time into a list, and take them out: what is taken is lost with us."""
    import redis  # noqa: PLC0415  # in that process alone

    client: Any = redis.Redis(port=port, protocol=2, single_connection_client=True)
    encode, decode = msgspec.msgpack.encode, msgspec.msgpack.decode
    began = time.perf_counter()
    for _ in range(count // 100):
        client.rpush("list", *[encode(ITEM) for _ in range(100)])
    put, taken = time.perf_counter(), 0
    while taken < count:
        _, batch = client.blmpop(1, 1, "list", direction="LEFT", count=100)
        taken += len([decode(record) for record in batch])
    return count / (put - began), count / (time.perf_counter() - put)
