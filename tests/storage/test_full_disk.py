"""A full disk: nothing is accepted, all is delivered, and then there is room again."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from journals import append, held, reclaim_all

from partitioned_buffer.errors import StorageError, StorageFull
from partitioned_buffer.storage.sqlite import Journal

Open = Callable[..., Journal]

MIB = 1 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MiB."""
    where = tmp_path / "disk"
    where.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(where)]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount")
    if done.returncode:
        pytest.skip("this user may not mount a file system")
    yield where
    subprocess.run(["umount", "-l", str(where)], check=True)


def fill(disk: Path, *, leave: int = 0) -> Path:
    """Have somebody else take what is left of the disk."""
    hog = disk / "hog"
    with hog.open("ab", buffering=0) as file:
        try:
            while True:
                file.write(bytes(65536))
        except OSError:
            file.truncate(max(0, file.tell() - leave))
    return hog


def accept_all(journal: Journal, size: int) -> int:
    """Append until the disk is full, and stays so; return how many chunks there are."""
    accepted = refused = 0
    while refused < 5:
        try:
            append(journal, "x" * size)
            accepted, refused = accepted + 1, 0
        except StorageFull:
            refused += 1
    return accepted


@pytest.mark.parametrize("size", [100_000, 3000])
def test_what_is_delivered_gives_room_back(size: int, disk: Path, opened: Open) -> None:
    journal = opened(disk / "events.db")
    accepted = accept_all(journal, size)
    with pytest.raises(StorageFull, match="make room"):
        journal.bury(0, b"y" * 10 * MIB, 1, "", 1)
    with pytest.raises(StorageFull):
        journal.replace(1, [(1, b"y" * 10 * MIB)])

    assert accepted * size > 4 * MIB
    assert sum(chunk.count for chunk in journal.records(0)) == accepted * size, "all is there"
    journal.settle(0, journal.end(0))
    reclaim_all(journal)
    assert accept_all(journal, size) > accepted * 0.9, "room for as much again"


def test_a_part_that_is_delivered_is_room_for_as_much(disk: Path, opened: Open) -> None:
    journal = opened(disk / "events.db")
    accepted = accept_all(journal, 100_000)
    cursor = taken = 0
    for _ in range(3):
        cursor += 100_000 * (accepted - 2)
        journal.settle(0, cursor)
        reclaim_all(journal)
        taken += (accepted := accept_all(journal, 100_000))

    assert taken > 10
    assert held(journal).count("x") == journal.end(0) - cursor


def test_another_ones_files_fill_it_and_are_deleted(disk: Path, opened: Open) -> None:
    journal = opened(disk / "events.db")
    append(journal, "abc")
    hog = fill(disk)
    accept_all(journal, 50_000)  # as long as there is room that was its own
    journal.settle(0, 1)
    reclaim_all(journal)
    hog.unlink()

    append(journal, "e")
    assert held(journal).replace("x", "") == "bce"


def test_a_full_disk_is_opened_and_emptied(disk: Path, opened: Open) -> None:
    journal = opened(disk / "events.db")
    append(journal, *("x" * 100_000 for _ in range(20)))
    journal.close()
    hog = fill(disk)
    again = opened(disk / "events.db")
    with pytest.raises(StorageFull):
        append(again, "y" * 10 * MIB)
    again.settle(0, again.end(0), hand=3)
    reclaim_all(again)

    assert again.depth(0).held == 0
    hog.unlink()
    assert append(again, "y") == [2_000_000]


def test_without_room_for_a_file_none_is_made(disk: Path, opened: Open) -> None:
    fill(disk)

    with pytest.raises(StorageFull):
        opened(disk / "events.db")
    (disk / "hog").unlink()
    append(opened(disk / "events.db"), "a")


def test_a_disk_that_is_read_only_is_said(disk: Path, opened: Open) -> None:
    opened(disk / "events.db").close()
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)

    with pytest.raises(StorageError, match="be allowed to write"):
        opened(disk / "events.db")


def test_a_file_that_may_not_grow_is_full(journal: Journal) -> None:
    append(journal, "abc")
    db = journal._file.db
    ((pages,),) = db.execute("pragma page_count")
    db.execute(f"pragma max_page_count={pages}").fetchall()

    with pytest.raises(StorageFull, match="What was accepted before is safe"):
        append(journal, "x" * 100_000)
    assert append(journal, "d") == [3], "which fits"
    journal.settle(0, 1, (0,))
    assert held(journal) == "abcd"
    db.execute("pragma max_page_count=1000000").fetchall()
    assert append(journal, "x" * 100_000) == [4]
