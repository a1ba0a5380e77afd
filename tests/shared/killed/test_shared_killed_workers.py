"""Workers that are killed, put to sleep, and told to end, while there is a load."""

import signal
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import histories
from helpers import rounds
from scenes import Scene, stop_for

LEASE = 2.0
"""So many seconds that a busy machine is no death."""

Note = Callable[[str, Any], None]


def begun(scene: Scene, **faces: str) -> None:
    """Have three workers, two producers, and all at work."""
    for _ in range(2):
        scene.worker()
    scene.worker(face=faces.get("worker", "threads"))
    scene.producer()
    scene.producer(face=faces.get("producer", "threads"))
    for each in scene.crew:
        scene.goes_on(each)


def note_figures(note: Note, scene: Scene, history: histories.History) -> None:
    """Keep what is worth knowing for the report of the tests."""
    twice = [repeat.items for repeat in histories.repeats(history)]
    took = [each / LEASE for each in histories.takeovers(history, scene.killed)]
    note("items", len(history.acknowledged))
    note("killed or asleep", len(scene.killed) + len(scene.asleep))
    note("twice, each partition", sorted(twice))
    if took:
        note("takeover in leases", [round(f(took), 2) for f in (min, statistics.median, max)])


def test_workers_are_killed(started: Any, tmp_path: Path, record_property: Note) -> None:
    """Nothing is lost, or out of order; at most a window of a partition comes twice."""
    kills, number = rounds(60, least=3), 0
    while kills > 0:
        server, faces = started(number), {"worker": "tasks", "producer": "tasks"}
        options = {"lease": LEASE, "nap": (0.002, 0.01, 0.03)[number % 3], "pace": 0.01}
        with Scene(tmp_path, server.url, seed=number, **options) as scene:
            begun(scene, **faces if number % 2 == 0 else {})
            for _ in range(min(kills, 6)):
                kills -= 1
                victim = scene.random.choice(scene.crew)
                scene.goes_on(victim)
                time.sleep(scene.random.random() * 0.2)
                scene.kill(victim)
                scene.goes_on(scene.worker(face=scene.random.choice(["threads", "tasks"])))
                time.sleep(scene.random.random())
            history = scene.finish()
            scene.check(history)
            note_figures(record_property, scene, history)
        number += 1


def test_workers_sleep_past_their_lease(
    started: Any, tmp_path: Path, record_property: Note
) -> None:
    """What they were in the middle of comes late, under a token that is known to be stale."""
    naps, number, late = rounds(24, least=3), 100, 0
    options = {"lease": LEASE, "nap": 0.05, "pace": 0.03}
    while naps > 0:
        with Scene(tmp_path, started(number).url, seed=number, **options) as scene:
            begun(scene)
            for _ in range(min(naps, 6)):
                naps -= 1
                sleeper = scene.random.choice(scene.crew)
                scene.goes_on(sleeper)
                time.sleep(scene.random.random() * 0.1)
                scene.asleep.add(sleeper.pid)
                stop_for(sleeper, LEASE * (1.5 + scene.random.random() / 2))
                time.sleep(LEASE)
                scene.goes_on(sleeper)
            history = scene.finish()
            scene.check(history)
            late += len(late_ones(history))
            note_figures(record_property, scene, history)
        number += 1
    record_property("late, with a stale token", late)
    assert late


def late_ones(history: histories.History) -> list[histories.Call]:
    """Return the calls that went on after another owner had begun: with a smaller token."""
    begins = {(*call.batch[:2], call.batch.token): call.begun for call in history.calls[::-1]}
    return [
        call
        for call in history.calls
        if any(
            where[:2] == call.batch.where and where[2] > call.batch.token and at < (call.ended or 0)
            for where, at in begins.items()
        )
    ]


def test_workers_are_told_to_end(started: Any, tmp_path: Path, record_property: Note) -> None:
    """They give back what they have: nothing comes twice, and others go on at once."""
    ends, number = rounds(24, least=3), 200
    while ends > 0:
        with Scene(tmp_path, started(number).url, seed=number, lease=30.0, nap=0.01) as scene:
            begun(scene, **{"worker": "tasks"} if number % 2 == 0 else {})
            told = dict[int, float]()
            for _ in range(min(ends, 6)):
                ends -= 1
                one = scene.random.choice(scene.crew)
                scene.goes_on(one)
                one.send(signal.SIGTERM)
                told[one.pid] = time.monotonic()
                assert one.wait() == 0
                scene.crew.remove(one)
                scene.goes_on(scene.worker())
            history = scene.finish()
            scene.check(history)
            assert histories.repeats(history) == []
            took = sorted(histories.takeovers(history, told))
            record_property("given back in seconds", [round(each, 2) for each in took])
        number += 1
