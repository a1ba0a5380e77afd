from collections.abc import Callable
from pathlib import Path

import pytest
from stores import exit_code

from partitioned_buffer.cli.main import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.db"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command here; returns its exit code, and what it printed and complained of."""

    def call(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = exit_code(lambda: main([str(each) for each in arguments]))
        return code, *capsys.readouterr()

    return call
