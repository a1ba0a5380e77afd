"""Another number of partitions: what is held is routed anew, whoever is killed in between."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from journals import append, by_key, by_record, crashed, held, look_in, program, reclaim_all

from partitioned_buffer.errors import StorageError
from partitioned_buffer.storage.sqlite import Journal
from partitioned_buffer.storage.sqlite.file import File

Open = Callable[..., Journal]

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def route_texts(journal: Journal, texts: Sequence[str]) -> None:
    """Accept each record where it belongs, each text in one commit."""
    for text in texts:
        pieces = by_record(text.encode(), range(len(text)), journal.partitions)
        journal.append([(partition, *piece) for partition, piece in pieces.items()])


def all_held(journal: Journal) -> list[str]:
    return [held(journal, partition) for partition in range(journal.partitions)]


def expected(text: str, partitions: int) -> list[str]:
    pieces = by_record(text.encode(), range(len(text)), partitions)
    return [pieces[each][1].decode() if each in pieces else "" for each in range(partitions)]


@pytest.mark.parametrize("before", [1, 2, 5])
@pytest.mark.parametrize("after", [1, 3, 4, 100])
def test_records_are_where_they_belong_in_their_order(
    before: int, after: int, opened: Open
) -> None:
    journal = opened(partitions=before)
    texts = [LETTERS, LETTERS[::-1], LETTERS.upper(), "aaa", LETTERS]
    route_texts(journal, texts)
    journal.close()
    again = opened(partitions=after)
    moved = again.relayout(after, by_record)

    # Of one byte all are alike, so the order is compared by where bytes came in each text.
    assert moved == (sum(map(len, texts)), 0) if before != after else (0, 0)
    by_key = [
        [[each for each in said if each == key] for key in LETTERS] for said in all_held(again)
    ]
    whole = expected("".join(texts), after)
    assert by_key == [[[e for e in said if e == key] for key in LETTERS] for said in whole]
    again.close()
    assert not opened(partitions=after).needs_relayout


def numbered(journal: Journal, count: int) -> None:
    """Accept records of two bytes: a key, and its number, in chunks of seven."""
    numbers = dict.fromkeys(range(10), 0)
    chunk: dict[int, bytes] = {}
    for each in range(count):
        key = each * 7 % 10
        record = bytes([key, numbers[key]])
        numbers[key] += 1
        partition = key % journal.partitions
        chunk[partition] = chunk.get(partition, b"") + record
        if each % 7 == 6:
            journal.append([(p, len(data) // 2, data) for p, data in chunk.items()])
            chunk = {}
    journal.append([(p, len(data) // 2, data) for p, data in chunk.items()])


def numbers_of(journal: Journal) -> dict[int, list[int]]:
    """Return the numbers that are held, by key, in their order."""
    found: dict[int, list[int]] = {}
    for partition in range(journal.partitions):
        now = journal.cursor(partition)
        for chunk in journal.records(partition):
            assert chunk.data is not None
            for place in range(chunk.count):
                if chunk.start + place >= now.cursor or chunk.start + place in now.kept:
                    key, number = chunk.data[2 * place : 2 * place + 2]
                    found.setdefault(key, []).append(number)
    return found


@pytest.mark.parametrize("after", [1, 2, 4, 7])
def test_the_order_of_a_key_is_kept_and_what_is_settled_is_left_out(
    after: int, opened: Open
) -> None:
    journal = opened(partitions=3)
    numbered(journal, 300)
    for partition in range(3):
        journal.settle(partition, 40, (3, 4, 20), hand=5)
    before = numbers_of(journal)
    assert sum(map(len, before.values())) == 300 - 3 * 37
    moved = journal.relayout(after, by_key)

    assert moved == (300 - 3 * 37, 0)
    assert numbers_of(journal) == before
    assert all(each == sorted(each) for each in before.values())
    assert journal.cursor(0).cursor == 0


def test_there_and_back_and_on(opened: Open, path: Path) -> None:
    journal = opened(partitions=2)
    numbered(journal, 100)
    journal.settle(0, 11, (3,), hand=1)
    before = numbers_of(journal)
    for partitions in (3, 2, 5, 1, 4):
        journal.relayout(partitions, by_key)
        assert numbers_of(journal) == before
        journal.close()
        journal = opened(partitions=partitions)
        assert numbers_of(journal) == before
        for partition in range(partitions):  # slots of a layout that comes back two later
            journal.settle(partition, journal.cursor(partition).cursor, hand=1)
    journal.settle(0, journal.end(0))
    reclaim_all(journal)
    assert look_in(path, "select count(*) from part where p >= 5 and p < 16384") == "[[0]]"
    numbered(journal, 10)


def test_until_it_is_done_all_else_is_refused(opened: Open) -> None:
    journal = opened(partitions=2)
    append(journal, "abc")
    journal.close()
    again = opened(partitions=3)

    assert again.needs_relayout
    assert again.partitions == 2
    for call in (lambda: append(again, "d"), lambda: again.read(0, 0, 1), again.reclaim):
        with pytest.raises(StorageError, match=r"has 2 partitions.*opened for 3: relayout\(\)"):
            call()
    again.relayout(3, by_record)
    assert sorted("".join(all_held(again))) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("route", "words"),
    [
        (lambda _data, _places, _partitions: {}, "other than the 3 records"),
        (lambda _data, _places, _partitions: {7: (3, b"abc")}, "named partition 7"),
    ],
)
def test_a_route_that_forgets_or_errs_loses_nothing(
    route: Any, words: str, journal: Journal, opened: Open
) -> None:
    append(journal, "abc")
    with pytest.raises(StorageError, match=words):
        journal.relayout(3, route)
    journal.close()
    again = opened(partitions=3)
    again.relayout(3, by_record)

    assert sorted("".join(all_held(again))) == ["a", "b", "c"]


def test_a_route_that_raises_is_its_callers(journal: Journal) -> None:
    append(journal, "abc")

    with pytest.raises(ZeroDivisionError):
        journal.relayout(3, lambda _data, _places, _partitions: 1 // 0)  # type: ignore[arg-type, return-value]
    assert journal.relayout(3, by_record) == (3, 0)


KILLED = """
from partitioned_buffer.storage.sqlite.file import File
real, left = File.transaction, int(sys.argv[2])
before = sys.argv[3] == "before"
from contextlib import contextmanager
@contextmanager
def transaction(self, **options):
    global left
    left -= 1
    with real(self, **options) as db:
        yield db
        if before and not left:
            os._exit(9)
    if not left:
        os._exit(9)
journal = opened(Path(sys.argv[1]), partitions=5)
File.transaction = transaction
journal.relayout(5, by_key)
journal.close()
"""


def test_killed_it_goes_on_where_it_was(opened: Open, path: Path, tmp_path: Path) -> None:
    journal = opened(partitions=2)
    numbered(journal, 40)
    before = numbers_of(journal)
    start = crashed(path, tmp_path / "start")
    for number, when in ((1, "before"), (1, "after"), (7, "before")):
        copy = crashed(start, tmp_path / f"{when}-{number}")
        done = program(KILLED, copy, number, when)
        assert done.returncode == 9, done.stderr
        again = opened(copy, partitions=5)
        again.relayout(5, by_key)
        assert numbers_of(again) == before


@pytest.mark.parametrize("after", [5, 3, 2])
def test_killed_at_any_transaction_it_goes_on_where_it_was(
    after: int, opened: Open, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next open may even want another number of partitions, or the one from before."""
    journal = opened(partitions=2)
    numbered(journal, 40)
    journal.settle(0, 9, (2, 3), hand=1)
    before = numbers_of(journal)
    copies: list[Path] = []
    transaction = File.transaction

    def copy() -> None:
        copies.append(crashed(path, tmp_path / f"copy-{len(copies)}"))

    @contextmanager
    def copying(self: File, *, durable: bool = True) -> Iterator[Any]:
        with transaction(self, durable=durable) as db:
            yield db
            copy()
        copy()

    with monkeypatch.context() as patch:
        patch.setattr(File, "transaction", copying)
        journal.relayout(5, by_key)
    assert len(copies) > 20

    for each in copies:
        again = opened(each, partitions=after)
        if again.needs_relayout:
            assert again.relayout(after, by_key).lost == 0
        assert numbers_of(again) == before, each
        again.close()
