"""
PostgreSQL for tests, on loopback: the system's, by its own program.

It has a folder and a free port of its own, is stopped by its pid, and dies with the tests. It does
not run as root: where the tests do, it runs as the user that its package has made.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from servers import free_port, wait_until

USER = "postgres"


def program(name: str) -> str | None:
    """Return the path of one of PostgreSQL's programs; None: it is not installed."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return shutil.which(name, path=os.pathsep.join([*map(str, folders), os.environ["PATH"]]))


def _found(name: str) -> list[str]:
    path = program(name)
    assert path is not None
    return [path]


def needed() -> None:
    """Skip tests where it is not installed, unless it has to be."""
    if program("postgres") is None:
        if os.environ.get("SERVERS") == "required":
            pytest.fail("there is no PostgreSQL: apt-get install postgresql")
        pytest.skip("there is no PostgreSQL")


def _as_user() -> list[str]:
    """Return what a command is preceded by, to be no superuser's, and to die with the tests."""
    if shutil.which("setpriv") is None:  # of Linux
        return []
    user = [f"--reuid={USER}", f"--regid={USER}", "--init-groups"] if os.getuid() == 0 else []
    return ["setpriv", *user, "--pdeathsig=INT"]


def _put_to_sleep(pid: int) -> None:
    """Stop a process, and wait until it has stopped: it may go on for a moment."""
    os.kill(pid, signal.SIGSTOP)
    state = Path(f"/proc/{pid}/stat")
    wait_until(lambda: state.read_text().rpartition(")")[2].split()[0] in "TtZ", 10)


class Server:
    """A server's process."""

    def __init__(self, *options: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
        if os.getuid() == 0:
            shutil.chown(self.folder, USER, USER)
        self.port = free_port()
        self._log = self.folder / "log"
        self._data = self.folder / "data"
        self._options = options
        initdb = [*_as_user(), *_found("initdb"), "-D", str(self._data), "-U", USER, "-A", "trust"]
        initdb += ["-N", "--no-instructions", "-E", "UTF8", "--locale=C"]
        subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, cwd="/")
        self.start()

    def conninfo(self, **more: Any) -> str:
        about: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": self.port,
            "user": USER,
            "dbname": "postgres",
        }
        return psycopg.conninfo.make_conninfo(**about | more)

    def connect(self, **more: Any) -> psycopg.Connection[Any]:
        return psycopg.connect(self.conninfo(connect_timeout=5, **more), autocommit=True)

    def start(self, *options: str) -> None:
        command = [*_as_user(), *_found("postgres"), "-D", str(self._data)]
        command += ["-p", str(self.port), "-h", "127.0.0.1", "-k", str(self.folder), "-F"]
        command += ["-c", "max_connections=30", "-c", "shared_buffers=32MB", *self._options]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([*command, *options], stdout=log, stderr=log, cwd="/")
        wait_until(self._answers, 30)

    def _answers(self) -> bool:
        assert self._process.poll() is None, self._log.read_text()
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self) -> None:
        """Stop it at once, as power failures do; it recovers when it is started."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(20)

    def end(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        self.stop()
        try:
            yield
        finally:
            self.start()

    @contextlib.contextmanager
    def asleep(self) -> Iterator[None]:
        """It is there, and says nothing: neither it nor those that it has made."""
        pids = [self._process.pid]
        try:
            _put_to_sleep(self._process.pid)  # first: it makes no more of them
            for pid in self._children():
                pids.append(pid)
                _put_to_sleep(pid)
            yield
        finally:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def _children(self) -> list[int]:
        pid = self._process.pid
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
