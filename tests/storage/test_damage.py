"""What is not as it was written is lost, and said to be; all else is read."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import rounds
from journals import append, by_record, held, look_in, reclaim_all

from partitioned_buffer.abc import Chunk
from partitioned_buffer.errors import StorageError
from partitioned_buffer.storage.sqlite import Journal, chunks
from partitioned_buffer.storage.sqlite.chunks import MASK, behind_damage

Open = Callable[..., Journal]


def change(path: Path, statement: str) -> None:
    db = sqlite3.connect(path)
    db.execute(statement)
    db.commit()
    db.close()


@pytest.mark.parametrize(
    "damage",
    [
        "data=x'616263'",
        "n=3",
        "n=0",
        "crc=crc+1",
        "data='text'",
        "n='much'",
        "n=1 << 40",
    ],
)
def test_a_damaged_chunk_is_lost_and_set_aside(damage: str, journal: Journal, path: Path) -> None:
    append(journal, "abc", "de", "fgh")
    change(path, f"update chunk set {damage} where id=3")
    lost = Chunk(3, 2, None)

    assert journal.read(0, 0, 100) == [Chunk(0, 3, b"abc"), lost, Chunk(5, 3, b"fgh")]
    assert journal.read(0, 4, 1) == [Chunk(4, 1, None), Chunk(5, 3, b"fgh")]
    reclaim_all(journal)
    assert look_in(path, "select chunk from damaged") == "[[3]]"
    assert journal.read(0, 3, 100) == [lost, Chunk(5, 3, b"fgh")], "it is said each time"
    assert held(journal) == "abc??fgh"


def test_the_last_one_is_lost_up_to_the_end(journal: Journal, opened: Open, path: Path) -> None:
    append(journal, "abc", "de")
    change(path, "update chunk set data=x'6465' || x'00' where id=3")

    assert journal.read(0, 0, 100)[1:] == [Chunk(3, 2, None)]
    reclaim_all(journal)
    journal.settle(0, 1)
    reclaim_all(journal)
    journal.close()
    again = opened()
    assert append(again, "f") == [5], "its positions are not given again"
    assert held(again) == "bc??f"


def test_the_last_one_has_a_number_that_cannot_be(
    journal: Journal, opened: Open, path: Path
) -> None:
    append(journal, "abc", "de")
    journal.close()
    change(path, f"update chunk set n={MASK} where id=3")

    assert append(opened(), "f") == [5]


def test_what_is_settled_is_not_called_lost(journal: Journal, path: Path) -> None:
    append(journal, "abc", "def", "ghi")
    change(path, "update chunk set crc=0 where id<6")
    journal.settle(0, 4, (1,))

    assert journal.read(0, 0, 100) == [Chunk(1, 1, None), Chunk(4, 2, None), Chunk(6, 3, b"ghi")]
    journal.settle(0, 6)
    assert journal.read(0, 0, 100) == [Chunk(6, 3, b"ghi")]


def test_a_damaged_dead_letter_says_so(journal: Journal, path: Path) -> None:
    journal.bury(0, b"ab", 2, "down", 3)
    journal.bury(0, b"c", 1, "down", 3)
    change(path, "update buried set data=x'00' where id=1")

    assert [each.data for each in journal.buried()] == [None, b"c"]


def test_a_relayout_says_what_is_lost(journal: Journal, opened: Open, path: Path) -> None:
    append(journal, "abc", "de", "fgh")
    journal.settle(0, 1)
    change(path, "update chunk set crc=0 where id=3")
    moved = journal.relayout(1, by_record)

    assert moved == (5, 2)
    assert held(journal) == "bcfgh"
    assert look_in(path, "select chunk, n from damaged") == "[[3, 2]]"


def test_flipped_bits_cost_what_they_hit(journal: Journal, opened: Open, path: Path) -> None:
    """Wherever it is: what is read is right or lost, the rest is delivered, and it goes on."""
    texts = [chr(97 + each % 26) * (each * 371 % 3000 + 1) for each in range(60)]
    append(journal, *texts)
    journal.close()
    whole, content = path.read_bytes(), "".join(texts)
    hits = refused = lost = 0
    places = rounds(120, least=30)
    for each in range(places):
        place = 8192 * 3 + each * (len(whole) - 8192 * 3) // places
        flipped = bytearray(whole)
        flipped[place] ^= 1 << each % 8
        path.write_bytes(flipped)
        path.with_name("events.db-ack").unlink(missing_ok=True)
        try:
            again = opened()
        except StorageError:
            refused += 1
            continue
        said = held(again)
        hits += "?" in said
        lost += said.count("?")
        assert len(said) == len(content), place
        assert all(a in (b, "?") for a, b in zip(said, content, strict=True)), place
        append(again, "end")
        again.settle(0, len(content))
        reclaim(again)
        assert held(again) == "end"
        again.close()
    assert hits > places * 0.5, "the rest is where nothing is"
    assert lost < hits * 3 * 8192, "what is behind a page that cannot be read is read"
    assert refused <= places * 0.05


def test_what_is_behind_a_page_that_cannot_be_read_is_read(
    journal: Journal, opened: Open, path: Path
) -> None:
    texts = [chr(65 + each) * 3000 for each in range(40)]
    append(journal, *texts)
    journal.close()
    content = bytearray(path.read_bytes())
    page = content.index(texts[20].encode()) // 8192 * 8192
    content[page] = 0xFF
    path.write_bytes(content)
    again = opened()
    lost = [chunk for chunk in again.read(0, 0, 1 << 20) if chunk.data is None]

    assert sum(chunk.count for chunk in lost) <= 3 * 3000
    assert held(again).replace("?", "") == "".join(
        text for each, text in enumerate(texts) if not lost[0].start <= each * 3000 < end_of(lost)
    )
    append(again, "end")
    again.settle(0, 120_000)
    reclaim_all(again)
    assert held(again) == "end"
    rows = look_in(path, "select count(*) from chunk where id >= 70000")
    assert int(rows.strip("[]")) < 5, "SQLite may not get at a neighbour of such a page"


@pytest.mark.parametrize("damaged", [(3, 33), (5, 38), (30, 36)], ids=str)
def test_what_is_behind_many_pages_that_cannot_be_read_is_read(
    journal: Journal, opened: Open, path: Path, damaged: tuple[int, int]
) -> None:
    texts = [chr(65 + each) * 3000 for each in range(40)]
    append(journal, *texts)
    journal.close()
    content = bytearray(path.read_bytes())
    for text in texts[slice(*damaged)]:
        content[content.index(text.encode()) // 8192 * 8192] = 0xFF
    path.write_bytes(content)

    read = held(opened())

    assert read.replace("?", "")[-3000:] == texts[-1]
    assert len(read.replace("?", "")) >= (40 - (damaged[1] - damaged[0]) - 4) * 3000


@pytest.mark.parametrize("last", range(20))
def test_what_is_behind_damage_is_found_wherever_it_ends(
    monkeypatch: pytest.MonkeyPatch, last: int
) -> None:
    db: Any = None  # is not asked
    for end in range(1, last + 2):

        def is_readable(_: object, first: int, __: int, end: int = end) -> bool:
            return first >= end

        monkeypatch.setattr(chunks, "_is_readable", is_readable)
        assert behind_damage(db, 0, last) == end


def end_of(chunks: list[Chunk]) -> int:
    return chunks[-1].start + chunks[-1].count


def reclaim(journal: Journal) -> None:
    """Give back what can be; a page that is known to be free, and is not, stays."""
    for _ in range(30):
        try:
            if not journal.reclaim():
                return
        except StorageError:
            return
