"""Writes that wait until the server has them, from threads and from tasks."""

import asyncio
import threading
import time
from collections.abc import Callable

from partitioned_buffer import AsyncQueue, Queue
from partitioned_buffer.storage.redis import Redis

from . import limit
from .flow import ITEM
from .processes import alone
from .servers import running


def one_round(kind: str, seconds: float) -> dict[str, float]:
    """Return how many writes a second are acknowledged, and how many more than one by one."""
    found: dict[str, float] = {}
    with running(kind) as server:
        before = limit.one_after_the_other(server, int(5000 * seconds))
        for name, (run, many) in SUBJECTS.items():
            found[name] = alone(run, server.url, many, seconds)
            after = limit.one_after_the_other(server, int(5000 * seconds))
            found[f"{name} to one"] = found[name] / ((before + after) / 2)
            found["one"] = before = after
    return found


def _threads(url: str, many: int, seconds: float) -> float:
    counts = [0] * many
    with Queue[str](f"threads {many}", storage=Redis(url, ack="server")) as queue:
        queue.push(ITEM)
        began = time.perf_counter()

        def run(place: int) -> None:
            while time.perf_counter() - began < seconds:
                queue.push(ITEM)
                counts[place] += 1

        threads = [threading.Thread(target=run, args=(each,)) for each in range(many)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(counts) / (time.perf_counter() - began)


def _tasks(url: str, many: int, seconds: float) -> float:
    return asyncio.run(_of_tasks(url, many, seconds))


async def _of_tasks(url: str, many: int, seconds: float) -> float:
    count = 0
    async with AsyncQueue[str](f"tasks {many}", storage=Redis(url, ack="server")) as queue:
        await queue.push(ITEM)
        began = time.perf_counter()

        async def run() -> None:
            nonlocal count
            while time.perf_counter() - began < seconds:
                await queue.push(ITEM)
                count += 1

        await asyncio.gather(*(run() for _ in range(many)))
        return count / (time.perf_counter() - began)


SUBJECTS: dict[str, tuple[Callable[[str, int, float], float], int]] = {
    f"{many} {'thread' if run is _threads else 'task'}{'s' * (many > 1)}": (run, many)
    for run in (_threads, _tasks)
    for many in (1, 32)
}
