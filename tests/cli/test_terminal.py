"""What a terminal gets: tables and a bar by rich, if it is there; plain text without."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from stores import store

pytest.importorskip("msgspec")
pty = pytest.importorskip("pty")

Program = Callable[[str], Path]

BEGIN = """
import sys
if {without!r}:
    sys.modules["rich"] = None
from partitioned_buffer.cli import progress
progress.EACH = 0.01
from partitioned_buffer.cli.main import main
main({given!r})
"""

SHOP = """
    import time


    def slow(batch):
        time.sleep(0.1)


"""


def seen(folder: Path, without: bool, *arguments: object) -> str:
    """Return what a command says on a terminal, to somebody who has rich, or is *without*."""
    text = BEGIN.format(without=without, given=[str(each) for each in arguments])
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(folder)
        os.execve(sys.executable, [sys.executable, "-c", text], {**os.environ, "COLUMNS": "100"})
    said = b""
    try:
        while more := os.read(terminal, 1 << 16):
            said += more
    except OSError:  # how Linux says that it has ended
        pass
    os.close(terminal)
    assert os.waitpid(pid, 0)[1] == 0, said.decode()
    return said.decode()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # other tests leave threads
@pytest.mark.parametrize("without", [False, True])
def test_inspect_draws_tables(without: bool, path: Path) -> None:
    if not without:
        pytest.importorskip("rich")
    with store(path, ["[bold]a"]):
        pass
    said = seen(path.parent, without, "inspect", path)

    assert ("┃" in said) is not without
    assert "[bold]a" in said
    assert "given up" in said


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("without", [False, True])
def test_drain_draws_a_bar(without: bool, path: Path, program: Program) -> None:
    if not without:
        pytest.importorskip("rich")
    folder = program(SHOP)
    with store(path, [1, 2, 3]):
        pass
    said = seen(folder, without, "drain", path, "--processor", "shop:slow", "--batch-size", 1)

    assert ("━" in said) is not without
    assert ("of 3 delivered" in said) is without
    assert "3 delivered, 0 left" in said
