"""`inspect` of a server says what is there, and changes nothing."""

import json
import re
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from mapops import delete, ops_of, put, swapped
from parcels import append, claimed, parcel, step
from servers import Server, free_port
from shifts import items, pushed

from partitioned_buffer import Queue
from partitioned_buffer.storage.redis import Redis, looking

pytest.importorskip("msgspec")

Run = Callable[..., tuple[int, str, str]]


def everything(client: Any) -> dict[bytes, Any]:
    """Return all that the server has, and how many scripts it knows."""
    values = {key: client.dump(key) for key in client.keys("*")}
    return values | {b"scripts": client.info("memory")["number_of_cached_scripts"]}


def buried(store: Any, partition: int = 0, error: str = "OSError: down") -> None:
    store.bury(claimed(store, partition), b"\xa1a\xa1b", 2, error, 8)


def test_all_buffers_are_listed(own: Callable[..., Server], opened: Any, run: Run) -> None:
    server = own()
    assert run("inspect", server.url)[:2] == (0, first_line(server, "0 buffers"))
    one = opened(server.url, named="one", codec=None)
    opened(server.url, named="{odd}:%7B config", partitions=3)
    append(one, parcel("abc"))
    one.beat()
    buried(one, 1)
    with server.client() as client:
        client.hset("{other}:config", mapping={"colour": "red"})
        client.set("{text}:config", "red")
    code, out, err = run("inspect", server.url)

    assert (code, err) == (0, "")
    assert "2 buffers" in out
    assert out.splitlines()[-1].split()[:4] == ["{odd}:%7B", "config", "Queue", "3"]
    row = out.splitlines()[-2].split()
    assert row[:4] + row[5:] == ["one", "Queue", "2", "3", "s", "2", "1"]  # but for the age
    said = json.loads(run("inspect", server.url, "--json")[1])
    assert [each["name"] for each in said["buffers"]] == ["one", "{odd}:%7B config"]
    assert said["buffers"][0]["given_up"] == 2


def first_line(server: Server, count: str) -> str:
    where = f"127.0.0.1:{server.port}"
    return (
        f"{where}: {count}.\n"
        f"Risk: {where} has no append-only file (appendonly is no): a restart loses what waits "
        "there.\n"
    )


def test_one_is_shown(server: Server, name: str, opened: Any, run: Run) -> None:
    pushed(server.url, name, items(40))
    store = opened(partitions=4, codec=None)
    (worker,) = store.beat()
    step(store, claimed(store), 0)
    step(store, claimed(store), 2, given_up=2)
    buried(store)
    code, out, err = run("inspect", server.url, name, "--items", 2)

    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == f"{name}, on 127.0.0.1:{server.port}"
    assert lines[1] == "A Queue of 4 partitions, generation 0, codec msgspec.msgpack, format 1."
    assert lines[2] == "38 held, 2 given up, 1 worker."
    row = next(line.split() for line in lines if line.startswith("0 "))
    assert (row[2], row[5:]) == ("2", ["s", "2", worker])
    assert f"Workers:\n  {worker}\n" in out
    when = r"at 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC"
    last = rf"^  partition 0: 2, the last {when}, after 8 attempts: OSError: down$"
    assert re.search(last, out, re.MULTILINE)
    assert "The first items:\n  partition 0, position 2: '" in out
    said = json.loads(run("inspect", server.url, name, "--json")[1])
    assert (said["held"], said["given_up"], said["workers"]) == (38, 2, [worker])
    assert [each["settled"] for each in said["each"]] == [2, 0, 0, 0]
    assert "swap" not in said["each"][0]
    assert said["each"][0]["owner"] == worker
    assert said["dead"][0]["last_error"] == "OSError: down"
    assert abs(said["dead"][0]["last_time"] - time.time()) < 3600
    assert said["first"][0]["position"] == 2


def test_a_map_is_shown(server: Server, name: str, opened: Any, client: Any, run: Run) -> None:
    store = opened(of="Map", codec=None)
    append(store, ops_of(put("a", "1"), put("a", "2"), put("b", "3"), put("c", "4")))
    claim = claimed(store)
    swapped(store, claim)
    append(store, ops_of(delete("b"), put("a", "5"), known=4))
    buried(store)
    before = everything(client)
    code, out, err = run("inspect", server.url, name)
    said = json.loads(run("inspect", server.url, name, "--json")[1])

    assert (code, err) == (0, "")
    assert everything(client) == before
    assert "A Map of 2 partitions" in out
    assert "3 held, 2 given up" in out
    first = next(line for line in out.splitlines() if line.startswith("partition "))
    assert first.split()[:6] == ["partition", "appended", "settled", "coalesced", "deleted", "held"]
    row = next(line.split() for line in out.splitlines() if line.startswith("0 "))
    assert row[:6] == ["0", "5", "2", "1", "1", "3"]
    each = said["each"][0]
    assert (each["coalesced"], each["deleted"], each["swap"], each["held"]) == (1, 1, [2, 0], 3)
    client.hset(f"{{{name}}}:config", mapping={"generation": 1, "partitions:1": 3})
    assert (
        "given 3 partitions, which hold all that the 2 before did"
        in run("inspect", server.url, name)[1]
    )


def test_a_server_that_is_full_is_looked_at(own: Callable[..., Server], run: Run) -> None:
    server = own()
    pushed(server.url, "events", items(9))
    with server.client() as client:
        client.config_set("maxmemory", 1)
        code, out, err = run("inspect", server.url, "events")

    assert (code, err) == (0, "")
    assert "9 held" in out
    assert "The first items:\n" in out


def test_what_is_delivered_while_it_is_looked_at_is_not_shown(
    opened: Any, server: Server, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(partitions=1)
    for known in range(30):
        append(store, parcel("x", known=known))
    claim, seen = claimed(store), list[int]()
    step(store, claim)
    there = looking.Server(server.url)
    buffer = there.buffer(name)
    real = buffer._asked

    def asked(key: str, commands: Any) -> Any:
        first = real(key, commands[:-1])
        seen.append(len(seen) + 1)
        step(store, claim, min(len(seen), moving))
        return [*first, *real(key, commands[-1:])]

    monkeypatch.setattr(buffer, "_asked", asked)
    moving = 3
    settled, chunks = buffer.first(0, 0)
    assert (settled, [chunk.start for chunk in chunks], len(seen)) == (3, [3], 4)
    moving = 99
    assert buffer.first(0, 0)[1] == []
    there.close()


def test_it_changes_nothing(own: Callable[..., Server], run: Run, opened: Any) -> None:
    server = own()
    pushed(server.url, "events", items(9))
    store = opened(server.url, named="events", partitions=4, codec=None)
    store.beat()
    buried(store)
    with server.client() as client:
        client.script_flush()
        before = everything(client)
        for arguments in ([], ["events"], ["events", "--json"]):
            assert run("inspect", server.url, *arguments)[0] == 0
        assert everything(client) == before
        assert before[b"scripts"] == 0


def test_what_needs_a_codec_of_the_program_is_counted(server: Server, name: str, run: Run) -> None:
    with Queue[int](name, storage=Redis(server.url, codec="pickle"), partitions=1) as queue:
        queue.push(1)
    _, out, _ = run("inspect", server.url, name)

    assert "codec pickle" in out
    assert "partition 0, position 0: 5 bytes of pickle" in out


def test_a_resize_that_goes_on_is_said(
    server: Server, name: str, opened: Any, client: Any, run: Run
) -> None:
    store = opened()
    append(store, parcel("abc"))
    buried(store)
    client.hset(f"{{{name}}}:config", "next", 3)
    assert "A resize from 2 partitions to 3 was begun" in run("inspect", server.url, name)[1]
    store.refresh()
    _, out, _ = run("inspect", server.url, name)

    assert "A Queue of 3 partitions, generation 1" in out
    assert "given 3 partitions: what the 2 of generation 0 hold is delivered first" in out
    assert "generation  partition" in out
    assert "  partition 0 of generation 0: 2, the last" in out
    step(store, claimed(store))
    step(store, claimed(store), 3)
    store.refresh()
    _, out, _ = run("inspect", server.url, name)
    assert "generation 0 hold" not in out
    assert "0 held, 2 given up" in out


def test_risks_are_said(own: Callable[..., Server], run: Run) -> None:
    server = own("--maxmemory-policy", "allkeys-lru")
    with server.client() as client:
        client.config_set("maxmemory", 512 * 1024)
    code, out, _ = run("inspect", server.url)

    assert code == 0
    assert "maxmemory-policy is allkeys-lru, which would throw away what was accepted" in out
    assert "of the 524,288 that its maxmemory allows" in out


def test_what_comes_from_a_server_moves_no_terminal(
    server: Server, opened: Any, name: str, run: Run
) -> None:
    odd = f"{name}\x1b[31m"
    buried(opened(named=odd), error="\x1b[31m\n")

    for arguments in ([server.url], [server.url, odd]):
        code, out, _ = run("inspect", *arguments)
        assert (code, "\x1b" in out, "\\x1b[31m" in out) == (0, False, True)


def test_a_name_that_is_not_there_is_refused(
    server: Server, opened: Any, name: str, run: Run
) -> None:
    opened()
    code, out, err = run("inspect", server.url, f"no-{name}")

    assert (code, out) == (2, "")
    assert f"there is no buffer 'no-{name}'. There are: '" in err
    assert f"'{name}'" in err


def test_a_later_format_is_refused(
    server: Server, opened: Any, name: str, client: Any, run: Run
) -> None:
    opened()
    client.hset(f"{{{name}}}:config", "format", "2")
    code, _, err = run("inspect", server.url, name)

    assert (code, "is of format 2: expected 1" in err) == (2, True)


def test_a_password_is_not_shown(own: Callable[..., Server], run: Run) -> None:
    port = own("--requirepass", "right").port
    code, out, err = run("inspect", f"redis://:secret@127.0.0.1:{port}")

    assert (code, out) == (2, "")
    assert "password" in err
    assert "secret" not in err
    assert run("inspect", f"redis://:right@127.0.0.1:{port}")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["inspect", "a.db", "events"], "a file has one buffer: expected redis://HOST:PORT/DB"),
        (["inspect", "redis://host:x"], "expected redis://HOST:PORT/DB"),
        (["inspect", f"redis://127.0.0.1:{free_port()}"], "127.0.0.1"),
        (["replay", "redis://host", "--into", "a:b"], "expected the name of a buffer behind"),
        (["replay", "redis://host", "events"], "--into"),
        (["resize", "redis://host", "--partitions", "3"], "NAME"),
        (["resize", "events.db", "events", "--partitions", "3"], "expected redis://HOST"),
        (["resize", "redis://host", "events", "--partitions", "0"], "whole number from 1"),
    ],
)
def test_what_is_no_good_is_refused_at_once(run: Run, arguments: list[str], words: str) -> None:
    code, out, err = run(*arguments)

    assert (code, out) == (2, "")
    assert words in err


def test_without_the_library_it_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    code, _, err = run("inspect", "redis://127.0.0.1")

    assert (code, "pip install 'partitioned-buffer[redis]'" in err) == (2, True)
