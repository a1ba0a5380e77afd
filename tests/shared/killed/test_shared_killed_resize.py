"""Other numbers of partitions, while there is a load."""

import time
from pathlib import Path
from typing import Any

import histories
import pytest
from helpers import rounds
from scenes import Scene

from partitioned_buffer.abc.sharing import SharedTerms
from partitioned_buffer.storage import Redis
from partitioned_buffer.storage.redis.store import RedisStore


def opened(url: str, name: str, partitions: int | None) -> RedisStore:
    storage = Redis(url, lease=1.0)
    store = storage.share(SharedTerms(name, "Queue", partitions, "test:1"))
    assert isinstance(store, RedisStore)
    return store


@pytest.mark.parametrize("ack", ["local", "server"])
def test_partitions_are_dealt_anew(
    started: Any, tmp_path: Path, ack: str, record_property: Any
) -> None:
    """From 4 to 7 to 3: nothing is lost, nothing comes twice, keys keep their order."""
    for number in range(900, 900 + rounds(10)):
        url = started(number).url
        options: dict[str, Any] = {
            "partitions": None,
            "nap": 0.002,
            "ack": ack,
            "lease": 30.0,
            "keys": 99,
        }
        with Scene(tmp_path, url, seed=number, **options) as scene:
            store = opened(url, scene.name, 4)
            for face in ("threads", "tasks"):
                scene.worker(face=face)
                scene.producer(face=face)
            scene.all_ready()
            scene.wait_until(lambda: any(map(scene.said, scene.crew)), "somebody delivers")
            for partitions in (7, 3):
                time.sleep(0.5 + scene.random.random())
                store.resize(partitions)
            time.sleep(1)
            store.close()
            history = scene.finish()
            scene.check(history)
            assert histories.repeats(history) == []
            parts = {call.batch.where for call in history.calls}
            assert [sum(g == each for g, _ in parts) for each in range(3)] == [4, 7, 3]
            record_property("items", len(history.acknowledged))
