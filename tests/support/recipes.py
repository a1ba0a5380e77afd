"""The programs of examples/recipes, each in processes of its own, in a folder of its own."""

import http.client
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from helpers import wait_until
from listening import PATIENCE, listens
from programs import free_ports

RECIPES = Path(__file__).parents[2] / "examples" / "recipes"


class Program:
    """One that runs."""

    def __init__(self, process: "subprocess.Popen[str]", log: Path) -> None:
        self.process, self.log = process, log
        self.port = 0

    def kill(self) -> None:
        """End it, and all that it has started, without a word."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """Tell it to stop; return how it ended."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def said(self) -> str:
        return self.log.read_text()


@contextmanager
def started(folder: Path, *command: str, **environment: str) -> Iterator[Program]:
    """Run a program of Python's in *folder*; nothing of it is left at the end."""
    log = folder / f"log-{len(list(folder.glob('log-*')))}"
    paths = {"PYTHONPATH": str(RECIPES), "XDG_RUNTIME_DIR": str(folder), "PYTHONWARNINGS": "ignore"}
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=folder,
            env=os.environ | paths | environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
    program = Program(process, log)
    try:
        yield program
    finally:
        program.kill()
        sys.stdout.write(program.said())  # seen when the test fails


@contextmanager
def serving(folder: Path, *command: str, **environment: str) -> Iterator[Program]:
    """Run a server, of which `PORT` in *command* is a port that nobody has, until it listens."""
    (port,) = free_ports(1)
    told = [part.replace("PORT", str(port)) for part in command]
    with started(folder, *told, **environment) as program:
        program.port = port
        wait_until(lambda: program.process.poll() is not None or listens(port))
        assert program.process.poll() is None, program.said()
        yield program


def request(port: int, method: str, path: str, body: str = "") -> int:
    """Return the status of an answer; 0 if there was none."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request(
            method, path, body, {"Connection": "close", "Content-Type": TYPES[body[:1]]}
        )
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


TYPES = {"{": "application/json"} | dict.fromkeys(["", *map(str, range(10))], "text/plain")


class Clients:
    """Two threads that send numbers, each by *send*, until it says no; and what was accepted."""

    def __init__(self, send: Callable[[int], bool], first: int = 0) -> None:
        self.accepted: set[int] = set()
        self._send, self._numbers = send, iter(range(first, first + 100_000))
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._work) for _ in range(2)]
        for thread in self._threads:
            thread.start()

    def _work(self) -> None:
        while True:
            with self._lock:
                number = next(self._numbers)
            if not self._send(number):
                return
            self.accepted.add(number)

    def until(self, count: int) -> None:
        """Wait for so many to be accepted."""
        wait_until(lambda: len(self.accepted) >= count or not self._alive())
        assert len(self.accepted) >= count

    def _alive(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def ended(self) -> set[int]:
        """Wait until all have been refused; return what was accepted."""
        for thread in self._threads:
            thread.join(PATIENCE)
        assert not self._alive()
        return self.accepted


def rows(database: Path, query: str) -> list[Any]:
    """Return what is in a database; nothing as long as it is not there."""
    if not database.exists():
        return []
    connection = sqlite3.connect(database, timeout=PATIENCE)
    with closing(connection), suppress(sqlite3.OperationalError):
        return connection.execute(query).fetchall()
    return []
