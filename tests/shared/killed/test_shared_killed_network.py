"""A network that is cut for longer than leases last: what is sent vanishes, and nobody says so."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import histories
import pytest
from helpers import rounds
from namespaces import Elsewhere
from scenes import Scene
from servers import wait_until

LEASE = 2.0

STOPS = """
import json, sys, time
from pathlib import Path
from partitioned_buffer import Queue
from partitioned_buffer.storage import Redis

queue = Queue("stops", lambda batch: None, storage=Redis(sys.argv[1]), processing_interval=0.01)
with queue:
    queue.push(0)
    queue.flush(20)
    Path("ready").touch()
    while not Path("cut").exists():
        time.sleep(0.01)
    queue.push_all(range(1, 11))
    time.sleep(0.2)  # it has been noticed, or is just being
    began = time.monotonic()
    report = queue.stop(timeout=0.5)
    print(json.dumps([time.monotonic() - began, list(report.left)]))
"""


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    made = Elsewhere()
    yield made
    made.close()


def is_back(said: Path) -> bool:
    return "its server is back after" in said.read_text()


def test_a_network_is_cut(
    started: Any, elsewhere: Elsewhere, tmp_path: Path, record_property: Any
) -> None:
    """Others have the partitions of who is cut off; what is written there comes afterwards."""
    for number in range(1300, 1300 + rounds(6)):
        server = started(number, "--bind", "127.0.0.1", elsewhere.server)
        far = f"redis://{elsewhere.server}:{server.port}"
        with Scene(tmp_path, server.url, seed=number, lease=LEASE, nap=0.005) as scene:
            scene.worker()
            scene.producer()
            scene.inside = elsewhere.command
            worker, producer = scene.worker(url=far), scene.producer(url=far)
            scene.inside = ()
            scene.all_ready()
            for each in scene.crew:
                scene.goes_on(each)

            elsewhere.cut()
            scene.killed[worker.pid] = time.monotonic()  # what it has in hand may come again
            time.sleep(2 * LEASE + scene.random.random())
            scene.goes_on(scene.crew[0])
            scene.goes_on(producer, "producer")
            elsewhere.mend()

            scene.goes_on(worker)
            told = [each for each in scene.folder.glob("*.said") if far[8:] in each.read_text()]
            wait_until(
                lambda: all("its server is back" in one.read_text() for one in told), 30
            )  # at once
            history = scene.finish()
            scene.check(history)
            assert len(told) == 2
            for said in (each.read_text() for each in told):
                assert re.search(rf"{re.escape(far[8:])}: (Timeout|Connection)Error", said), said
            assert scene.numbers("lost") == scene.numbers("gaps") == 0
            twice = [repeat.items for repeat in histories.repeats(history)]
            record_property(
                "items, and twice in each partition", (len(history.acknowledged), twice)
            )


def test_a_stop_ends_in_time_though_nobody_answers(
    started: Any, elsewhere: Elsewhere, tmp_path: Path, record_property: Any
) -> None:
    server = started(1400, "--bind", "127.0.0.1", elsewhere.server)
    url = f"redis://{elsewhere.server}:{server.port}"
    command = [*elsewhere.command, sys.executable, "-c", STOPS, url]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    try:
        wait_until((tmp_path / "ready").exists, 60)
        elsewhere.cut()
        (tmp_path / "cut").touch()
        took, left = json.loads(process.communicate(timeout=60)[0])
    finally:
        process.kill()
        process.wait()

    record_property("seconds of 0.5", round(took, 3))
    assert took < 0.9, "a call of the server lasts a second"
    assert left == list(range(1, 11))
