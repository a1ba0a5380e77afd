"""
What `append()` returned for is there after a power failure, whatever that leaves of the rest.

A child works on a journal, and all that it writes below Python, and syncs, is written down. At
any place in that the power may fail: the synced part is there, and any of the rest.
"""

import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import rounds
from power import SAID, Recorder, compiled, read_folder, write_folder
from power_disk import Disk
from power_promises import Promises

FAILURES = 30
"""How often the power fails in each log."""

STEPS = 120


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("power"))


class Life:
    """What one process does, or two one after the other, to a folder that held *files*."""

    def __init__(
        self, recorder: Recorder, files: dict[str, bytes], seed: int, fsync: str = "commit"
    ) -> None:
        self._dice, self._files, self._seed = random.Random(seed), files, seed
        self._promised = Promises.of(write_folder(recorder.folder, files) / "events.db")
        write_folder(recorder.folder, files)
        if seed % 3 == 1:  # is killed, and another one goes on
            recorder.run(seed + 1000, STEPS, fsync, life=self._dice.randint(1, 900))
        recorder.run(seed, STEPS, fsync)
        self.entries = recorder.entries()
        self._folder = recorder.folder

    def is_all_known(self) -> bool:
        """Say whether the log has all that was done."""
        disk = Disk(self._files)
        for entry in self.entries:
            disk.take(entry)
        known = {name: data for name, data in disk.now().items() if name != SAID}
        return known == read_folder(self._folder)

    def failures(self, number: int) -> Iterator[tuple[str, dict[str, bytes], Promises]]:
        """Have the power fail so often; yield when, what is left, and what was promised."""
        disk, promises = Disk(self._files), self._promised
        done = 0
        for last in sorted(self._moments(number)):
            for entry in self.entries[done:last]:
                promises.hear(entry)
                disk.take(entry)
            done = max(done, last)
            files = disk.remains(self._dice)
            files.pop(SAID, None)
            yield f"seed {self._seed}, after {last} entries", files, promises

    def _moments(self, number: int) -> list[int]:
        """Choose as many: half of them when a call has just returned, and it matters most."""
        said = [at + 1 for at, entry in enumerate(self.entries) if entry.name == SAID]
        return [
            self._dice.choice(said) if self._dice.random() < 0.5 else self._dice.randrange(most)
            for most in [len(self.entries)] * number
        ]


@pytest.fixture
def recorder(library: Path, tmp_path: Path) -> Recorder:
    return Recorder(library, tmp_path / "folder", tmp_path / "log")


def is_whole(path: Path) -> bool:
    """Return whether SQLite finds all of the database in order."""
    db = sqlite3.connect(path)
    said = db.execute("pragma integrity_check").fetchall()
    db.close()
    return said == [("ok",)]


@pytest.mark.parametrize("generation", range(rounds(6)))
def test_nothing_that_was_accepted_is_lost(
    generation: int, recorder: Recorder, tmp_path: Path
) -> None:
    files: dict[str, bytes] = {}
    for life in range(3):  # the second one begins with what the first power failure has left
        lived = Life(recorder, files, 10 * generation + life)
        assert lived.is_all_known()
        for when, left, promises in lived.failures(FAILURES):
            image = write_folder(tmp_path / "image", left)
            assert promises.broken(image / "events.db") == [], when
            assert is_whole(image / "events.db"), when
            if "events.db" in left:
                files = left


def test_the_model_finds_what_is_lost(recorder: Recorder, tmp_path: Path) -> None:
    lived = Life(recorder, {}, 2, fsync="os")
    assert lived.is_all_known()
    broken: list[str] = []
    for _, left, promises in lived.failures(FAILURES):
        image = write_folder(tmp_path / "image", left)
        broken += promises.broken(image / "events.db")
        assert is_whole(image / "events.db")

    assert any("lost: " in each for each in broken)
    assert not any("does not open" in each for each in broken)
