"""What was given up of a buffer on a server is given back into a buffer of the program."""

import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from parcels import claimed
from relays import Relay
from servers import Server, wait_until
from shifts import Log, shop

from partitioned_buffer import Queue
from partitioned_buffer.cli import giving
from partitioned_buffer.errors import StorageAway
from partitioned_buffer.storage.codec import make_codec
from partitioned_buffer.storage.redis import Redis
from partitioned_buffer.storage.redis.letters import Box

pytest.importorskip("msgspec")

Program = Callable[[str], Path]
Run = Callable[..., tuple[int, str, str]]

MORE = """
    Path("go").touch()
    memory = Queue("memory", save, partitions=1, processing_batch_size=100)
    same = made(Queue, storage=Redis(URL))
    other = Queue(f"other-{NAME}", storage=Redis(URL), partitions=1)
    mapped = Map("mapped", save)


    def reject(batch):
        raise Reject("never")


    rejecting = made(Queue, reject, storage=Redis(URL))
"""


@pytest.fixture
def store(opened: Any) -> Any:
    return opened(partitions=4, codec=None)


def bury(store: Any, partition: int, *items: str) -> None:
    data = make_codec().pack(items)
    store.bury(claimed(store, partition), data, len(items), "OSError: down", 8)


def kept(store: Any) -> int:
    return sum(each.kept for each in store.depth())


def freed(store: Any) -> None:
    """Give back what tests have claimed, so that buffers can."""
    for partition in range(store.duty.partitions):
        store.release(claimed(store, partition))


@pytest.fixture
def folder(server: Server, name: str, program: Program) -> Path:
    return program(shop(server.url, name, MORE))


def test_it_is_given_back_and_forgotten(
    run: Run, server: Server, name: str, store: Any, folder: Path
) -> None:
    bury(store, 0, "a1", "a2")
    bury(store, 2, "b3")
    code, out, err = run("replay", server.url, name, "--into", "shop:memory")

    assert (code, err) == (0, "")
    assert out == f"3 given back, 0 kept in {name} on 127.0.0.1:{server.port}.\n"
    assert Log(folder).of("done") == ["a1", "a2", "b3"]
    assert (kept(store), list(store.dead(0))) == (0, [])
    code, out, _ = run("replay", server.url, name, "--into", "shop:memory")
    assert (code, out.split()[0]) == (0, "0")


def test_what_earlier_layouts_gave_up_is_given_back(
    run: Run, server: Server, name: str, store: Any, folder: Path
) -> None:
    bury(store, 3, "a1")
    store.resize(2)
    bury(store, 1, "b2")
    code, _, _ = run("replay", server.url, name, "--into", "shop:memory")

    assert (code, sorted(Log(folder).of("done"))) == (0, ["a1", "b2"])


def test_into_the_very_buffer(
    run: Run, server: Server, name: str, store: Any, folder: Path
) -> None:
    bury(store, 0, "a1", "b2")
    bury(store, 1, "c3")
    freed(store)
    code, out, _ = run("replay", server.url, name, "--into", "shop:queue")  # which delivers not

    assert (code, out.split()[0], kept(store)) == (0, "3", 0)
    assert sum(each.appended - each.settled for each in store.depth()) == 3
    assert Log(folder).of("done") == []


def test_into_another_on_the_server_that_nobody_delivers(
    run: Run, server: Server, name: str, store: Any, folder: Path, opened: Any
) -> None:
    bury(store, 0, "a1", "b2")
    code, _, _ = run("replay", server.url, name, "--into", "shop:other")

    assert (code, kept(store)) == (0, 0)
    (depth,) = opened(named=f"other-{name}", partitions=1, codec=None).depth()
    assert depth.appended == 2


def test_a_limit_leaves_the_rest(
    run: Run, server: Server, name: str, store: Any, folder: Path
) -> None:
    bury(store, 0, "a1", "a2")
    bury(store, 1, "b3")
    code, out, _ = run("replay", server.url, name, "--into", "shop:memory", "--limit", 1)

    assert (code, out.startswith("2 given back, 1 kept")) == (0, True)
    assert Log(folder).of("done") == ["a1", "a2"]


def test_what_cannot_be_read_stays(
    run: Run, server: Server, name: str, store: Any, folder: Path
) -> None:
    store.bury(claimed(store), b"\xc1", 1, "down", 1)
    bury(store, 1, "b3")
    code, out, _ = run("replay", server.url, name, "--into", "shop:memory")

    assert (code, kept(store), Log(folder).of("done")) == (1, 1, ["b3"])
    assert "These stay:\n1 items, number (0, 1): " in out


def test_a_server_that_goes_away_in_the_middle_is_gone_on_with(
    run: Run,
    server: Server,
    name: str,
    store: Any,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for each in range(3):
        bury(store, each, f"a{each}")
    opened, seen = Box.open, list[int]()

    def away(box: Box, partition: int, number: int) -> Any:
        seen.append(partition)
        if seen.count(2) > 1:  # the first time it is only looked at
            raise StorageAway("gone")
        return opened(box, partition, number)

    with monkeypatch.context() as patch:
        patch.setattr(giving, "PART", 1)
        patch.setattr(Box, "open", away)
        code, out, err = run("replay", server.url, name, "--into", "shop:memory")
    assert (code, out.startswith("2 given back, ")) == (1, True)
    assert "Ending, and what is not settled stays: gone" in err

    code, out, _ = run("replay", server.url, name, "--into", "shop:memory")
    assert (code, out.startswith("1 given back, 0 kept")) == (0, True)
    assert Log(folder).of("done") == ["a0", "a1", "a2"]


def test_nothing_is_forgotten_before_the_server_has_it(name: str, relay: Relay) -> None:
    forgotten, codec = list[Any](), make_codec()
    queue = Queue[str](name, storage=Redis(relay.url), partitions=1).start()
    relay.refusing = True
    relay.cut()
    one = giving.Giving(queue, forgotten.append, codec, 2)
    letter: Any = type("Letter", (), {"id": 7, "count": 2, "data": codec.pack(["a", "b"])})
    thread = threading.Thread(target=one.give, args=([letter],))
    thread.start()

    def is_away() -> bool:
        shared = queue.stats().shared
        return shared is not None and shared.away is not None and shared.front == 2

    wait_until(is_away, 30)
    assert forgotten == []
    relay.refusing = False
    thread.join(30)
    assert (forgotten, one.settled) == ([7], 2)
    queue.stop()


@pytest.mark.parametrize(
    ("into", "words"),
    [
        ("shop:mapped", "<Map 'mapped' new.*: expected a Queue"),
        ("shop:awaited", "of type AsyncQueue: expected a Queue or a Map"),
        ("shop:gone", "has no attribute 'gone'"),
    ],
)
def test_what_cannot_take_it_is_refused(
    into: str, words: str, run: Run, server: Server, name: str, store: Any, folder: Path
) -> None:
    bury(store, 0, "a1")
    code, out, err = run("replay", server.url, name, "--into", into)

    assert (code, out, kept(store)) == (2, "", 1)

    assert re.search(words, err), err


def test_pickles_are_not_read_unasked(
    run: Run, server: Server, name: str, opened: Any, folder: Path
) -> None:
    store = opened(partitions=1, codec="pickle")
    store.bury(claimed(store), make_codec("pickle").pack(["a1"]), 1, "down", 1)
    code, _, err = run("replay", server.url, name, "--into", "shop:memory")
    assert (code, "give --allow-pickle" in err) == (2, True)

    code, _, _ = run("replay", server.url, name, "--into", "shop:memory", "--allow-pickle")
    assert (code, Log(folder).of("done")) == (0, ["a1"])
