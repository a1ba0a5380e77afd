"""
A program with a stored Map that is killed in the middle of it; see `victims`.

Each key's versions count up. What is noted is what `put_newer()` has returned for, and what the
processor has delivered.
"""

import asyncio
import os
import random
import struct
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from partitioned_buffer import AsyncMap, Map, Retry
from partitioned_buffer.storage import SQLite

RECORD = struct.Struct("<cIQ3x")
ACKNOWLEDGED, DELIVERED = b"a", b"d"
WRITERS, KEYS = 4, 40

Write = tuple[int, int]
"""A key, and its version."""


class Log:
    """Where it is said."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def write(self, kind: bytes, writes: Sequence[Write]) -> None:
        os.write(self._file, b"".join(RECORD.pack(kind, *write) for write in writes))


def said_in(path: Path) -> list[tuple[bytes, int, int]]:
    return list(RECORD.iter_unpack(path.read_bytes()))


def processor(log: Log, *, fails: bool) -> Any:
    def save(batch: list[Any]) -> None:
        if fails and random.random() < 0.2:
            raise OSError
        log.write(DELIVERED, [(entry.key, entry.version) for entry in batch])

    return save


def options(path: str, fsync: Any) -> dict[str, Any]:
    return {
        "storage": SQLite(path, fsync=fsync),
        "partitions": 3,
        "processing_batch_size": 7,
        "processing_interval": 0.005,
        "retry": Retry(wait_initial=0.001, wait_max=0.001),
    }


def writes(writer: int, number: int) -> Iterator[list[Write]]:
    """Yield what a writer puts together: of keys that are its alone."""
    mine = range(writer, KEYS, WRITERS)
    while True:
        number += 1
        yield [(key, number) for key in random.sample(mine, random.choice((1, 1, 3, 8)))]


def with_threads(path: str, log: Log, fsync: str, number: int) -> None:
    table = Map[int, int]("killed", processor(log, fails=True), **options(path, fsync)).start()

    def write(writer: int) -> None:
        for ones in writes(writer, number):
            if len(ones) == 1:
                table.put_newer(ones[0][0], ones[0][1], ones[0][1])
            else:
                table.put_all_newer([(key, version, version) for key, version in ones])
            log.write(ACKNOWLEDGED, ones)

    for each in range(WRITERS):
        threading.Thread(target=write, args=[each]).start()


async def with_tasks(path: str, log: Log, fsync: str, number: int) -> None:
    made = AsyncMap[int, int]("killed", processor(log, fails=True), **options(path, fsync))
    async with made as table, asyncio.TaskGroup() as group:

        async def write(writer: int) -> None:
            for ones in writes(writer, number):
                if len(ones) == 1:
                    await table.put_newer(ones[0][0], ones[0][1], ones[0][1])
                else:
                    await table.put_all_newer([(key, version, version) for key, version in ones])
                log.write(ACKNOWLEDGED, ones)

        for each in range(WRITERS):
            group.create_task(write(each))


def main(path: str, said: str, fsync: str, face: str, number: str) -> None:
    log = Log(Path(said))
    if face == "threads":
        with_threads(path, log, fsync, int(number))
        threading.Event().wait()
    else:
        asyncio.run(with_tasks(path, log, fsync, int(number)))


if __name__ == "__main__":
    main(*sys.argv[1:])
