import os
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from stores import exit_code

from partitioned_buffer.cli.main import main

try:
    import redis  # noqa: F401
except ImportError:
    if os.environ.get("SERVERS") == "required":
        raise
    collect_ignore_glob = ["test_*_server.py"]
else:
    from serving import client, kind, name, opened, own, relay, server  # noqa: F401  # fixtures

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


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Path]]:
    """Writes the text of a program to the folder in which commands are run: its `shop.py`."""
    before = set(sys.modules)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each])

    def write(text: str) -> Path:
        (tmp_path / "shop.py").write_text(textwrap.dedent(text))
        return tmp_path

    yield write
    for name in set(sys.modules) - before:
        if name.partition(".")[0] == "shop":
            del sys.modules[name]
