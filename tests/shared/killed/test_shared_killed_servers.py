"""Servers that are killed under load, lose replies, or have no room for a while."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import histories
import pytest
from helpers import rounds
from relays import Relay
from scenes import Scene
from servers import Server

WARNED = "see its append-only file"


def crew(scene: Scene) -> None:
    for face in ("threads", "tasks"):
        scene.worker(face=face)
        scene.producer(face=face)
    scene.all_ready()


def kill_some_times(scene: Scene, server: Server, kills: int) -> None:
    for _ in range(kills):
        time.sleep(0.5 + scene.random.random())
        server.kill()
        time.sleep(scene.random.random() * 0.5)
        server.start()
        for each in scene.producers:
            scene.goes_on(each, "producer")


@pytest.mark.parametrize("fsync", ["always", "everysec"])
def test_a_server_with_a_file_is_killed(
    started: Any, tmp_path: Path, fsync: str, record_property: Any
) -> None:
    """What it has acknowledged is there: the system has what it wrote."""
    kills, number = rounds(20, least=2), 500
    while kills > 0:
        server = started(number, "--appendfsync", fsync, aof=True)
        with Scene(tmp_path, server.url, seed=number, ack="server", lease=2.0) as scene:
            crew(scene)
            kill_some_times(scene, server, min(kills, 5))
            kills -= 5
            history = scene.finish()
            gaps, lost = scene.numbers("gaps"), scene.numbers("lost")
            record_property("gaps, and lost", (gaps, lost, len(histories.lost(history))))
            assert fsync == "everysec" or (gaps, lost) == (0, 0)
            scene.check(history, away=True, may_lose=lost)
        number += 1


def test_a_server_without_a_file_is_killed(
    started: Any, tmp_path: Path, record_property: Any
) -> None:
    """What it has lost is counted."""
    kills, number = rounds(20, least=2), 600
    while kills > 0:
        server = started(number)
        options = {"ack": "server", "lease": 1.0, "nap": 0.03}
        with Scene(tmp_path, server.url, seed=number, **options) as scene:
            crew(scene)
            kill_some_times(scene, server, min(kills, 5))
            kills -= 5
            history = scene.finish()
            gaps, lost = scene.numbers("gaps"), scene.numbers("lost")
            record_property("gaps, and lost", (gaps, lost, len(histories.lost(history))))
            assert gaps > 0
            scene.check(history, away=True, may_lose=lost)
        number += 1


@pytest.fixture
def relays() -> Iterator[list[Relay]]:
    made: list[Relay] = []
    yield made
    for each in made:
        each.close()


@pytest.mark.parametrize("who", ["producers", "producers and workers"])
def test_every_third_reply_is_lost(
    started: Any, tmp_path: Path, relays: list[Relay], who: str, record_property: Any
) -> None:
    """What has been done is done once."""
    for number in range(700, 700 + rounds(10)):
        server = started(number)
        relays.append(Relay(server.port))
        with Scene(tmp_path, server.url, seed=number, lease=30.0, nap=0.002) as scene:
            for face in ("threads", "tasks"):
                scene.worker(face=face, url=server.url if who == "producers" else relays[-1].url)
                scene.producer(face=face, url=relays[-1].url, ack="server", ack_timeout=30.0)
            scene.all_ready()
            relays[-1].cut_every = 3  # nobody could even open it before
            time.sleep(3)
            for each in scene.producers:
                each.end()
            scene.producers.clear()
            relays[-1].cut_every = 0
            history = scene.finish()
            scene.check(history)
            assert histories.repeats(history) == []
            record_property("cuts, and items", (relays[-1].cuts, len(history.acknowledged)))


def test_a_server_has_no_memory_for_a_while(
    started: Any, tmp_path: Path, record_property: Any
) -> None:
    """Writers wait, workers go on, and all that was accepted arrives once."""
    for number in range(800, 800 + rounds(10)):
        server = started(number)
        with Scene(tmp_path, server.url, seed=number, ack="server", lease=30.0) as scene:
            producer = scene.producer(pace=0.0)
            scene.goes_on(producer, "producer")
            with server.client() as client:
                client.config_set("maxmemory", client.info("memory")["used_memory"] + 100_000)
                scene.wait_until(lambda: is_still(scene), "all wait for room")
                if number % 2:
                    client.config_set("maxmemory", 0)
                scene.worker()
                scene.worker(face="tasks")
                scene.goes_on(producer, "producer")  # workers make room, too
                time.sleep(1)
                client.config_set("maxmemory", 0)
            history = scene.finish()
            scene.check(history)
            assert histories.repeats(history) == []
            record_property("items", len(history.acknowledged))


def is_still(scene: Scene) -> bool:
    """Return whether no producer has done anything for a while."""
    before = [scene.said(each, "producer") for each in scene.producers]
    time.sleep(0.5)
    return before == [scene.said(each, "producer") for each in scene.producers]
