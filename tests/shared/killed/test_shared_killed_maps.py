"""Maps whose workers are killed, or asleep, whose replies are lost, whose server is killed."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import map_histories
from helpers import rounds
from histories import History
from map_scenes import MapScene
from relays import Relay
from scenes import stop_for

LEASE = 2.0
"""So many seconds that a busy machine is no death."""

Note = Callable[[str, Any], None]


def begun(scene: MapScene, *faces: str) -> None:
    """Have three workers, two producers, and all at work."""
    for face in ("threads", "threads", *faces[:1]):
        scene.worker(face=face)
    for face in ("threads", *faces[1:]):
        scene.producer(face=face)
    scene.all_ready()
    for each in scene.crew:
        scene.goes_on(each)


def checked(scene: MapScene, note: Note, **options: Any) -> History:
    """Have all end, and see whether all is as it should be."""
    history = scene.finish()
    scene.check(history, **options)
    note("newest, and sums", scene.figures())
    note("twice, each partition", sorted(each.items for each in map_histories.repeats(history)))
    note("went back", len(map_histories.back(history)))
    more = map_histories.sums(map_histories.delivered(history))
    note("sum", (more.total(), map_histories.sums(history.pushed).total()))
    return history


def test_workers_are_killed(started: Any, tmp_path: Path, record_property: Note) -> None:
    """The newest of each key is there, nothing goes back, and no increment is lost."""
    kills, number = rounds(30, least=2), 1000
    while kills > 0:
        options = {"lease": LEASE, "nap": (0.002, 0.01, 0.03)[number % 3], "pace": 0.01}
        with MapScene(tmp_path, started(number).url, seed=number, **options) as scene:
            begun(scene, "tasks", "tasks")
            for _ in range(min(kills, 6)):
                kills -= 1
                victim = scene.random.choice(scene.crew)
                scene.goes_on(victim)
                time.sleep(scene.random.random() * 0.2)
                scene.kill(victim)
                scene.goes_on(scene.worker(face=scene.random.choice(["threads", "tasks"])))
                time.sleep(scene.random.random())
            checked(scene, record_property)
        number += 1


def test_workers_sleep_past_their_lease(
    started: Any, tmp_path: Path, record_property: Note
) -> None:
    """What they were in the middle of comes late: a destination that looks at tokens refuses it."""
    naps, number = rounds(12), 1100
    while naps > 0:
        options = {"lease": LEASE, "nap": 0.05, "pace": 0.01}
        with MapScene(tmp_path, started(number).url, seed=number, **options) as scene:
            begun(scene, "threads", "threads")
            for _ in range(min(naps, 6)):
                naps -= 1
                sleeper = scene.random.choice(scene.crew)
                scene.goes_on(sleeper)
                scene.asleep.add(sleeper.pid)
                stop_for(sleeper, LEASE * (1.5 + scene.random.random() / 2))
                time.sleep(LEASE)
                scene.goes_on(sleeper)
            checked(scene, record_property)
        number += 1


def test_every_third_reply_is_lost(started: Any, tmp_path: Path, record_property: Note) -> None:
    """What has been done is done once: sums are exact."""
    for number in range(1200, 1200 + rounds(6)):
        server = started(number)
        relay = Relay(server.port)
        try:
            with MapScene(tmp_path, server.url, seed=number, lease=30.0, nap=0.002) as scene:
                for face in ("threads", "tasks"):
                    scene.worker(face=face, url=relay.url)
                    scene.producer(face=face, url=relay.url, ack="server", ack_timeout=30.0)
                scene.all_ready()
                relay.cut_every = 3  # nobody could even open it before
                time.sleep(3)
                for each in scene.producers:
                    each.end()
                scene.producers.clear()
                relay.cut_every = 0
                checked(scene, record_property)
                record_property("cuts", relay.cuts)
        finally:
            relay.close()


def test_a_server_with_a_file_is_killed(
    started: Any, tmp_path: Path, record_property: Note
) -> None:
    """What it has acknowledged is there, and its ledger is as it was."""
    kills, number = rounds(10, least=2), 1300
    while kills > 0:
        server = started(number, "--appendfsync", "always", aof=True)
        with MapScene(tmp_path, server.url, seed=number, ack="server", lease=2.0) as scene:
            begun(scene, "tasks", "tasks")
            for _ in range(min(kills, 5)):
                kills -= 1
                time.sleep(0.5 + scene.random.random())
                server.kill()
                time.sleep(scene.random.random() * 0.5)
                server.start()
                for each in scene.producers:
                    scene.goes_on(each, "producer")
            checked(scene, record_property, away=True)
            assert (scene.numbers("gaps"), scene.numbers("lost")) == (0, 0)
        number += 1
