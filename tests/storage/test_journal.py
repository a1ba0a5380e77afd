"""What is accepted is read back, in order, until it is settled."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from journals import append, crashed, held, look_in, reclaim_all

from partitioned_buffer.abc import Chunk, Cursor
from partitioned_buffer.errors import StorageError
from partitioned_buffer.storage.sqlite import Journal
from partitioned_buffer.storage.sqlite.parts import Depth

Open = Callable[..., Journal]


def test_positions_run_on_by_partition(journal: Journal) -> None:
    pieces = [(0, 2, b"ab"), (1, 1, b"x"), (0, 3, b"cde")]

    assert journal.append(pieces) == [0, 0, 2]
    assert append(journal, "f") == [5]
    assert (journal.end(0), journal.end(1)) == (6, 1)
    assert journal.append([]) == []
    with pytest.raises(ValueError, match="expected one at least"):
        append(journal, "")


def test_chunks_are_read_from_the_one_that_holds_a_position(journal: Journal) -> None:
    append(journal, "ab", "cde", "f")
    append(journal, "xy", partition=1)
    first, second, third = Chunk(0, 2, b"ab"), Chunk(2, 3, b"cde"), Chunk(5, 1, b"f")

    assert journal.read(0, 0, 100) == [first, second, third]
    assert journal.read(0, 1, 1) == [first]
    assert journal.read(0, 1, 3) == [first, second]
    assert journal.read(0, 4, 0) == [second]
    assert journal.read(0, 5, 100) == [third]
    assert journal.read(0, 6, 100) == []
    assert journal.read(1, 0, 100) == [Chunk(0, 2, b"xy")]


def test_what_is_settled_is_not_held(journal: Journal) -> None:
    append(journal, "abc", "def")
    journal.settle(0, 4, (1, 2), hand=2)

    assert journal.cursor(0) == Cursor(1, 4, (1, 2), 2)
    assert journal.depth(0) == Depth(6, 4, 4)
    assert held(journal) == "bcef"


def test_what_is_not_settled_weighs_as_many_bytes_as_its_chunks(journal: Journal) -> None:
    append(journal, "abc", "de")
    found: list[int] = []
    for cursor in (0, 1, 3, 5):
        journal.settle(0, cursor)
        found.append(journal.weight(0))

    assert found == [5, 5, 2, 0]


@pytest.mark.parametrize("kept", [(), (1, 5), tuple(range(40)), (0, 69_999)])
def test_cursors_are_there_after_a_close(
    kept: tuple[int, ...], journal: Journal, opened: Open
) -> None:
    append(journal, "x" * 70_001)
    journal.settle(0, 70_000, kept, hand=1)
    journal.close()

    assert opened().cursor(0) == Cursor(1, 70_000, kept, 1)


@pytest.mark.parametrize("commit", [True, False])
def test_kept_that_fit_no_slot_are_there_after_the_next_commit(
    commit: bool, journal: Journal, opened: Open, path: Path, tmp_path: Path
) -> None:
    append(journal, "x" * 300)
    journal.settle(0, 10)
    journal.settle(0, 290, range(10, 50))
    if commit:
        append(journal, "y", partition=1)

    again = opened(crashed(path, tmp_path / "copy"))

    assert again.cursor(0) == (Cursor(2, 290, tuple(range(10, 50))) if commit else Cursor(1, 10))


def test_a_cursor_that_fits_again_is_not_overtaken_by_the_one_before(
    journal: Journal, opened: Open, path: Path, tmp_path: Path
) -> None:
    append(journal, "x" * 300)
    journal.settle(0, 290, range(50))
    journal.settle(0, 291)
    append(journal, "y")

    assert opened(crashed(path, tmp_path / "copy")).cursor(0) == Cursor(2, 291)


def test_cursors_go_one_way(journal: Journal) -> None:
    append(journal, "abc")
    journal.settle(0, 2)

    with pytest.raises(ValueError, match="it was 2 before"):
        journal.settle(0, 1)
    with pytest.raises(ValueError, match="before the cursor 3"):
        journal.settle(0, 3, (3,))
    assert journal.cursor(0) == Cursor(1, 2)


def test_what_is_settled_is_deleted_but_for_what_is_kept(journal: Journal, path: Path) -> None:
    append(journal, "abc", "def", "ghi", "jkl")
    journal.settle(0, 8, (4,))
    reclaim_all(journal)

    assert look_in(path, "select n, id from chunk") == "[[3, 3], [3, 6], [3, 9]]"
    assert held(journal) == "eijkl"

    journal.settle(0, 12)
    reclaim_all(journal)
    assert look_in(path, "select count(*) from chunk") == "[[0]]"


def test_positions_are_not_given_again_when_all_is_deleted(journal: Journal, opened: Open) -> None:
    append(journal, "abc")
    journal.settle(0, 3)
    reclaim_all(journal)
    journal.close()
    again = opened()

    assert again.depth(0) == Depth(3, 3, 0)
    assert append(again, "d") == [3]


def test_a_step_of_reclaiming_is_bounded_and_serves_every_partition(
    journal: Journal, path: Path
) -> None:
    for partition in (0, 1):
        append(journal, *("x" for _ in range(300)), partition=partition)
        journal.settle(partition, 300)
    left = []
    while more := journal.reclaim():
        left.append(int(look_in(path, "select count(*) from chunk").strip("[]")))

    assert left[:3] == [400, 200, 0]
    assert not more


def test_no_partition_has_all_the_turns(journal: Journal, path: Path) -> None:
    append(journal, "last", partition=1)
    journal.settle(1, 4)
    for step in range(1, 4):
        append(journal, *("x" for _ in range(200)))
        journal.settle(0, 200 * step)
        journal.reclaim()

    assert look_in(path, f"select count(*) from chunk where id >= {1 << 48}") == "[[0]]"


def test_room_is_given_back_in_small_steps(journal: Journal, path: Path) -> None:
    for _ in range(40):
        append(journal, "x" * 200_000)
    size = path.stat().st_size
    journal.settle(0, journal.end(0))
    steps = 0
    while journal.reclaim():
        steps += 1
    journal.close()

    assert size > 4_000_000
    assert path.stat().st_size < 100_000
    assert steps > 8


def test_reading_goes_on_while_it_is_written_and_deleted(journal: Journal) -> None:
    append(journal, *("abc" for _ in range(10)))
    chunks = journal.records(0)
    first = next(chunks)
    append(journal, "late")

    assert first == Chunk(0, 3, b"abc")
    assert sum(chunk.count for chunk in chunks) == 27, "what was there when it began"


def test_records_are_streamed(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("partitioned_buffer.storage.sqlite.chunks.STREAMED", 5)
    append(journal, "abc", "def", "ghi", "jkl", "m")
    journal.settle(0, 7, (0, 1, 4))

    assert [chunk.start for chunk in journal.records(0)] == [0, 3, 6, 9, 12]
    assert held(journal) == "abehijklm"


def test_what_replaces_a_partition_is_all_that_is_in_it(
    journal: Journal, opened: Open, path: Path, tmp_path: Path
) -> None:
    append(journal, "abc", "def")
    append(journal, "other", partition=1)
    journal.settle(0, 2)

    assert journal.replace(0, [(2, b"XY"), (1, b"Z")]) == [6, 8]
    assert look_in(path, "select n from chunk order by id") == "[[2], [1], [5]]"
    assert held(journal) == "XYZ"
    assert append(journal, "!") == [9]

    again = opened(crashed(path, tmp_path / "copy"))
    assert (held(again), held(again, 1)) == ("XYZ!", "other")
    assert again.cursor(0).cursor == 6
    assert again.replace(0, []) == []
    assert held(again) == ""


@pytest.mark.parametrize("lost", ["-ack", None])
def test_who_is_killed_while_it_is_replaced_has_the_one_or_the_other(
    lost: str | None,
    journal: Journal,
    opened: Open,
    path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    append(journal, "abc")
    journal.settle(0, 1)
    copies: list[Path] = []
    monkeypatch.setattr(
        journal.slots, "settle", lambda *_args: copies.append(crashed(path, tmp_path / "copy"))
    )
    journal.replace(0, [(2, b"XY")])
    (copy,) = copies
    if lost == "-ack":
        copy.with_name("events.db-ack").unlink()
    again = opened(copy)

    assert held(again) == "XY", "and nothing is called lost"
    assert append(again, "Z") == [5]


def test_an_interrupt_in_the_middle_gives_no_position_twice(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(journal, "abc")

    def interrupt() -> None:
        raise KeyboardInterrupt

    for name in ("_look", "look_again"):  # before a commit, and after it
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(journal._file, name, interrupt)
            append(journal, name)

    assert append(journal, "def") == [3 + len("look_again")]
    assert held(journal) == "abclook_againdef"


@pytest.mark.parametrize("error", [KeyError, sqlite3.OperationalError])
def test_a_transaction_that_fails_has_done_nothing(
    error: type[Exception], journal: Journal
) -> None:
    append(journal, "abc")
    with pytest.raises((KeyError, StorageError)), journal._file.transaction() as db:
        db.execute("delete from chunk")
        raise error

    append(journal, "def")
    assert held(journal) == "abcdef"


def test_what_is_given_up_is_kept_until_it_is_forgotten(journal: Journal, opened: Open) -> None:
    first = journal.bury(1, b"ab", 2, "ValueError: b\u00e4d", 8)
    second = journal.bury(0, b"c", 1, "OSError", 1)
    journal.close()
    again = opened()
    letters = list(again.buried())

    assert [each.id for each in letters] == [first, second]
    assert letters[0][1:7] == (1, 2, b"ab", "ValueError: b\u00e4d", 8, letters[0].time)
    assert again.forget_buried(first)
    assert not again.forget_buried(first)
    assert [each.data for each in again.buried()] == [b"c"]


def test_a_close_leaves_the_database_and_what_goes_with_it(journal: Journal, path: Path) -> None:
    append(journal, "abc")
    journal.close()
    journal.close()

    names = {each.name for each in path.parent.iterdir()}
    assert names == {"events.db", "events.db-ack", "events.db-ballast"}
    assert {each.stat().st_mode & 0o777 for each in path.parent.iterdir()} == {0o600}
