"""The numbers of gunicorn's workers, each on a port of its own, as the page about numbers says."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import pytest
from programs import free_ports

pytestmark = pytest.mark.skipif(
    not hasattr(os, "fork") or find_spec("gunicorn") is None, reason="needs os.fork and gunicorn"
)

PAGE = Path(__file__).parents[2] / "docs" / "numbers.md"
APP = """
from prometheus_client import REGISTRY
from partitioned_buffer import Queue
from partitioned_buffer.instrumentation.prometheus import Collector

REGISTRY.register(Collector())
queue = Queue("web", lambda batch: None, partitions=1).start()

def app(environ, start_response):
    queue.push(environ["PATH_INFO"])
    start_response("200 OK", [])
    return [b""]
"""


def answer(port: int, path: str = "") -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=5) as response:
        text: str = response.read().decode()
        return text


def accepted(port: int) -> int:
    """Return how many items the process at *port* has accepted; -1 if there is none."""
    with suppress(OSError):
        found = re.search(r'accepted_total\{buffer="web"\} (\d+)', answer(port, "metrics"))
        return int(found[1]) if found else 0
    return -1


@pytest.mark.parametrize("also", [[], ["--preload"]], ids=["", "preload"])
def test_workers_of_gunicorn_have_a_port_each(tmp_path: Path, also: list[str]) -> None:
    web, *ports = free_ports(3)
    block = re.search(
        r"```python\n(from prometheus_client import start.*?)```", PAGE.read_text(), re.DOTALL
    )
    assert block is not None
    config = re.sub(r"PORTS = .*", f"PORTS = {ports}", block[1])
    (tmp_path / "gunicorn.conf.py").write_text(config)
    (tmp_path / "web.py").write_text(APP)
    command = ["-m", "gunicorn", "web:app", "--workers", "2", "--bind", f"127.0.0.1:{web}", *also]
    server = subprocess.Popen([sys.executable, *command], cwd=tmp_path, stderr=subprocess.PIPE)
    try:
        end = time.monotonic() + 30
        while min(map(accepted, ports)) < 0:
            assert time.monotonic() < end
            time.sleep(0.05)
        for number in range(10):
            answer(web, str(number))
        assert sum(map(accepted, ports)) == 10
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=30)
