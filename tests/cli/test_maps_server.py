"""Maps on a server: delivered by `worker`, looked at by `inspect`, given back by `replay`."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from servers import Server, wait_until
from shifts import Log, Worker, shop

from partitioned_buffer import Map
from partitioned_buffer.storage.redis import Redis
from partitioned_buffer.storage.redis.looking import Server as Looked

pytest.importorskip("msgspec")

Program = Callable[[str], Path]
Run = Callable[..., tuple[int, str, str]]

MORE = """
    def save_entries(batch):
        save([f"{entry.key}={entry.value}" for entry in batch])


    async def save_entries_on_loop(batch):
        await save_on_loop([f"{entry.key}={entry.value}" for entry in batch])


    from partitioned_buffer import AsyncMap

    def reject(batch):
        raise Reject("never")


    mapped = made(Map, save_entries)
    on_loop_mapped = made(AsyncMap, save_entries_on_loop)
    rejecting = made(Map, reject)
    memory = Map("memory", save_entries, partitions=1)
"""


def put(url: str, name: str, *keys: str) -> None:
    storage = Redis(url, ack="server", ack_timeout=20)
    with Map[str, int](
        name, storage=storage, partitions=4, partition_key=lambda key: key[0]
    ) as mapped:
        for value in range(3):
            mapped.put_all(dict.fromkeys(keys, value))


def given_up(url: str, name: str) -> int:
    looked = Looked(url)
    try:
        return sum(each.dead for each in looked.buffer(name).depth())
    finally:
        looked.close()


@pytest.mark.parametrize("made_as", ["mapped", "on_loop_mapped"])
def test_a_worker_delivers_a_map(server: Server, name: str, program: Program, made_as: str) -> None:
    folder = program(shop(server.url, name, MORE))
    (folder / "go").touch()
    put(server.url, name, "a", "b", "c")
    with Worker(folder, f"shop:{made_as}") as worker:
        wait_until(lambda: len(worker.log.of("done")) == 3, 30)
        code, out, _ = worker.ended()

    assert code == 0
    assert sorted(Log(folder).of("done")) == ["a=2", "b=2", "c=2"]
    assert "Ended: 3 delivered, 0 given up." in out


def test_what_a_worker_has_given_up_goes_back_into_a_map(
    server: Server, name: str, program: Program, run: Run
) -> None:
    folder = program(shop(server.url, name, MORE))
    (folder / "go").touch()
    put(server.url, name, "a", "b")
    with Worker(folder, "shop:rejecting") as worker:
        wait_until(lambda: given_up(server.url, name) == 2, 30)
        assert "Ended: 0 delivered, 2 given up." in worker.ended()[1]
    code, out, _ = run("inspect", server.url, name, "--json")
    shown = json.loads(out)

    assert code == 0
    assert sum(each["given_up"] for each in shown["each"]) == 2
    assert sum(each["coalesced"] for each in shown["each"]) == 4
    code, out, err = run("replay", server.url, name, "--into", "shop:memory")
    assert (code, err) == (0, "")
    assert out.startswith("2 given back, 0 kept")
    assert sorted(Log(folder).of("done")) == ["a=2", "b=2"]
    code, _, err = run("replay", server.url, name, "--into", "shop:queue")
    assert code == 2
    assert "expected a Map" in err
