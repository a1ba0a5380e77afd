"""The end of a program tells the server that it delivers no more: nobody waits for its lease."""

import textwrap

import pytest
from programs import ended
from servers import Server

from partitioned_buffer.storage.redis.looking import Server as Looked

pytest.importorskip("msgspec")

THREADS = """
    from partitioned_buffer import Queue
    from partitioned_buffer.storage.redis import Redis
    with Queue("{name}", print, storage=Redis("{url}", lease=60), partitions=2) as queue:
        queue.push(1)
        queue.flush(20)
"""

TASKS = """
    import asyncio
    from partitioned_buffer import AsyncQueue
    from partitioned_buffer.storage.redis import Redis
    async def main():
        storage = Redis("{url}", lease=60)
        async with AsyncQueue("{name}", print, storage=storage, partitions=2) as queue:
            await queue.push(1)
            await queue.flush(20)
    asyncio.run(main())
"""

AT_EXIT = """
    from partitioned_buffer import Queue
    from partitioned_buffer.storage.redis import Redis
    queue = Queue("{name}", print, storage=Redis("{url}", lease=60), partitions=2).start()
    queue.push(1)
    queue.flush(20)
"""


@pytest.mark.parametrize("text", [THREADS, TASKS, AT_EXIT])
def test_a_program_that_ends_takes_leave(server: Server, name: str, text: str) -> None:
    for _ in range(2):  # the second has all partitions at once
        done = ended(textwrap.dedent(text).format(url=server.url, name=name))
        assert (done.returncode, done.stdout) == (0, "[1]\n"), done.stderr
    looked = Looked(server.url)
    buffer = looked.buffer(name)

    assert buffer.workers() == []
    assert [each.owner for each in buffer.depth()] == [None, None]
    looked.close()
