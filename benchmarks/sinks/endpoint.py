"""`HTTPEndpoint`, beside what is written by hand; to a server in another process."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import urllib3

from partitioned_buffer.sinks import AsyncHTTPEndpoint, HTTPEndpoint

from ..speed.measure import Timed
from .subjects import Row, each_batch, rows

TITLE = "HTTPEndpoint: batches of 100 rows, NDJSON, over loopback"
FLOOR = "urllib3, a request per batch"
ONE = "urllib3, a request per row"
BARE_TASKS = "aiohttp, a request per batch"
PAIRS = [
    ("HTTPEndpoint", FLOOR, 0.9),
    ("HTTPEndpoint", ONE, 10.0),
    ("AsyncHTTPEndpoint", BARE_TASKS, 0.9),
]
"""What is compared with what, and how many times faster it is to be at least."""

# It reads what comes, and says that all is well.
_SERVER = """
import asyncio
async def serve(reader, writer):
    while True:
        try:
            head = await reader.readuntil(b"\\r\\n\\r\\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return writer.close()
        length = next(l for l in head.lower().split(b"\\r\\n") if l.startswith(b"content-length:"))
        await reader.readexactly(int(length.split(b":")[1]))
        writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\n{}")
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 20)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


@contextmanager
def subjects(_: Path, quick: bool) -> Iterator[dict[str, Timed]]:
    some = rows(20_000 if quick else 100_000)
    few = some[: len(some) // 50]
    process = subprocess.Popen([sys.executable, "-c", _SERVER], stdout=subprocess.PIPE)
    assert process.stdout is not None
    url = f"http://127.0.0.1:{int(process.stdout.readline())}/rows"
    headers = {"Content-Type": "application/x-ndjson"}
    pool = urllib3.PoolManager()

    def bare(batch: list[Row]) -> None:
        body = "".join(f"{json.dumps(row)}\n" for row in batch)
        assert pool.request("POST", url, body=body.encode(), headers=headers).status == 200

    def sink() -> float:
        with HTTPEndpoint(url) as endpoint:
            return each_batch(some, endpoint)

    try:
        yield {
            FLOOR: lambda: each_batch(some, bare),
            ONE: lambda: each_batch(few, bare, 1),
            "HTTPEndpoint": sink,
            BARE_TASKS: lambda: asyncio.run(_tasks(url, some, None)),
            "AsyncHTTPEndpoint": lambda: asyncio.run(_tasks(url, some, AsyncHTTPEndpoint(url))),
        }
    finally:
        pool.clear()
        process.terminate()
        process.wait(10)


async def _tasks(url: str, items: list[Row], sink: Any) -> float:
    loop = asyncio.get_running_loop()
    async with aiohttp.ClientSession() as session:

        async def bare(batch: list[Row]) -> None:
            body = "".join(f"{json.dumps(row)}\n" for row in batch)
            headers = {"Content-Type": "application/x-ndjson"}
            async with session.post(url, data=body.encode(), headers=headers) as response:
                assert response.status == 200
                await response.read()

        began = loop.time()
        for at in range(0, len(items), 100):
            await (sink or bare)(items[at : at + 100])
        took = loop.time() - began
    if sink is not None:
        await sink.close()
    return took * 1e9 / len(items)
