"""A child process whose writes, syncs and names are written down, by `power.c`."""

import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

HEAD = struct.Struct("<5Q")
SUPPORT = Path(__file__).parent
SAID = "said"
"""The file in the folder to which the child writes what it was told; no part of any image."""


class Entry(NamedTuple):
    """
    What was done to the files of the folder.

    *kind*: "w" written, "t" cut to a length, "l" made as long at least, "s" synced, "d" the folder
    synced, "c" a name made, "u" removed, "r" changed to the one that is the data.
    """

    kind: str
    inode: int
    place: int
    name: str
    data: bytes


def compiled(folder: Path) -> Path:
    """Return the library, made in *folder*; skip where that cannot be."""
    if sys.platform != "linux":
        pytest.skip("writes are caught with LD_PRELOAD: Linux only")
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        if os.environ.get("CI"):
            pytest.fail("no compiler for what catches writes")
        pytest.skip("no compiler for what catches writes")
    made = folder / "power.so"
    command = [compiler, "-O1", "-fPIC", "-shared", str(SUPPORT / "power.c"), "-o", str(made)]
    subprocess.run([*command, "-ldl", "-lpthread"], check=True)
    return made


class Recorder:
    """Runs `power_work.py` on a folder, and reads what it did there from *log*."""

    def __init__(self, library: Path, folder: Path, log: Path) -> None:
        self._library, self.folder, self._log = library, folder, log

    def run(self, *script: object, life: int = 0) -> None:
        """Run the script; kill it after so many entries, if *life* is given."""
        environment = {
            **os.environ,
            "LD_PRELOAD": str(self._library),
            "POWER_FOLDER": str(self.folder),
            "POWER_LOG": str(self._log),
            "POWER_LIFE": str(life),
        }
        done = subprocess.run(
            [sys.executable, str(SUPPORT / "power_work.py"), self.folder, *map(str, script)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0 or (life and done.returncode < 0), done.stderr

    def entries(self) -> list[Entry]:
        """Return what was done since the last time."""
        data = self._log.read_bytes()
        self._log.unlink()
        return list(_parsed(data))


def _parsed(log: bytes) -> Iterator[Entry]:
    at = 0
    while at < len(log):
        kind, inode, place, name, data = HEAD.unpack_from(log, at)
        at += HEAD.size
        behind = at + name + data
        yield Entry(chr(kind), inode, place, log[at : at + name].decode(), log[at + name : behind])
        at = behind


def read_folder(folder: Path) -> dict[str, bytes]:
    """Return what is in each of a folder's files that a power failure can leave."""
    return {
        file.name: file.read_bytes()
        for file in folder.iterdir()
        if file.name != SAID and not file.name.endswith("-shm")
    }


def write_folder(folder: Path, files: dict[str, bytes]) -> Path:
    """Have the folder hold these files, and no others."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder
