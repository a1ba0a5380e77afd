"""Slots: the newest whole one of this store counts."""

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from journals import append, crashed, held, reclaim_all

from partitioned_buffer.abc import Cursor
from partitioned_buffer.errors import StorageError, StorageFull
from partitioned_buffer.storage.sqlite import Journal, slots
from partitioned_buffer.storage.sqlite.slots import SIZE, Slots

STORE = bytes(range(16))


@pytest.fixture(params=["mapped", "written"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How slots get into the file."""
    if request.param == "written":
        monkeypatch.setattr(slots, "mapped", lambda *_: None)
    return str(request.param)


def made(path: Path, *, store: bytes = STORE, layout: int = 0, partitions: int = 2) -> Slots:
    return Slots(str(path), store, layout, partitions, {})


@pytest.fixture
def ack(path: Path) -> Path:
    return path.with_name("events.db-ack")


def test_the_newest_counts(path: Path) -> None:
    written = made(path)
    for cursor in range(1, 6):
        written.settle(1, cursor * 10, (3, cursor * 10 - 1), cursor)
        assert made(path).now == [
            Cursor(),
            Cursor(cursor, cursor * 10, (3, cursor * 10 - 1), cursor),
        ]
    written.close()


def test_a_slot_that_is_torn_at_any_byte_leaves_the_one_before(path: Path, ack: Path) -> None:
    written = made(path)
    written.settle(0, 5, (), 1)
    before = ack.read_bytes()
    written.settle(0, 70_000, (69_000, 69_999), 2)
    after = ack.read_bytes()
    written.settle(0, 70_001, (), 3)
    last = ack.read_bytes()

    for old, new, older, newer in (
        (before, after, Cursor(1, 5, (), 1), Cursor(2, 70_000, (69_000, 69_999), 2)),
        (after, last, Cursor(2, 70_000, (69_000, 69_999), 2), Cursor(3, 70_001, (), 3)),
    ):
        for place in range(2 * SIZE + 1):
            torn = new[:place] + old[place:]
            ack.write_bytes(torn)
            assert made(path).now[0] == (newer if torn == new else older), place
    written.close()


def test_a_flipped_bit_anywhere_leaves_the_one_before(path: Path, ack: Path) -> None:
    written = made(path)
    written.settle(0, 5, (), 1)
    written.settle(0, 9, (7,), 2)
    whole = ack.read_bytes()
    newest = 0  # the second of a partition goes to its first place
    assert whole[newest : newest + SIZE].strip(b"\0")

    for place in range(newest, newest + SIZE):
        for bit in range(8):
            flipped = bytearray(whole)
            flipped[place] ^= 1 << bit
            ack.write_bytes(flipped)
            assert made(path).now[0] == Cursor(1, 5, (), 1)
    written.close()


@pytest.mark.parametrize("foreign", [{"store": STORE[::-1]}, {"layout": 2}])
def test_slots_of_another_store_or_layout_are_not_there(
    foreign: dict[str, bytes | int], path: Path
) -> None:
    other = made(path, **foreign)  # type: ignore[arg-type]
    other.settle(0, 5, (), 1)
    ours = made(path)

    assert ours.now == [Cursor(), Cursor()]
    ours.settle(0, 1, (), 0)
    assert made(path).now[0] == Cursor(1, 1)


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 5000, b"text " * 2000])
def test_any_other_file_under_that_name_is_written_over(
    content: bytes, path: Path, ack: Path
) -> None:
    ack.write_bytes(content)
    written = made(path)
    written.settle(1, 4, (2,), 0)

    assert made(path).now == [Cursor(), Cursor(1, 4, (2,))]
    assert ack.stat().st_size >= 4096


def test_the_file_never_grows_while_it_is_used(path: Path, ack: Path) -> None:
    written = made(path, partitions=100)
    size = ack.stat().st_size
    for partition in range(100):
        written.settle(partition, 1, (), 0)
        written.settle(partition, 2, (), 0)

    assert ack.stat().st_size == size
    assert made(path, partitions=100).now == [Cursor(2, 2)] * 100


def test_one_that_cannot_be_written_settles_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "mapped", lambda *_: None)
    written = made(path)
    written.settle(0, 1, (), 0)

    def fail(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(slots, "_write_at", fail)
        with pytest.raises(StorageFull):
            written.settle(0, 2, (), 0)
    assert written.now[0] == Cursor(1, 1)
    written.settle(0, 2, (), 0)
    assert written.now[0] == Cursor(2, 2)


@pytest.mark.parametrize("kept", [(), (0,), tuple(range(20))])
@pytest.mark.parametrize("end", ["closed", "refused"])
def test_nothing_is_settled_after_the_end(
    end: str, kept: tuple[int, ...], path: Path, ack: Path
) -> None:
    written = made(path)
    written.settle(0, 1, (), 0)
    before = ack.read_bytes()
    if end == "closed":
        written.close()
    else:
        written.refuse("it is the parent's")

    with pytest.raises(StorageError, match=r"events\.db: it is (closed|the parent's)"):
        written.settle(0, 400, kept, 0)
    assert ack.read_bytes() == before
    assert (written.now[0], written.overdue()) == (Cursor(1, 1), {})


def test_more_than_fit_are_told_as_many_in_hand(path: Path) -> None:
    written = made(path)
    written.settle(0, 1, (), 1 << 40)

    assert made(path).now[0] == Cursor(1, 1, (), (1 << 32) - 1)


def test_slots_that_are_gone_repeat_what_was_not_reclaimed(
    opened: Callable[..., Journal], path: Path, tmp_path: Path
) -> None:
    journal = opened()
    append(journal, "ab", "cd", "ef")
    journal.settle(0, 3)
    reclaim_all(journal)
    journal.settle(0, 5)
    copy = crashed(path, tmp_path / "copy")
    copy.with_name("events.db-ack").unlink()
    again = opened(copy)

    assert held(again) == "def"
    assert append(again, "g") == [6]


def test_slots_ahead_of_the_database_give_no_position_twice(
    opened: Callable[..., Journal], path: Path, tmp_path: Path
) -> None:
    """As after a power failure with `fsync="os"`: the last commits are gone."""
    journal = opened()
    append(journal, "ab")
    copy = crashed(path, tmp_path / "copy")
    append(journal, "cd")
    journal.settle(0, 4, hand=2)
    later = crashed(path, tmp_path / "later")
    later.with_name("events.db-ack").replace(copy.with_name("events.db-ack"))
    again = opened(copy)

    assert held(again) == ""
    assert append(again, "e") == [4]
    assert held(again) == "e"


@pytest.mark.parametrize(
    ("kept", "fits"),
    [
        (range(14), True),
        (range(1, 200, 2), True),
        (range(208), True),
        ((0, *range(196, 208)), True),
        ((-1, *range(196, 207)), True),  # few, so it does not matter how far
        ((-1, *range(195, 208)), False),
    ],
)
def test_many_are_kept_in_a_slot_if_they_are_near(
    kept: Iterable[int], fits: bool, path: Path
) -> None:
    written, kept = made(path), tuple(1000 + each for each in kept)
    written.settle(0, 1208, kept, 3)

    assert made(path).now[0] == (Cursor(1, 1208, kept, 3) if fits else Cursor())
    assert bool(written.overdue()) is not fits


def test_what_fits_no_slot_waits_until_it_is_in_a_row_or_settled(path: Path) -> None:
    written, kept = made(path), tuple(range(20))
    written.settle(0, 300, kept, 0)
    before = written.overdue()
    written.settle(0, 301, kept, 0)
    written.are_in_rows(before)
    assert written.overdue() == {0: Cursor(2, 301, kept)}
    written.settle(0, 302, (), 0)
    assert written.overdue() == {}
