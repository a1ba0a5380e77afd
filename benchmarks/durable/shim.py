"""Processes in which a sync lasts as long as is said, and is counted."""

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple


class Counts(NamedTuple):
    """What this process did since it began."""

    syncs: int
    writes: int
    bytes: int

    def since(self, before: "Counts") -> "Counts":
        return Counts(*(now - then for now, then in zip(self, before, strict=True)))


def compiled(folder: Path) -> Path | None:
    """Return the library, made in *folder*; None where that cannot be."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None or sys.platform != "linux":
        return None
    made = folder / "shim.so"
    source = Path(__file__).with_name("shim.c")
    command = [compiler, "-O2", "-fPIC", "-shared", str(source), "-o", str(made), "-ldl"]
    subprocess.run(command, check=True)
    return made


def environment(library: Path, sync_us: int) -> dict[str, str]:
    """Return the environment of a process in which a sync lasts so long."""
    return {**os.environ, "LD_PRELOAD": str(library), "SYNC_US": str(sync_us)}


def counts() -> Counts | None:
    """Return what was counted in this process; None if nothing is."""
    if "SYNC_US" not in os.environ:
        return None
    numbers = (ctypes.c_long * 3)()
    ctypes.CDLL(None).counted(numbers)
    return Counts(*numbers)
