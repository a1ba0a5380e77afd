"""A commit of one row in one step: once, whoever makes it, and with nothing locked afterwards."""

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import in_thread
from journals import append, held

from partitioned_buffer import StorageError
from partitioned_buffer.storage.sqlite import Journal
from partitioned_buffer.storage.sqlite.accepting import Single

Open = Callable[..., Journal]


def prepared(journal: Journal, text: str) -> Single:
    single = journal.single(0, len(text), text.encode())
    assert single is not None
    return single


def is_unlocked(journal: Journal) -> bool:
    lock = journal._file.writing

    def take() -> bool:
        taken = lock.acquire(timeout=5)
        if taken:
            lock.release()
        return taken

    thread, outcome = in_thread(take)
    thread.join(20)
    return outcome == [True]


def test_it_is_made_once_and_gives_positions_as_any(journal: Journal) -> None:
    append(journal, "ab")
    single = prepared(journal, "cd")
    assert [single.make(), single.make()] == [True, True]
    single.confirm()

    assert single.start == 2
    assert append(journal, "ef") == [4]
    assert held(journal) == "abcdef"
    assert is_unlocked(journal)


def test_a_late_word_of_it_takes_no_position_back(journal: Journal) -> None:
    single = prepared(journal, "ab")
    single.make()
    prepared(journal, "cd").make()
    single.make()
    assert journal.end(0) == 4


def test_what_cannot_be_written_is_not_and_nothing_is_locked(journal: Journal) -> None:
    single, other = prepared(journal, "ab"), prepared(journal, "cd")  # for the same position
    assert other.make()
    assert [single.make(), single.make()] == [False, False]
    assert held(journal) == "cd"
    assert is_unlocked(journal)


def test_nothing_is_written_once_the_journal_is_closed(opened: Open) -> None:
    journal = opened()
    single = prepared(journal, "ab")
    journal.close()
    assert not single.make()
    assert held(opened()) == ""


def test_what_is_in_the_database_of_a_journal_closed_since_is_not_lost(opened: Open) -> None:
    journal = opened()
    single = prepared(journal, "ab")
    single.make()
    journal.close()
    single.confirm()
    assert held(opened()) == "ab"


def test_nothing_is_written_by_the_child_of_a_fork(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    single = prepared(journal, "ab")
    with monkeypatch.context() as patch:
        patch.setattr(journal._file, "why_not", "it is the parent's")
        assert not single.make()
    assert held(journal) == ""


def test_a_wal_that_is_another_afterwards_is_said(journal: Journal, path: Path) -> None:
    single = prepared(journal, "ab")
    wal = path.with_name(f"{path.name}-wal")
    wal.rename(wal.with_name("elsewhere"))
    wal.write_bytes(b"somebody else's")
    assert single.make()
    with pytest.raises(StorageError, match="This write may have been made, or not"):
        single.confirm()


def test_a_wal_that_is_gone_afterwards_is_said(journal: Journal, path: Path) -> None:
    append(journal, "ab")
    single = prepared(journal, "cd")
    path.with_name(f"{path.name}-wal").unlink()
    assert single.make()
    with pytest.raises(StorageError, match="This write may have been made, or not"):
        single.confirm()
    append(journal, "ef")
    assert held(journal) == "abcdef"


def test_a_file_that_is_not_as_it_was_left_is_for_append_to_look_at(
    journal: Journal, path: Path
) -> None:
    append(journal, "ab")
    path.with_name(f"{path.name}-wal").unlink()
    assert journal.single(0, 1, b"c") is None


def test_a_look_before_a_commit_holds_for_the_next_ones_for_a_moment(
    journal: Journal, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("partitioned_buffer.storage.sqlite.watch.monotonic", lambda: now)
    single = prepared(journal, "ab")
    single.make()
    single.confirm()
    path.rename(path.with_name("elsewhere"))
    assert journal.single(0, 1, b"c") is not None
    now += 1
    assert journal.single(0, 1, b"c") is None


def test_what_takes_more_than_a_row_is_left_to_append(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_left() -> bool:
        return journal.single(0, 1, b"a") is None

    assert not is_left()
    file = journal._file
    with file.transaction():
        assert is_left(), "it would be part of that one"
    journal.append([(0, 1, b"a")], durable=False)
    assert is_left(), "the next one has to be durable"
    append(journal, "b")
    with monkeypatch.context() as patch:
        patch.setattr(file._ballast, "is_there", False)
        assert is_left(), "the disk is full"
    append(journal, "c" * 400)
    journal.settle(0, 400, range(0, 390, 9))
    assert journal.slots.overdue()
    assert is_left(), "a cursor is to be written"
