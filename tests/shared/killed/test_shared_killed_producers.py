"""Producers that are killed, or fork, while there is a load."""

import time
from pathlib import Path
from typing import Any

import histories
import pytest
from forks import under_load
from helpers import rounds
from scenes import Scene


def test_producers_are_killed(started: Any, tmp_path: Path, record_property: Any) -> None:
    """What the server has acknowledged is there, once, and in order."""
    kills, number = rounds(40, least=3), 300
    while kills > 0:
        server, faces = started(number), ["threads", "tasks"]
        with Scene(tmp_path, server.url, seed=number, ack="server", nap=0.001, lease=30.0) as scene:
            scene.worker()
            scene.worker()
            for _ in range(min(kills, 10)):
                kills -= 1
                victim = scene.producer(face=scene.random.choice(faces), pace=0.0)
                scene.goes_on(victim, "producer")
                time.sleep(scene.random.random() * 0.4)
                victim.kill()
                scene.producers.remove(victim)
            scene.producer()
            history = scene.finish()
            scene.check(history)
            assert histories.repeats(history) == []
            known = len(history.acknowledged), len(history.pushed)
            record_property("acknowledged, of so many that were pushed", known)
        number += 1


@under_load
@pytest.mark.parametrize("ack", ["local", "server"])
def test_producers_fork(started: Any, tmp_path: Path, ack: str) -> None:
    """A child is a producer of its own: nothing is lost, and nothing comes twice."""
    for number in range(400, 400 + rounds(10)):
        with Scene(
            tmp_path, started(number).url, seed=number, ack=ack, nap=0.001, lease=30.0
        ) as scene:
            scene.worker()
            parent = scene.producer(forks=True)
            scene.goes_on(parent, "producer")
            time.sleep(0.8 + scene.random.random())
            history = scene.finish()
            scene.check(history)
            assert histories.repeats(history) == []
            assert len({item.producer // 100 for item in history.pushed}) == 3
