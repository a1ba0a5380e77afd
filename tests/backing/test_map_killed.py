"""A stored Map under `kill -9`: each key's newest version arrives, and none goes backwards."""

import random
import signal
from collections import defaultdict
from pathlib import Path

import map_victims
import pytest
from helpers import rounds
from map_victims import ACKNOWLEDGED, DELIVERED, RECORD, Log, options, processor, said_in
from programs import kill_when

from partitioned_buffer import Map
from partitioned_buffer.testing import assert_balanced

pytest.importorskip("msgspec")
pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="nobody is killed here")

PLENTY = 10**6
"""More than a writer counts in a round."""


@pytest.mark.parametrize("fsync", ["os", "commit"])
@pytest.mark.both_faces
def test_the_newest_arrives_and_none_goes_back(face: str, fsync: str, tmp_path: Path) -> None:
    path, said = tmp_path / "seen.db", tmp_path / "said"
    log, lives = Log(said), rounds(25, least=3)
    for number in range(lives):
        kill_one(path, said, fsync, face, str(number * PLENTY))
    drain(path, log)

    newest, delivered = defaultdict[int, int](int), defaultdict[int, int](int)
    for kind, key, version in said_in(said):
        if kind == ACKNOWLEDGED:
            newest[key] = max(newest[key], version)
        if kind == DELIVERED:
            assert version >= delivered[key], "an older version after a newer one"
            delivered[key] = version
    assert len(newest) == map_victims.KEYS
    for key, version in newest.items():
        assert delivered[key] >= version, f"key {key}: the newest is missing"


def kill_one(path: Path, said: Path, *more: str) -> None:
    """Let a program go on until it has said enough, and kill it."""
    enough = said.stat().st_size + RECORD.size * random.randrange(200, 3000)
    kill_when(
        lambda: said.stat().st_size >= enough,
        map_victims.__file__,
        *(str(path), str(said), *more),
        complaint=path.with_name("complaint"),
    )


def drain(path: Path, log: Log) -> None:
    with Map[int, int]("killed", processor(log, fails=False), **options(str(path), "os")) as table:
        table.flush()
        stats = table.stats()
        assert stats.accepted == stats.recovered == stats.delivered
    assert_balanced(table.stats())
