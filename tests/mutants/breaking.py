"""
What breaks the code in one place after the other, and sees which test notices.

Each mutant is a copy of the package with one piece of text replaced; the tests run over it until
one fails. Listed is which did; a mutant that no test noticed, whose text is not there any more, or
that does not compile, makes this fail.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
CORE = Path("partitioned_buffer", "_core")


class Where(NamedTuple):
    """In which folders the files of a list are, and its tests."""

    files: Path = CORE
    tests: str = "tests/core"


IN_CORE = Where()


@dataclass(frozen=True)
class Mutant:
    """A piece of text to be replaced."""

    name: str
    file: str
    """Below the folder of its list's files."""
    old: str
    new: str
    within: str = ""
    """Replaced is the first after this, such as a function's head; else all there are."""
    also: tuple[str, str] | None = None
    """Another piece, likewise."""
    tests: tuple[str, ...] = ()
    """Which are to notice it, below the folder of its list's tests; else those of its list."""


def broken(text: str, mutant: Mutant) -> str | None:
    """Return *text* with the mutant's piece replaced; None if it is not there."""
    head, within, rest = text.partition(mutant.within) if mutant.within else ("", "", text)
    for old, new in [(mutant.old, mutant.new), *([mutant.also] if mutant.also else [])]:
        if old not in rest:
            return None
        rest = rest.replace(old, new, 1 if mutant.within else -1)
    return head + within + rest


def copied(folder: Path) -> None:
    unwanted = shutil.ignore_patterns("*.so", "*.pyd", "__py*")
    shutil.copytree(ROOT / "src", folder, dirs_exist_ok=True, ignore=unwanted)


def compile_in(folder: Path) -> None:
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    source = folder / CORE / "tables" / "_speed.c"
    subprocess.run(
        [
            os.environ.get("CC", "cc"), "-O1", "-fPIC", "-shared", "-w",
            f"-I{sysconfig.get_paths()['include']}", str(source),
            "-o", str(source.with_name(f"_speed{suffix}")),
        ],
        check=True,
    )  # fmt: skip


def failed(folder: Path, test: str, where: Where, *, compiled: bool) -> str | None:
    """Return what of *test* failed over the package in *folder*; None: nothing."""
    environment = os.environ | {
        "PYTHONPATH": str(folder),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PARTITIONED_BUFFER_SPEED": str(int(compiled)),
        "STRESS_SECONDS": "0.2",
    }
    command = [
        sys.executable, "-m", "pytest", "-v", "-x", "-p", "no:cacheprovider",
        "-o", "faulthandler_timeout=40", "-o", "faulthandler_exit_on_timeout=true",
        "--confcutdir=tests", f"{where.tests}/{test}",
        "-k", "not python" if compiled else "not c- and not [c] and not -c]",
    ]  # fmt: skip
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=150,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"{test}: it hangs"
    if done.returncode == 0:
        return None
    lines = done.stdout.splitlines()
    names = [line for line in lines if line.startswith("FAILED")]
    if names:
        return f"{test}: {names[0].partition('::')[2].partition(' - ')[0]}"
    last = [line.partition("::")[2] for line in lines if "::" in line]
    how = f"died of {-done.returncode}" if done.returncode < 0 else "hung or crashed"
    return f"{test}: {how} in {last[-1] if last else 'its beginning'}"


def noticed_by(mutant: Mutant, tests: Sequence[str], where: Where, *, compiled: bool) -> str | None:
    """Return which test failed; None: none did."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copied(folder)
        file = folder / where.files / mutant.file
        text = broken(file.read_text(), mutant)
        if text is None:
            return None
        file.write_text(text)
        if compiled:
            compile_in(folder)
        for test in mutant.tests or tests:
            if (found := failed(folder, test, where, compiled=compiled)) is not None:
                return found
    return None


def break_each(
    mutants: Sequence[Mutant], tests: Sequence[str], where: Where = IN_CORE, *, compiled: bool
) -> None:
    """Break one after the other, those whose names begin as the command line says."""
    chosen = [each for each in mutants if each.name.startswith(" ".join(sys.argv[1:]))]
    wrong = []
    for mutant in chosen:
        if broken((ROOT / "src" / where.files / mutant.file).read_text(), mutant) is None:
            by = f"NO SUCH TEXT IN {mutant.file}"
            wrong.append(mutant)
        elif (by := noticed_by(mutant, tests, where, compiled=compiled) or "") == "":
            by = "NOT NOTICED"
            wrong.append(mutant)
        print(f"{mutant.name:60} {by}", flush=True)
    print(f"{len(chosen) - len(wrong)} of {len(chosen)} were noticed")
    sys.exit(bool(wrong))
