"""Who may open a file, and what is said to who may not."""

import gc
import os
import pickle
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from journals import append, held, program

from partitioned_buffer.errors import (
    StorageBusy,
    StorageError,
    StorageFull,
    StorageRefused,
)
from partitioned_buffer.storage.sqlite import Journal, lock

Open = Callable[..., Journal]


def test_another_buffer_of_the_process_is_told(journal: Journal, opened: Open, path: Path) -> None:
    with pytest.raises(StorageBusy, match="another buffer of this process has it") as caught:
        opened()

    assert caught.value.pid == os.getpid()
    journal.close()
    opened()


def test_two_names_of_a_file_are_one_file(journal: Journal, opened: Open, path: Path) -> None:
    link = path.parent / "link"
    link.symlink_to(path)

    with pytest.raises(StorageBusy):
        opened(link)
    journal.close()
    append(opened(link), "abc")


def test_a_relative_path_is_that_of_where_it_was_opened(
    opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    journal = opened(Path("here.db"))
    monkeypatch.chdir(tmp_path / "elsewhere")
    append(journal, "abc")
    journal.settle(0, 1)

    assert held(journal) == "bc"
    assert journal.path == str(tmp_path / "here.db")
    assert not any((tmp_path / "elsewhere").iterdir())


def test_another_process_is_named_and_its_death_opens_the_file(opened: Open, path: Path) -> None:
    support = Path(__file__).parents[1] / "support"
    text = """
import sys; sys.path.insert(0, sys.argv[2])
from journals import *
journal = opened(Path(sys.argv[1])); append(journal, "abc")
print("ready", flush=True); input()
"""
    command = [sys.executable, "-c", text, str(path), str(support)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"ready\n"
        with pytest.raises(StorageBusy, match=f"process {other.pid} has it: stop") as caught:
            opened()
        other.send_signal(signal.SIGKILL)
        other.wait()

    assert caught.value.pid == other.pid
    assert held(opened()) == "abc"


def test_one_that_is_forgotten_opens(opened: Open, path: Path) -> None:
    Journal.open(path, fsync="os", kind="Queue", codec="bytes", partitions=2)
    gc.collect()

    opened()


def test_a_lock_whose_name_was_removed_meanwhile_is_taken_anew(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who gave it up removed the name, after it was opened and before it was locked."""
    names, locked = [Path(f"{path}-lock")], lock._locked

    def locked_later(fd: int) -> bool:
        while names:
            names.pop().unlink()
        return locked(fd)

    monkeypatch.setattr(lock, "_locked", locked_later)
    one = lock.Lock(str(path))
    with pytest.raises(StorageBusy):
        lock.Lock(str(path))
    one.let_go()
    lock.Lock(str(path)).let_go()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kind": "Map"}, "kind 'Queue', and is opened for 'Map'"),
        ({"codec": "Event"}, "codec 'bytes', and is opened for 'Event'"),
        ({"codec": "Event"}, r"old name: codec=storage.codec.make_codec\(..., name='bytes'\)"),
    ],
)
def test_what_was_made_for_something_else_is_refused(
    options: dict[str, str], words: str, journal: Journal, opened: Open
) -> None:
    append(journal, "abc")
    journal.close()

    with pytest.raises(StorageRefused, match=words):
        opened(**options)
    assert held(opened()) == "abc", "it is not changed, nor locked"


def change(path: Path, statement: str) -> None:
    db = sqlite3.connect(path)
    db.execute(statement)
    db.commit()
    db.close()


def test_a_newer_format_is_refused(journal: Journal, opened: Open, path: Path) -> None:
    journal.close()
    change(path, "update meta set v=2 where k='format'")

    with pytest.raises(StorageRefused, match=r"format 2.*formats up to 1: upgrade"):
        opened()


@pytest.mark.parametrize(
    "table", ["notes(a)", "meta(k, v)", "meta(a)", "chunk(id)", "meta(x); create table chunk(id)"]
)
def test_another_programs_database_is_refused_and_left_alone(
    table: str, opened: Open, path: Path
) -> None:
    for statement in f"create table {table}".split(";"):
        change(path, statement)
    before = path.read_bytes()

    with pytest.raises(StorageRefused, match="another program's database"):
        opened()
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "content", [b"no database, " * 1000, b"SQLite format 3\0" + b"\xff" * 9999]
)
def test_what_is_no_database_is_refused(content: bytes, opened: Open, path: Path) -> None:
    path.write_bytes(content)

    with pytest.raises(StorageError, match="no SQLite database, or its first page"):
        opened()
    assert path.read_bytes() == content


@pytest.mark.parametrize("where", [0, 16, 18, 100, 105, 8192 * 2])
def test_a_damaged_page_that_all_depends_on_is_said(
    where: int, journal: Journal, opened: Open, path: Path
) -> None:
    append(journal, "abc")
    journal.close()
    content = bytearray(path.read_bytes())
    content[where : where + 4] = b"\xa5\x5a\xa5\x5a"
    path.write_bytes(content)

    with pytest.raises(StorageError, match=str(path)):
        append(opened(), "d")


def test_a_folder_that_is_not_there_is_said(opened: Open, path: Path) -> None:
    with pytest.raises(StorageError, match="its folder has to be there"):
        opened(path.parent / "no" / "x.db")
    with pytest.raises(StorageError, match="is a folder: give the path of a file"):
        opened(path.parent)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_read_only_is_said(opened: Open, path: Path) -> None:
    path.parent.chmod(0o500)
    try:
        with pytest.raises(StorageError, match="be allowed to write"):
            opened()
    finally:
        path.parent.chmod(0o700)


def test_where_there_can_be_no_wal_is_refused(
    opened: Open, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = sqlite3.connect

    class NoWal(sqlite3.Connection):
        def execute(self, sql: str, *args: object) -> sqlite3.Cursor:
            return super().execute(sql.replace("=wal", "=delete"), *args)  # type: ignore[arg-type]

    monkeypatch.setattr(sqlite3, "connect", lambda *a, **o: connect(*a, factory=NoWal, **o))

    with pytest.raises(StorageError, match=r"'delete'.*local disk, not on a network"):
        opened()


def test_another_program_that_writes_is_said(
    opened: Open, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("partitioned_buffer.storage.sqlite.file.PATIENCE", 0.01)
    journal = opened()
    append(journal, "abc")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("begin immediate")

    with pytest.raises(StorageBusy, match="another program writes to it"):
        append(journal, "d")
    assert held(journal) == "abc", "reading waits for nobody"
    journal.settle(0, 1)
    other.execute("rollback")
    other.close()
    assert append(journal, "d") == [3]
    assert held(journal) == "bcd"


def test_a_closed_one_refuses_everything(journal: Journal) -> None:
    append(journal, "abc")
    journal.close()

    for call in (
        lambda: append(journal, "d"),
        lambda: journal.read(0, 0, 1),
        lambda: journal.settle(0, 1),
        journal.reclaim,
        lambda: journal.replace(0, []),
        lambda: journal.bury(0, b"", 1, "", 1),
        lambda: journal.relayout(1, lambda _data, _places, _partitions: {}),
    ):
        with pytest.raises(StorageError, match="it is closed"):
            call()


def test_numbers_of_partitions_have_bounds(opened: Open) -> None:
    for partitions in (0, 1 << 14):
        with pytest.raises(ValueError, match="expected 1 to"):
            opened(partitions=partitions)


@pytest.mark.parametrize("kind", [StorageError, StorageBusy, StorageRefused, StorageFull])
def test_errors_can_be_pickled(kind: type[StorageError]) -> None:
    error = kind("in words")
    if isinstance(error, StorageBusy):
        error.pid = 7
    again = pickle.loads(pickle.dumps(error))

    assert (type(again), again.args, vars(again)) == (kind, error.args, vars(error))


def test_a_program_that_ends_without_a_close_loses_nothing(opened: Open, path: Path) -> None:
    done = program('journal = opened(Path(sys.argv[1])); append(journal, "abc")', path)

    assert (done.stderr, done.returncode) == ("", 0)
    assert held(opened()) == "abc"
