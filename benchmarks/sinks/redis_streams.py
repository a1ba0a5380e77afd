"""`RedisStream`, beside what is written by hand; on Valkey, which has what it takes in a file."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis

from partitioned_buffer.sinks import RedisStream

from ..shared.servers import Server
from ..speed.measure import Timed
from .subjects import Row, each_batch, rows

TITLE = "RedisStream: batches of 100 rows, on Valkey over loopback"
FLOOR = "XADD in a pipeline"

_numbers = itertools.count()


@contextmanager
def subjects(folder: Path, quick: bool) -> Iterator[dict[str, Timed]]:
    some = rows(5_000 if quick else 50_000)
    few = some[: len(some) // 5]
    where = folder / "valkey"
    where.mkdir()
    server = Server("valkey", str(where))
    client: Any = redis.Redis(port=server.port)

    def pipelined(batch: list[Row]) -> None:
        pipeline = client.pipeline()
        for row in batch:
            pipeline.xadd(stream, row)
        pipeline.execute()

    def one_by_one(batch: list[Row]) -> None:
        for row in batch:
            client.xadd(stream, row)

    def sink(**options: Any) -> float:
        with RedisStream(client, f"rows-{next(_numbers)}", **options) as streams:
            return each_batch(some, streams)

    stream = "by hand"
    try:
        yield {
            FLOOR: lambda: each_batch(some, pipelined),
            "XADD, row by row": lambda: each_batch(few, one_by_one),
            "RedisStream": sink,
            "RedisStream, not once": lambda: sink(once=False),
        }
    finally:
        client.close()
        server.stop()
