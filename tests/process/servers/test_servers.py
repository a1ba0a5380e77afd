"""
The examples under their servers, two processes each, told to stop while four clients write.

What a server has acknowledged is delivered, once; and by the drain, for the buffers' interval is
longer than it takes the clients to send enough.
"""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from helpers import wait_until
from listening import PATIENCE, listens, need

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")

LOAD = Path(__file__).with_name("load.py")
EXAMPLES = Path(__file__).parents[3] / "examples" / "servers"
ENOUGH = 300  # acknowledgements before the server is told to stop
CLIENTS = 4  # of load.py
WORKERS = 2

SERVERS = {
    "fastapi, uvicorn, uvloop": "uvicorn fastapi_app:app --loop=uvloop",
    "fastapi, uvicorn, asyncio": "uvicorn fastapi_app:app --loop=asyncio",
    "fastapi, gunicorn": "gunicorn fastapi_app:app --worker-class=asgi",
    "django, uvicorn": "uvicorn django_app:application",
    "django, gunicorn": "gunicorn django_app:application --worker-class=asgi",
    "flask, gunicorn": "gunicorn flask_app:app --threads=4",
    "flask, gunicorn, preloaded": "gunicorn flask_app:app --threads=4 --preload",
}


@contextmanager
def running(command: str, port: int, folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a server, and leave no process of it behind."""
    server, *arguments = command.split()
    bind = f"--port={port}" if server == "uvicorn" else f"--bind=127.0.0.1:{port}"
    log = folder / "log"
    # gunicorn keeps a socket of its own in the second of these.
    folders = {"EVENTS_FILE": str(folder / "events"), "XDG_RUNTIME_DIR": str(folder)}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", server, *arguments, f"--workers={WORKERS}", bind],
            cwd=EXAMPLES,
            env=os.environ | folders,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        sys.stdout.write(log.read_text())  # seen when the test fails


def load(port: int) -> Generator[tuple[str, str]]:
    """Have clients write; yield the number of each event, and which process acknowledged it."""
    command = [sys.executable, str(LOAD), str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as clients:
        try:
            for line in clients.stdout or ():
                number, process = line.split()
                yield number, process
        finally:
            clients.kill()


def stop_under_load(server: "subprocess.Popen[bytes]", port: int) -> set[str]:
    """Stop the server while clients write; return the events that it acknowledged."""
    acknowledged: dict[str, str] = {}
    refused = 0
    told = False
    with closing(load(port)) as requests:
        for number, process in requests:
            if process == "-":
                assert told, "a request failed before the server was told to stop"
                refused += 1
                continue
            acknowledged[number] = process
            of_all = len(set(acknowledged.values())) >= WORKERS
            if len(acknowledged) >= ENOUGH and of_all and not told:
                server.send_signal(signal.SIGTERM)
                told = True
    assert refused == CLIENTS, "not all clients were at it to the end"
    return set(acknowledged)


@pytest.mark.parametrize("name", SERVERS)
def test_every_event_that_a_server_acknowledged_before_it_ended_is_delivered_once(
    name: str, tmp_path: Path
) -> None:
    framework, server, *how = name.split(", ")
    need(framework, server, *{"uvloop"}.intersection(how))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    with running(SERVERS[name], port, tmp_path) as process:
        wait_until(lambda: process.poll() is not None or listens(port))
        acknowledged = stop_under_load(process, port)
        assert process.wait(PATIENCE) == 0

    delivered = (tmp_path / "events").read_text().splitlines()
    assert acknowledged <= set(delivered)
    assert len(delivered) == len(set(delivered))
