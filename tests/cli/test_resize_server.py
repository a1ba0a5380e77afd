"""`resize` gives a buffer on a server other partitions, while its programs run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mapops import ops_of, put
from parcels import append, parcel
from servers import Server
from shifts import Worker, items, shop

from partitioned_buffer import Queue
from partitioned_buffer.storage.redis import Redis

pytest.importorskip("msgspec")

Program = Callable[[str], Path]
Run = Callable[..., tuple[int, str, str]]


def test_it_has_others_then(server: Server, name: str, opened: Any, run: Run) -> None:
    store = opened()
    append(store, parcel("abc"))
    code, out, err = run("resize", server.url, name, "--partitions", 5)

    assert (code, err) == (0, "")
    assert out == (
        f"'{name}' had 2 partitions, and has 5: what is written goes there now.\n"
        "Workers deliver the 3 that the old ones hold first.\n"
        "Programs that run go on. Those that say partitions=2 are refused when they start again: "
        "say 5 there, or leave it out.\n"
    )
    store.refresh()
    assert (store.layout.partitions, store.duty.partitions) == (5, 2)
    code, out, _ = run("resize", server.url, name, "--partitions", 5)
    assert (code, out) == (0, f"'{name}' has 5 partitions already.\n")


def test_one_that_was_begun_is_ended(
    server: Server, name: str, opened: Any, client: Any, run: Run
) -> None:
    store = opened()
    client.hset(f"{{{name}}}:config", "next", 3)
    code, _, _ = run("resize", server.url, name, "--partitions", 2)
    store.refresh()

    assert (code, store.layout) == (0, store.duty)
    assert (store.layout.partitions, store.layout.generation) == (2, 2)


def test_what_a_map_holds_is_moved(server: Server, name: str, opened: Any, run: Run) -> None:
    store = opened(of="Map")
    append(store, ops_of(put("a", "1"), put("b", "2")), ops_of(put("c", "3"), partition=1))
    code, out, err = run("resize", server.url, name, "--partitions", 3)

    assert (code, err) == (0, "")
    assert out == (
        f"'{name}' had 2 partitions, and has 3: what it holds is there now.\n"
        "Programs that run go on. Those that say partitions=2 are refused when they start again: "
        "say 3 there, or leave it out.\n"
    )
    store.refresh()
    assert (store.layout.partitions, store.duty.partitions) == (3, 3)
    assert [each.appended for each in store.depth()][:2] == [0, 0]
    assert sum(each.appended - each.settled for each in store.depth()) == 3


def test_a_map_that_is_delivered_is_refused(
    server: Server, name: str, opened: Any, client: Any, run: Run
) -> None:
    store = opened(of="Map")
    store.beat()
    code, out, err = run("resize", server.url, name, "--partitions", 3)

    assert (code, out) == (2, "")
    assert f"expected no workers, and there are {store.me}: stop them" in err
    assert client.hget(f"{{{name}}}:config", "generation") == b"0"


def test_one_that_is_not_there_is_not_made(
    server: Server, name: str, client: Any, run: Run
) -> None:
    code, _, err = run("resize", server.url, name, "--partitions", 3)

    assert (code, f"there is no buffer '{name}'" in err) == (2, True)
    assert not client.exists(f"{{{name}}}:config")


def test_programs_that_run_go_on(server: Server, name: str, run: Run, program: Program) -> None:
    folder, those = program(shop(server.url, name)), items(600)
    (folder / "go").touch()
    with (
        Worker(folder) as worker,
        Queue[str](name, storage=Redis(server.url), partition_key=lambda item: item[0]) as queue,
    ):
        for begin, partitions in (0, 7), (200, 2), (400, 3):
            queue.push_all(those[begin : begin + 200])
            assert run("resize", server.url, name, "--partitions", partitions)[0] == 0
        worker.log.wait_for(those)
        assert worker.ended()[0] == 0
