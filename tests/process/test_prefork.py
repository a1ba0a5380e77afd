"""Servers that import the program and then fork their workers: gunicorn, Celery, billiard."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from partitioned_buffer import Map, Queue
from partitioned_buffer.dead_letters import DeadLetterFile


def needs(package: str) -> pytest.MarkDecorator:
    """Skip where *package* is not installed; but not in CI, where that is a failure."""
    missing = find_spec(package) is None and not os.environ.get("CI")
    return pytest.mark.skipif(missing, reason=f"needs {package}")


pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")

PATIENCE = 60.0

# What every program here begins with: a buffer that is made and started at import, in the parent,
# and delivers nothing before the end, so that the end has to.
BUFFERS = """
import os
from partitioned_buffer import Map, Queue
def record(batch):
    with open("delivered", "ab", buffering=0) as file:
        for item in batch:
            item = getattr(item, "key", item)
            file.write(f"{os.getpid()} {item}\\n".encode())
options = {"partitions": 2, "processing_interval": 1000.0}
queue = Queue("queue", record, **options).start()
mapped = Map("map", record, **options).start()
def write(item):
    queue.push(f"{os.getpid()} queue {item}")
    mapped.put(f"{os.getpid()} map {item}", None)
write("parent")
"""


def assert_delivered(folder: Path, items: list[str], killed: Iterable[str] = ()) -> None:
    """
    Each of *items* was delivered once per buffer, by the process that had written it.

    Of what those wrote that were *killed* at their end nobody knows, but that none came twice.
    """
    lines = [line.split() for line in (folder / "delivered").read_text().splitlines()]
    assert_each_once([(kind, item) for _, _, kind, item in lines], items, killed)
    assert all(deliverer == writer for deliverer, writer, _, _ in lines)
    assert len({writer for _, writer, _, _ in lines}) > 1, "no child has written"


def assert_each_once(found: list[tuple[str, str]], items: list[str], killed: Iterable[str]) -> None:
    unknown = {(kind, item) for kind in ("map", "queue") for item in killed}
    assert len(set(found)) == len(found)
    assert sorted(set(found) - unknown) == sorted(
        (kind, item) for kind in ("map", "queue") for item in ["parent", *items]
    )


@contextmanager
def serving(folder: Path, *command: str) -> Iterator["subprocess.Popen[str]"]:
    """Run a server; end it by SIGTERM, gracefully, or else by force."""
    server = subprocess.Popen(
        [sys.executable, *command],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder), "PYTHONWARNINGS": "ignore"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    output = ""
    try:
        yield server
        server.send_signal(signal.SIGTERM)
        output, _ = server.communicate(timeout=PATIENCE)
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGKILL)
            output, _ = server.communicate()
        sys.stdout.write(output)  # seen when the test fails


def until(happens: Callable[[], object], server: "subprocess.Popen[str]") -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + PATIENCE
    while not happens():
        assert server.poll() is None, "the server has ended"
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)  # leave the processor to the server


@needs("gunicorn")
@pytest.mark.parametrize("worker", ["sync", "gthread"])
def test_every_item_of_a_request_that_gunicorn_answered_is_delivered_once(
    worker: str, tmp_path: Path
) -> None:
    (tmp_path / "web.py").write_text(
        BUFFERS
        + textwrap.dedent("""
    def app(environ, start_response):
        write(environ["PATH_INFO"][1:])
        start_response("200 OK", [("Content-Length", "0")])
        return []
    """)
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = ["-m", "gunicorn", "--preload", "--workers=2", f"--worker-class={worker}"]
    answered: list[str] = []

    def request(item: str) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        try:
            connection.request("GET", f"/{item}")
            ok = connection.getresponse().status == 200
        except ConnectionRefusedError:
            return False
        finally:
            connection.close()
        if ok:
            answered.append(item)
        return ok

    with serving(tmp_path, *command, f"--bind=127.0.0.1:{port}", "web:app") as server:
        until(lambda: request("first"), server)
        for number in range(200):
            assert request(str(number))
    assert server.returncode == 0

    assert len(answered) == 201
    assert_delivered(tmp_path, answered)


CELERY = (
    BUFFERS
    + """
from celery import Celery
from celery.signals import worker_process_shutdown
app = Celery("tasks", broker="filesystem://")
for folder in ("messages", "done"):
    os.makedirs(folder, exist_ok=True)
app.conf.update(
    broker_transport_options={
        "data_folder_in": "messages", "data_folder_out": "messages", "control_folder": "done",
        "polling_interval": 0.05,
    },
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=False,
)
def ended(**_):
    with open("ended", "a") as file:
        file.write(f"{os.getpid()}\\n")
@app.task
def task(item):
    write(item)
    worker_process_shutdown.connect(ended, weak=False, dispatch_uid="ended")  # behind the buffers
    with open("run", "a") as file:
        file.write(f"{os.getpid()} {item}\\n")
"""
)


def run_tasks_of_celery(folder: Path, program: str, *more: str) -> tuple[list[str], list[str]]:
    """
    Have forty tasks run, and stop Celery.

    Return those of the workers that it let end, and the others: on a busy machine it kills some
    that it has told to, at whatever instant, and nobody can help that.
    """
    (folder / "tasks.py").write_text(program)
    sender = (
        "import tasks\nfor n in range(40): tasks.task.delay(str(n))\nos = tasks.os\nos._exit(0)"
    )
    environment = os.environ | {"PYTHONPATH": str(folder), "PYTHONWARNINGS": "ignore"}
    subprocess.run(
        [sys.executable, "-c", sender], cwd=folder, env=environment, check=True, timeout=PATIENCE
    )
    ran, ended = folder / "run", folder / "ended"
    ran.touch()
    ended.touch()
    options = ["--pool=prefork", "--concurrency=2", "--without-gossip", "--without-mingle"]
    options += ["--without-heartbeat", "--loglevel=INFO", *more]

    with serving(folder, "-m", "celery", "-A", "tasks", "worker", *options) as server:
        until(lambda: len(ran.read_text().splitlines()) >= 40, server)
    assert server.returncode == 0
    lines, gone = [*map(str.split, ran.read_text().splitlines())], ended.read_text().split()
    assert gone, "every worker was killed"
    return [item for pid, item in lines if pid in gone], [i for pid, i in lines if pid not in gone]


@needs("celery")
def test_every_item_of_a_task_that_celery_ran_is_delivered_once(tmp_path: Path) -> None:
    items, killed = run_tasks_of_celery(tmp_path, CELERY, "--max-tasks-per-child=15")

    assert_delivered(tmp_path, items, killed)


DOWN = """
from partitioned_buffer.dead_letters import DeadLetterFile
def record(batch):
    raise ConnectionError("down")
options["exit_timeout"] = 1.0
"""


@needs("celery")
def test_what_celery_ran_while_the_destination_is_down_is_in_the_dead_letter_files(
    tmp_path: Path,
) -> None:
    program = CELERY.replace("queue = Queue(", f"{DOWN}queue = Queue(", 1)
    for kind in ("queue", "map"):
        file = f'"{kind}", record, dead_letter=DeadLetterFile("{kind}.jsonl")'
        program = program.replace(f'"{kind}", record', file, 1)
    ran, killed = run_tasks_of_celery(tmp_path, program)

    items: list[Any] = []
    with Queue[Any]("q", items.extend) as queue, Map[Any, Any]("m", items.extend) as mapped:
        DeadLetterFile(tmp_path / "queue.jsonl").replay(queue)
        DeadLetterFile(tmp_path / "map.jsonl").replay(mapped)
    found = [getattr(item, "key", item).split()[1:] for item in items]
    assert_each_once([(kind, item) for kind, item in found], ran, killed)


@needs("billiard")
def test_every_item_of_a_process_of_billiard_is_delivered_once(tmp_path: Path) -> None:
    program = (
        BUFFERS
        + """
import billiard
processes = [billiard.get_context("fork").Process(target=write, args=(n,)) for n in range(10)]
for process in processes: process.start()
for process in processes: process.join()
"""
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    assert done.stderr == ""
    assert_delivered(tmp_path, [str(number) for number in range(10)])
