"""What `append()` returned for is there after `kill -9`, in order, until it is settled."""

import random
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from helpers import rounds
from programs import kill_when

from partitioned_buffer.abc import Chunk
from partitioned_buffer.storage.sqlite import Journal

Open = Callable[..., Journal]

VICTIM = """
import sys; sys.path.insert(0, sys.argv[3])
import os, threading
from journals import *
journal = opened(Path(sys.argv[1]), fsync=sys.argv[4])
said = os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND)
def write(kind, partition, position):
    os.write(said, kind + partition.to_bytes(1, "big") + position.to_bytes(6, "big"))
def deliver(partition):
    at = journal.cursor(partition).cursor
    while True:
        for chunk in journal.read(partition, at, 1000):
            for place in range(max(at, chunk.start), chunk.start + chunk.count):
                assert chunk.data[4 * (place - chunk.start):][:4] == place.to_bytes(4, "big")
                write(b"d", partition, place)
                at = place + 1
                if place % 3 == 0:
                    journal.settle(partition, at)
for partition in (0, 1):
    threading.Thread(target=deliver, args=[partition], daemon=True).start()
number = 0
while True:
    pieces = []
    for partition in (0, 1):
        start, count = journal.end(partition), 1 + number % 5
        data = b"".join(each.to_bytes(4, "big") for each in range(start, start + count))
        pieces.append((partition, count, data))
    for partition, start in enumerate(journal.append(pieces)):
        write(b"a", partition, start + pieces[partition][1] - 1)
    number += 1
    if number % 3 == 0:
        journal.reclaim()
"""


def said_in(file: Path) -> list[tuple[str, int, int]]:
    data = file.read_bytes()  # records of one length: a kill may cut the last
    return [
        (chr(data[at]), data[at + 1], int.from_bytes(data[at + 2 : at + 8], "big"))
        for at in range(0, len(data) - len(data) % 8, 8)
    ]


@pytest.mark.parametrize("fsync", ["os", "commit"])
def test_nothing_that_was_accepted_is_lost(
    fsync: str, opened: Open, path: Path, tmp_path: Path
) -> None:
    log = tmp_path / "said"
    log.touch()
    support = Path(__file__).parents[1] / "support"
    size = 0
    for _ in range(rounds(20, least=3)):
        enough = size + random.randrange(8 * 50, 8 * 3000)
        complaint = kill_when(
            lambda enough=enough: log.stat().st_size >= enough,  # type: ignore[misc]
            *("-c", VICTIM, str(path), str(log), str(support), fsync),
            complaint=tmp_path / "complaint",
        )
        assert complaint == ""
        size = log.stat().st_size

    said = said_in(log)
    again = opened()
    for partition in (0, 1):
        accepted = max(place for kind, part, place in said if (kind, part) == ("a", partition))
        delivered = [place for kind, part, place in said if (kind, part) == ("d", partition)]
        cursor, end = again.cursor(partition).cursor, again.end(partition)
        assert end > accepted
        assert set(delivered) >= set(range(cursor)), "what is settled was delivered"
        chunks = list(again.records(partition))
        assert [each for chunk in chunks for each in places_of(chunk) if each >= cursor] == list(
            range(cursor, end)
        )
        again_from = [b for a, b in pairwise(delivered) if b != a + 1]
        assert len(again_from) < rounds(20, least=3), "only a kill has some delivered again"


def places_of(chunk: Chunk) -> list[int]:
    assert chunk.data is not None
    found = [int.from_bytes(chunk.data[at : at + 4], "big") for at in range(0, len(chunk.data), 4)]
    assert found == list(range(chunk.start, chunk.start + chunk.count))
    return found
