"""Files that are moved, removed or cut short under a journal: an error, never silent."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from journals import append, crashed, held, look_in, reclaim_all

from partitioned_buffer.errors import StorageError
from partitioned_buffer.storage.sqlite import Journal

Open = Callable[..., Journal]


def drop_locks(path: Path) -> None:
    """Do what a backup in this process does: all of SQLite's locks are gone then."""
    for each in (path, path.with_name(path.name + "-shm")):
        each.open("rb").close()


def wal_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def test_another_program_may_look(journal: Journal, path: Path) -> None:
    append(journal, "abc")

    assert look_in(path, "select sum(n) from chunk") == "[[3]]"
    assert append(journal, "d") == [3]
    assert wal_of(path).exists()


def test_a_wal_that_another_program_removed_is_said_and_nothing_is_lost(
    journal: Journal, opened: Open, path: Path
) -> None:
    append(journal, "abc")
    drop_locks(path)
    assert look_in(path, "select sum(n) from chunk") == "[[3]]"
    assert not wal_of(path).exists(), "the program thought itself the last"

    with pytest.raises(StorageError, match=r"-wal was removed.*Nothing of this write was accepted"):
        append(journal, "lost?")
    assert append(journal, "def") == [3], "it goes on with a new one"
    assert look_in(path, "select sum(n) from chunk") == "[[6]]", "where everybody finds it"
    assert wal_of(path).exists()
    assert held(journal) == "abcdef"


def test_a_wal_that_is_deleted_is_saved(
    journal: Journal, opened: Open, path: Path, tmp_path: Path
) -> None:
    append(journal, "abc")
    wal_of(path).unlink()

    with pytest.raises(StorageError, match="What was in it is safe"):
        append(journal, "x")
    append(journal, "def")
    assert held(opened(crashed(path, tmp_path / "copy"))) == "abcdef"


def test_a_wal_that_is_deleted_is_saved_by_a_close(
    journal: Journal, opened: Open, path: Path
) -> None:
    append(journal, "abc")
    wal_of(path).unlink()
    journal.close()

    assert held(opened()) == "abc"


def test_a_wal_that_is_removed_in_the_middle_of_a_commit_is_said(
    journal: Journal, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(journal, "abc")
    watch: Any = journal._file.watch
    looks: Iterator[None] = iter([None])  # all was well, when it was looked at before
    look = watch.trouble
    monkeypatch.setattr(watch, "trouble", lambda: next(looks) if looks_left(looks) else look())
    wal_of(path).unlink()

    with pytest.raises(StorageError, match="This write may have been made, or not"):
        append(journal, "def")
    assert append(journal, "ghi")[0] in (3, 6)
    assert held(journal) in ("abcghi", "abcdefghi")


def looks_left(looks: Iterator[None]) -> bool:
    return looks.__length_hint__() > 0  # type: ignore[attr-defined,no-any-return]


def test_a_wal_of_somebody_else_is_not_touched(journal: Journal, path: Path) -> None:
    append(journal, "abc")
    wal_of(path).unlink()
    wal_of(path).write_bytes(b"somebody else's")

    for _ in range(2):
        with pytest.raises(StorageError, match="was removed"):
            append(journal, "x")
    assert wal_of(path).read_bytes() == b"somebody else's"


def test_a_file_that_is_moved_is_said_until_it_is_back(journal: Journal, path: Path) -> None:
    append(journal, "abc")
    path.rename(path.with_name("moved"))

    for _ in range(2):
        with pytest.raises(StorageError, match="deleted or moved away while it was in use"):
            append(journal, "x")
    with pytest.raises(StorageError, match="moved away"):
        journal.bury(0, b"x", 1, "", 1)
    path.with_name("moved").rename(path)

    assert append(journal, "def") == [3]
    assert held(journal) == "abcdef"


def test_a_file_that_is_deleted_is_said(journal: Journal, path: Path) -> None:
    append(journal, "abc")
    path.unlink()

    with pytest.raises(StorageError, match="deleted or moved away"):
        append(journal, "x")


def test_a_file_that_is_replaced_is_said(journal: Journal, path: Path) -> None:
    append(journal, "abc")
    shutil.copy(path, path.with_name("copy"))
    path.with_name("copy").replace(path)

    with pytest.raises(StorageError, match="replaced by another file"):
        append(journal, "x")


def fill(journal: Journal) -> None:
    append(journal, *("x" * 5000 for _ in range(40)))


def checkpoint(path: Path, how: str) -> None:
    db = sqlite3.connect(path)
    db.execute(f"pragma wal_checkpoint({how})").fetchall()
    db.close()


def test_a_wal_that_is_cut_short_is_said(journal: Journal, path: Path) -> None:
    fill(journal)
    with wal_of(path).open("r+b") as file:
        file.truncate(0)

    for _ in range(2):
        with pytest.raises(StorageError, match="cut short by another program"):
            append(journal, "y")


@pytest.mark.parametrize("size", [0, 8192, 100_000])
def test_a_file_that_is_cut_short_is_said(size: int, journal: Journal, path: Path) -> None:
    fill(journal)
    checkpoint(path, "full")
    append(journal, "y")
    with path.open("r+b") as file:
        file.truncate(size)

    with pytest.raises(StorageError):
        append(journal, "z")


@pytest.mark.parametrize("how", ["passive", "full", "truncate"])
def test_checkpoints_of_other_programs_are_no_trouble(
    how: str, journal: Journal, opened: Open, path: Path, tmp_path: Path
) -> None:
    fill(journal)
    journal.settle(0, journal.end(0))
    reclaim_all(journal)
    append(journal, "abc")
    look_in(path, f"pragma wal_checkpoint({how})")
    append(journal, "def")
    look_in(path, f"pragma wal_checkpoint({how})")
    append(journal, "ghi")

    assert held(opened(crashed(path, tmp_path / "copy"))) == "abcdefghi"
