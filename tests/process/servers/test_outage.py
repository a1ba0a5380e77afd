"""
Servers that are told to stop while the destination is down.

They end within the grace period that orchestrators give, and what was acknowledged is in the dead
letter file: nothing was delivered, so all of it.
"""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from helpers import wait_until
from listening import PATIENCE, listens, need

from partitioned_buffer import Queue
from partitioned_buffer.dead_letters import DeadLetterFile

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")

GRACE = 30.0
REQUESTS = 50
WORKERS = 2

DOWN = """
import asyncio, os
from contextlib import ExitStack
from partitioned_buffer import AsyncQueue, Queue
from partitioned_buffer.dead_letters import DeadLetterFile
letters = DeadLetterFile("letters.jsonl")
options = {"dead_letter": letters, "exit_timeout": 1.0, "processing_interval": 0.1}
def down(batch):
    raise ConnectionError("down")
"""

LIFESPAN = """
async def lifespan(receive, send):
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await asyncio.to_thread(running.close)
    await send({"type": "lifespan.shutdown.complete"})
running = ExitStack()
events = running.enter_context(Queue("events", down, **options))
async def push(item):
    events.push(item)
"""

ASYNC_LIFESPAN = """
async def lifespan(receive, send):
    await receive()
    async with events:
        await send({"type": "lifespan.startup.complete"})
        await receive()
    await send({"type": "lifespan.shutdown.complete"})
events = AsyncQueue("events", down, **options)
async def push(item):
    await events.push(item)
"""

ASGI = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    await push(scope["path"][1:])
    await send({"type": "http.response.start", "status": 202, "headers": []})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})
"""

WSGI = """
events = Queue("events", down, **options).start()
def app(environ, start_response):
    events.push(environ["PATH_INFO"][1:])
    start_response("202 Accepted", [])
    return [str(os.getpid()).encode()]
"""

SERVERS = {
    "an AsyncQueue, uvicorn": (DOWN + ASYNC_LIFESPAN + ASGI, "uvicorn"),
    "an AsyncQueue, gunicorn": (DOWN + ASYNC_LIFESPAN + ASGI, "gunicorn --worker-class=asgi"),
    "a Queue, uvicorn": (DOWN + LIFESPAN + ASGI, "uvicorn"),
    "a Queue, gunicorn": (DOWN + LIFESPAN + ASGI, "gunicorn --worker-class=asgi"),
    "WSGI, gunicorn": (DOWN + WSGI, "gunicorn --threads=4"),
    "WSGI, gunicorn, preloaded": (DOWN + WSGI, "gunicorn --threads=4 --preload"),
}


def post(port: int, item: str) -> str:
    """Have *item* accepted; return by which process."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("POST", f"/{item}", headers={"Connection": "close"})
        response = connection.getresponse()
        assert response.status == 202
        return response.read().decode()
    finally:
        connection.close()


def replayed(path: Path) -> list[str]:
    """Return what is in the dead letter file, given back to a queue."""
    items: list[str] = []
    with Queue[str]("replayed", items.extend) as queue:
        DeadLetterFile(path).replay(queue)
    return items


@pytest.mark.parametrize("name", SERVERS)
def test_everything_acknowledged_is_in_the_dead_letter_file_within_the_grace_period(
    name: str, tmp_path: Path
) -> None:
    program, command = SERVERS[name]
    server, *arguments = command.split()
    need(server)
    (tmp_path / "app.py").write_text(program)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    bind = f"--port={port}" if server == "uvicorn" else f"--bind=127.0.0.1:{port}"

    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", server, *arguments, f"--workers={WORKERS}", bind, "app:app"],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_until(lambda: process.poll() is not None or listens(port))
        processes, number = set[str](), 0
        while number < REQUESTS or len(processes) < WORKERS:  # one that still boots hears no signal
            processes.add(post(port, str(number)))
            number += 1
        process.send_signal(signal.SIGTERM)
        told = time.monotonic()
        assert process.wait(PATIENCE) == 0
        assert time.monotonic() - told < GRACE
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        sys.stdout.write((tmp_path / "log").read_text())  # seen when the test fails

    assert sorted(replayed(tmp_path / "letters.jsonl"), key=int) == [
        str(item) for item in range(number)
    ]
    assert "undelivered were handed to its dead_letter" in (tmp_path / "log").read_text()
