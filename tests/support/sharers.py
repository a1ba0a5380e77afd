"""
Programs that share a Queue on a server: a worker, and a producer, until they are told to end.

Each is given its options as JSON, and says in its `Diary` what it did.
"""

import asyncio
import faulthandler
import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, NamedTuple

from histories import ACKNOWLEDGED, PUSHED, Diary, Item

from partitioned_buffer import AsyncQueue, Queue, StopReport
from partitioned_buffer.storage import Redis


class Options(NamedTuple):
    """What a program is told."""

    role: str
    url: str
    name: str
    folder: str
    face: str = "threads"
    partitions: int | None = 4
    ack: str = "local"
    ack_timeout: float | None = 60.0
    lease: float = 0.6
    window: int = 100
    batch_size: int = 20
    nap: float = 0.005
    """Seconds that a processor takes, in the middle of a batch."""
    writers: int = 2
    keys: int = 16
    pace: float = 0.005
    """Seconds between two writes, about."""
    many: int = 10
    """How many are pushed together at most."""
    patience: float = 20.0
    """Seconds for the end."""
    forks: bool = False


def shared_options(told: Options) -> dict[str, Any]:
    return {
        "storage": Redis(
            told.url,
            ack=told.ack,  # type: ignore[arg-type]  # as said
            ack_timeout=told.ack_timeout,
            lease=told.lease,
            window=told.window,
        ),
        "partitions": told.partitions,
        "processing_batch_size": told.batch_size,
        "processing_interval": 0.02,
    }


def queue_options(told: Options) -> dict[str, Any]:
    return {**shared_options(told), "partition_key": by_key}


def say_ready(told: Options) -> None:
    Path(told.folder).with_name(f"ready-{os.getpid()}").touch()


def by_key(item: Any) -> Any:
    return item[1]


def tell(buffer: Queue[Any] | AsyncQueue[Any]) -> None:
    """Say on SIGUSR1 what it is at."""

    def say(*_: object) -> None:
        faulthandler.dump_traceback()
        for pump in buffer._admission.sharing.pumps:
            for where, window in pump.windows.items():
                held = None if window.held is None else window.held.settled
                said = {name: value for name, value in vars(window).items() if name[0] != "_"}
                table = vars(window.table)
                sys.stderr.write(f"{where} {window._landed=} {held=} {said}\n     {table}\n")

    signal.signal(signal.SIGUSR1, say)


class Ended:
    """Whether this process has been told to end."""

    def __init__(self) -> None:
        self.is_so = False
        signal.signal(signal.SIGTERM, self._hear)

    def _hear(self, *_: object) -> None:
        self.is_so = True


# --- workers -------------------------------------------------------------------


def worker(told: Options, diary: Diary, ended: Ended) -> None:
    def process(batch: list[Any]) -> None:
        given = diary.given(batch)
        time.sleep(told.nap)
        diary.done(given)

    queue = Queue(told.name, process, **queue_options(told)).start()
    tell(queue)
    say_ready(told)
    while not ended.is_so:
        time.sleep(0.01)
    queue.stop(timeout=told.patience)


async def worker_of_tasks(told: Options, diary: Diary, ended: Ended) -> None:
    async def process(batch: list[Any]) -> None:
        given = diary.given(batch)
        await asyncio.sleep(told.nap)
        diary.done(given)

    async with AsyncQueue(told.name, process, **queue_options(told)) as queue:
        tell(queue)
        say_ready(told)
        while not ended.is_so:  # noqa: ASYNC110  # a signal handler says so
            await asyncio.sleep(0.01)
        await queue.stop(timeout=told.patience)


# --- producers -----------------------------------------------------------------


class Writer:
    """Makes items: of all keys, numbered."""

    def __init__(self, told: Options, place: int) -> None:
        self._told, self._number = told, 0
        self._producer = os.getpid() * 100 + place
        self._random = random.Random(self._producer)

    def items(self) -> list[Item]:
        """Return what is to be pushed next: one, or some."""
        many = self._random.choice((1, 1, self._told.many))
        first, self._number = self._number, self._number + many
        return [
            Item(self._producer, self._random.randrange(self._told.keys), number)
            for number in range(first, first + many)
        ]

    @property
    def pause(self) -> float:
        return self._random.random() * 2 * self._told.pace


def producer(told: Options, diary: Diary, ended: Ended) -> None:
    queue = Queue[Any](told.name, **queue_options(told)).start()
    say_ready(told)

    def write(place: int, is_over: Callable[[], bool]) -> None:
        writer = Writer(told, place)
        while not is_over():
            items = writer.items()
            diary.write(PUSHED, items)
            if len(items) == 1:
                queue.push(items[0])
            else:
                queue.push_all(items)
            diary.write(ACKNOWLEDGED, items)
            time.sleep(writer.pause)

    def go_on(is_over: Callable[[], bool]) -> list[threading.Thread]:
        each = range(told.writers)
        made = [threading.Thread(target=write, args=[place, is_over]) for place in each]
        for thread in made:
            thread.start()
        return made

    threads = go_on(lambda: ended.is_so)
    children = [_forked(told, queue, write) for _ in range(2)] if told.forks else []
    for thread in threads:
        thread.join()
    finish(told, queue)
    for child in children:
        assert os.waitpid(child, 0)[1] == 0


def _forked(told: Options, queue: Queue[Any], write: Callable[..., None]) -> int:
    """Fork in the middle of it; the child writes for a while, too."""
    time.sleep(0.3)
    if (child := os.fork()) != 0:
        return child
    status = 1
    try:
        until = time.monotonic() + 1.0
        write(99, lambda: time.monotonic() > until)
        finish(told, queue)
        status = 0
    finally:
        os._exit(status)


def finish(told: Options, queue: Queue[Any]) -> None:
    """End; what was accepted is on the server then."""
    report = queue.stop(timeout=told.patience)
    _say(told, queue, report)


def _say(told: Options, queue: Queue[Any] | AsyncQueue[Any], report: StopReport) -> None:
    assert not list(report.left), report
    shared = queue.stats().shared
    assert shared is not None
    said = {"pid": os.getpid(), "gaps": shared.gaps, "lost": shared.lost}
    Path(told.folder).with_suffix(f".{os.getpid()}.json").write_text(json.dumps(said))


async def producer_of_tasks(told: Options, diary: Diary, ended: Ended) -> None:
    async def write(queue: AsyncQueue[Any], place: int) -> None:
        writer = Writer(told, place)
        while not ended.is_so:
            items = writer.items()
            diary.write(PUSHED, items)
            if len(items) == 1:
                await queue.push(items[0])
            else:
                await queue.push_all(items)
            diary.write(ACKNOWLEDGED, items)
            await asyncio.sleep(writer.pause)

    async with AsyncQueue[Any](told.name, **queue_options(told)) as queue:
        say_ready(told)
        async with asyncio.TaskGroup() as group:
            for place in range(told.writers):
                group.create_task(write(queue, place))
        report = await queue.stop(timeout=told.patience)
    _say(told, queue, report)


ROLES: dict[tuple[str, str], Callable[..., Coroutine[Any, Any, None] | None]] = {
    ("worker", "threads"): worker,
    ("worker", "tasks"): worker_of_tasks,
    ("producer", "threads"): producer,
    ("producer", "tasks"): producer_of_tasks,
}


def main(said: str) -> None:
    told = Options(**json.loads(said))
    ended, diary = Ended(), Diary(Path(told.folder), told.role)
    running = ROLES[told.role, told.face](told, diary, ended)
    if running is not None:
        asyncio.run(running)


if __name__ == "__main__":
    main(*sys.argv[1:])
