"""
A program with a stored Queue that is killed in the middle of it; and what it has said by then.

It says so in records of one length, so that a kill cuts none in the middle: what was acknowledged,
what the processor was given under which id, and what of that it has delivered.
"""

import asyncio
import logging
import os
import random
import struct
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from partitioned_buffer import AsyncQueue, PartialFailure, Queue, Retry, batch_id
from partitioned_buffer.storage import SQLite

RECORD = struct.Struct("<cBQIIBQ5x")
ACKNOWLEDGED, GIVEN, DELIVERED, ROUND = b"a", b"g", b"d", b"r"
WRITERS, KEYS = 4, 8

Item = tuple[int, int]


class Said(NamedTuple):
    """A record: of which kind, of which batch, and which item."""

    kind: bytes
    partition: int
    position: int
    size: int
    gaps: int
    key: int
    number: int

    @property
    def item(self) -> Item:
        return self.key, self.number

    @property
    def batch(self) -> tuple[int, int, int, int]:
        return self.partition, self.position, self.size, self.gaps


class Log:
    """Where it is said."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def write(
        self, kind: bytes, items: Sequence[Any] = (), batch: Sequence[int] = (0,) * 4
    ) -> None:
        os.write(self._file, b"".join(RECORD.pack(kind, *batch, *item) for item in items))

    def begin_round(self) -> None:
        self.write(ROUND, [(0, 0)])


def said_in(path: Path) -> list[Said]:
    data = path.read_bytes()
    assert len(data) % RECORD.size == 0
    return [Said(*fields) for fields in RECORD.iter_unpack(data)]


class Processor:
    """Delivers to the log; of some batches, all items of a few keys fail."""

    def __init__(self, log: Log, *, fails: bool) -> None:
        self._log, self._fails = log, fails

    def __call__(self, batch: list[Any]) -> None:
        _, _, *identity = batch_id()
        self._log.write(GIVEN, batch, identity)
        failing = random.sample(range(KEYS), 3) if self._fails and random.random() < 0.3 else ()
        failed = [item for item in batch if item[0] in failing]
        self._log.write(DELIVERED, [item for item in batch if item not in failed], identity)
        if failed:
            raise PartialFailure(failed)


def options(path: str, fsync: Any, size: int) -> dict[str, Any]:
    return {
        "storage": SQLite(path, fsync=fsync, window=2000),
        "partitions": 3,
        "partition_key": by_key,
        "processing_batch_size": size,
        "processing_interval": 0.01,
        "flush_at": 10,
        "max_size": 400,
        "retry": Retry(attempts=None, wait_initial=0.001, multiplier=1.0, jitter=0.0),
    }


def by_key(item: Any) -> Any:
    return item[0]


def writes(writer: int, number: int) -> Iterator[list[Item]]:
    """Yield what a writer pushes together: of keys that are its alone."""
    while True:
        many = random.choice((1, 1, 1, 5, 30))
        yield [(writer + WRITERS * random.randrange(2), number + each) for each in range(many)]
        number += many


def with_threads(queue: Queue[Any], log: Log, number: int) -> None:
    def write(writer: int) -> None:
        for items in writes(writer, number):
            if len(items) == 1:
                queue.push(items[0])
            else:
                queue.push_all(items)
            log.write(ACKNOWLEDGED, items)

    threads = [threading.Thread(target=write, args=[each]) for each in range(WRITERS)]
    for thread in threads:
        thread.start()


async def with_tasks(make: Callable[[], AsyncQueue[Any]], log: Log, number: int) -> None:
    async with make() as queue, asyncio.TaskGroup() as group:

        async def write(writer: int) -> None:
            for items in writes(writer, number):
                if len(items) == 1:
                    await queue.push(items[0])
                else:
                    await queue.push_all(items)
                log.write(ACKNOWLEDGED, items)

        for each in range(WRITERS):
            group.create_task(write(each))


def main(path: str, said: str, fsync: str, face: str, number: str, size: str) -> None:
    logging.getLogger("partitioned_buffer").addFilter(
        lambda one: "processing failed" not in one.msg
    )
    log = Log(Path(said))
    processor = Processor(log, fails=True)
    if face == "threads":
        queue = Queue[Any]("killed", processor, **options(path, fsync, int(size))).start()
        with_threads(queue, log, int(number))
        threading.Event().wait()
    else:
        make = lambda: AsyncQueue[Any]("killed", processor, **options(path, fsync, int(size)))
        asyncio.run(with_tasks(make, log, int(number)))


if __name__ == "__main__":
    main(*sys.argv[1:])
