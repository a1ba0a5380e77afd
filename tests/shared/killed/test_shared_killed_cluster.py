"""A cluster that loses a primary under load, and one whose partitions are dealt anew."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import histories
import pytest
from helpers import rounds
from redis.crc import key_slot
from scenes import Scene
from servers import Cluster, Server

from partitioned_buffer.abc.sharing import SharedTerms
from partitioned_buffer.storage import Redis
from partitioned_buffer.storage.redis.store import RedisStore

Clustered = Callable[..., Cluster]

PARTITIONS = 12


@pytest.fixture
def clustered(kinds: list[str], tmp_path: Path) -> Iterator[Clustered]:
    made: list[Cluster] = []

    def start(number: int, **options: Any) -> Cluster:
        kind = kinds[number % len(kinds)]
        made.append(Cluster(kind, tmp_path / f"cluster-{number}", **options))
        return made[-1]

    yield start
    for each in made:
        each.stop()


def opened(url: str, name: str, partitions: int) -> RedisStore:
    store = Redis(url).share(SharedTerms(name, "Queue", partitions, "test:1"))
    assert isinstance(store, RedisStore)
    return store


def parts_at(store: RedisStore, port: int) -> set[int]:
    """Return the partitions that are on the server at *port*."""
    each = range(store.layout.partitions)
    return {p for p in each if store._servers.of(store._names.of(0, p).w).port == port}


def longest_silence(history: histories.History, since: float, until: float) -> dict[int, float]:
    """Return for each partition how long nothing of it began, in a span of time."""
    begins = defaultdict[int, list[float]](lambda: [since])
    for call in history.calls:
        if since <= call.begun <= until:
            begins[call.batch.partition].append(call.begun)
    return {
        partition: max(b - a for a, b in zip(times, [*times[1:], until], strict=True))
        for partition, times in begins.items()
    }


def test_a_cluster_loses_a_primary(
    clustered: Clustered, tmp_path: Path, record_property: Any
) -> None:
    """Its partitions come back with the replica; the others go on meanwhile."""
    for number in range(1000, 1000 + rounds(6)):
        cluster = clustered(number, replicas=True)
        victim = cluster.servers[number % 3]
        options: dict[str, Any] = {"partitions": PARTITIONS, "lease": 2.0, "nap": 0.002}
        options["keys"] = 99
        url = cluster.servers[(number + 1) % 3].url
        with Scene(tmp_path, url, seed=number, **options) as scene:
            store = opened(url, scene.name, PARTITIONS)
            theirs = parts_at(store, victim.port)
            store.close()
            for face in ("threads", "tasks"):
                scene.worker(face=face)
                scene.producer(face=face)
            scene.all_ready()
            scene.wait_until(lambda: any(map(scene.said, scene.crew)), "somebody delivers")
            time.sleep(1)
            victim.kill()
            killed_at = time.monotonic()
            time.sleep(8)
            until = time.monotonic()
            history = scene.finish()
            silence = longest_silence(history, killed_at, until)
            others = max(s for partition, s in silence.items() if partition not in theirs)
            lost = scene.numbers("lost")
            twice = sum(repeat.items for repeat in histories.repeats(history))
            record_property("silence: theirs", round(max(silence[p] for p in theirs), 2))
            record_property("silence: others", round(others, 2))
            record_property("lost, told lost, twice", (len(histories.lost(history)), lost, twice))
            assert others < 2.5
            assert set(silence) == set(range(PARTITIONS))
            scene.check(history, away=True, may_lose=lost)


def moved(slot: int, source: Server, target: Server, pause: float) -> None:
    """Move a slot as administrators do, a key at a time, with the load going on."""
    with source.client() as old, target.client() as new:
        ids = [each.execute_command("CLUSTER", "MYID") for each in (old, new)]
        new.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0])
        old.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1])
        while keys := old.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 1):
            old.execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
            time.sleep(pause)
        for client in (new, old):
            client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", ids[1])


def test_slots_move_under_load(clustered: Clustered, tmp_path: Path, record_property: Any) -> None:
    """All that a server has, twice: nothing is lost, nothing comes twice, keys keep their order."""
    for number in range(1200, 1200 + rounds(4)):
        cluster = clustered(number)
        options: dict[str, Any] = {"partitions": 6, "nap": 0.002, "lease": 30.0, "keys": 99}
        with Scene(tmp_path, cluster.url, seed=number, **options) as scene:
            store = opened(cluster.url, scene.name, 6)
            source = next(each for each in cluster.servers if parts_at(store, each.port))
            second, third = (each for each in cluster.servers if each is not source)
            slots = [
                key_slot(store._names.of(0, each).w.encode())
                for each in parts_at(store, source.port)
            ]
            store.close()
            for face in ("threads", "tasks"):
                scene.worker(face=face)
                scene.producer(face=face)
            scene.all_ready()
            scene.wait_until(lambda: any(map(scene.said, scene.crew)), "somebody delivers")
            for there, here in ((source, second), (second, third)):
                for slot in slots:
                    moved(slot, there, here, scene.random.random() * 0.1)
                for each in (*scene.producers, *scene.crew):
                    scene.goes_on(each, "worker" if each in scene.crew else "producer")
            history = scene.finish()
            scene.check(history)
            assert histories.repeats(history) == []
            assert scene.numbers("lost") == scene.numbers("gaps") == 0
            record_property("slots, and items", (len(slots), len(history.acknowledged)))


def test_partitions_of_a_cluster_are_dealt_anew(clustered: Clustered, tmp_path: Path) -> None:
    """Also where there are more, or fewer, servers that have any."""
    for number in range(1100, 1100 + rounds(4)):
        cluster = clustered(number)
        options: dict[str, Any] = {"partitions": None, "nap": 0.002, "lease": 30.0, "keys": 99}
        with Scene(tmp_path, cluster.url, seed=number, **options) as scene:
            store = opened(cluster.url, scene.name, 1)
            for face in ("threads", "tasks"):
                scene.worker(face=face)
                scene.producer(face=face)
            scene.all_ready()
            scene.wait_until(lambda: any(map(scene.said, scene.crew)), "somebody delivers")
            for partitions in (7, 2):
                time.sleep(1.0 + scene.random.random())
                store.resize(partitions)
            time.sleep(2)
            store.close()
            history = scene.finish()
            scene.check(history)
            assert histories.repeats(history) == []
