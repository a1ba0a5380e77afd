"""Recipes of one process: a notebook, a script, a function that stands still in between."""

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from helpers import wait_until
from recipes import RECIPES, started

import partitioned_buffer
from partitioned_buffer import Queue

# --- a notebook -------------------------------------------------------------------------


def cells() -> list[str]:
    return (RECIPES / "notebook.py").read_text().split("# %% ")[1:]


def run_cell(cell: str, notebook: dict[str, Any]) -> None:
    exec(compile(f"# {cell}", "cell", "exec"), notebook)


def test_cells_of_a_notebook_may_be_run_again(capsys: pytest.CaptureFixture[str]) -> None:
    notebook: dict[str, Any] = {}
    imports, make, work, look = cells()

    for cell in (imports, make, work, look, work, make, work, look):
        run_cell(cell, notebook)
    assert notebook["stored"] == 3 * [f"note {number}" for number in range(3)]
    changed = make.replace("stored.extend(batch)", "stored.extend(map(str.upper, batch))")
    for cell in (work, changed, work, look):  # what was written before goes by the old function
        run_cell(cell, notebook)

    assert notebook["stored"][-6:] == [
        *(f"note {number}" for number in range(3)),
        *(f"NOTE {number}" for number in range(3)),
    ]
    assert capsys.readouterr().out.splitlines()[-1] == "15 stored, 0 held"
    partitioned_buffer.get("notes", Queue).stop()


# --- a script that is killed --------------------------------------------------------------

LINES = 30_000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs POSIX")
@pytest.mark.parametrize("seed", range(2))
def test_a_file_is_shipped_whole_however_often_it_is_killed(tmp_path: Path, seed: int) -> None:
    dice, source = random.Random(seed), tmp_path / "lines.txt"
    source.write_text("".join(f"line {number} {'x' * (number % 50)}\n" for number in range(LINES)))
    shipped, size = tmp_path / "shipped.txt", source.stat().st_size
    command = [str(RECIPES / "ship_file.py"), str(source), str(shipped)]
    marks, killed = [0], 0

    for part in sorted(dice.random() for _ in range(3)):
        with started(tmp_path, *command, EVERY="0.01") as program:
            wait_until(
                lambda: (
                    program.process.poll() is not None
                    or (shipped.exists() and shipped.stat().st_size >= part * size)
                )
            )
            program.kill()
            killed += program.process.returncode == -signal.SIGKILL
        offset = tmp_path / "shipped.txt.offset"
        marks.append(int(offset.read_text()) if offset.exists() else 0)
        assert lines_before(source, marks[-1]) <= set(shipped.read_text().splitlines())
    with started(tmp_path, *command) as program:
        assert program.process.wait(60) == 0
        assert "100.0%" in program.said()

    assert killed
    assert marks == sorted(marks)
    came, expected = Counter(shipped.read_text().splitlines()), set(source.read_text().splitlines())
    # A line may be cut that was being written when it was killed; then it comes again, whole.
    assert expected <= set(came)
    twice = {line for line in expected if came[line] > 1}
    assert all(came[line] <= 1 + killed for line in twice)
    assert not twice & lines_before(source, marks[1]), "what was settled was shipped again"
    sys.stdout.write(f"{killed} kills, {len(twice)} of {LINES} lines came twice, marks {marks}\n")


def lines_before(source: Path, place: int) -> set[str]:
    return set(source.read_bytes()[:place].decode().splitlines())


# --- one that stands still ------------------------------------------------------------------

LAMBDA = """
import json, sys
from lambda_handler import handler
class Context:
    def get_remaining_time_in_millis(self):
        return 1500
for line in sys.stdin:
    try:
        said = handler(json.loads(line), Context())
    except Exception as error:
        said = repr(error)
    print(json.dumps(said), flush=True)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs SIGSTOP")
def test_a_lambda_has_delivered_when_it_stands_still_and_may_be_gone_then(tmp_path: Path) -> None:
    folder = tmp_path / "there"
    folder.mkdir()
    environment = {"PYTHONPATH": str(RECIPES), "EVENTS_FILE": str(folder / "events.txt")}
    with subprocess.Popen(
        [sys.executable, "-c", LAMBDA],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True, env=os.environ | environment,
    ) as function:  # fmt: skip
        assert function.stdin is not None
        assert function.stdout is not None

        def invoke(*bodies: str) -> Any:
            """Thaw it, invoke it, and freeze it again."""
            assert function.stdin is not None
            assert function.stdout is not None
            function.send_signal(signal.SIGCONT)
            function.stdin.write(
                json.dumps({"Records": [{"body": each} for each in bodies]}) + "\n"
            )
            function.stdin.flush()
            said = json.loads(function.stdout.readline())
            function.send_signal(signal.SIGSTOP)
            return said

        def delivered() -> list[str]:
            return sorted((folder / "events.txt").read_text().split())

        assert invoke("a", "b") == {"delivered": 2}
        assert delivered() == ["a", "b"]
        folder.rename(tmp_path / "gone")
        assert "TimeoutError" in invoke("c")  # and the same event comes again
        (tmp_path / "gone").rename(folder)
        assert invoke("c") == {"delivered": 1}
        assert delivered() == ["a", "b", "c", "c"]
        assert invoke("d") == {"delivered": 1}
        function.kill()
    assert delivered() == ["a", "b", "c", "c", "d"]
