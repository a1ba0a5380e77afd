"""`inspect` shows some entries of a Map on a server, without running its program's code."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from mapops import HASH, ops_of, part, put, swapped
from parcels import append, claimed
from servers import Server

from partitioned_buffer import Map
from partitioned_buffer.abc.shared_map import (
    ADD,
    HEAD,
    LENGTH,
    NEWER,
    NUMBER,
    PART,
    PUT,
    VERSIONED,
    MapOp,
)
from partitioned_buffer.storage.redis import Redis, looking
from partitioned_buffer.testing.contract.shared.maps.ops import text

msgspec = pytest.importorskip("msgspec")

Run = Callable[..., tuple[int, str, str]]


def op(mode: bytes, key: Any, value: bytes, version: int | None = None) -> MapOp:
    flags = 0 if version is None else VERSIONED
    return packed(key), HEAD.pack(mode, flags, version or 0, 0, HASH) + value


def packed(value: Any) -> bytes:
    encoded: bytes = msgspec.msgpack.encode(value)
    return encoded


def parts(*values: Any) -> bytes:
    """Return parts as they are kept; numbers are numbers."""
    each = [(NUMBER, text(v)) if isinstance(v, int) else (0, packed(v)) for v in values]
    return b"".join(LENGTH.pack(flag + len(data)) + data for flag, data in each)


def shown(run: Run, url: str, name: str, *more: str) -> list[dict[str, Any]]:
    code, out, err = run("inspect", url, name, "--json", *more)
    assert (code, err) == (0, "")
    entries: list[dict[str, Any]] = json.loads(out)["entries"]
    return entries


def test_keys_values_and_versions_are_shown(
    server: Server, name: str, opened: Any, client: Any, run: Run
) -> None:
    store = opened(of="Map", codec=None, partitions=1)
    append(store, ops_of(op(PUT, "ada", packed("one")), op(NEWER, 7, packed([1]), -3)))
    swapped(store, claimed(store))
    more = [
        op(PUT, "ada", packed("two")),
        op(ADD, ("a", 1), text(4)),
        op(PART, "many", parts("x", 2, "y")),
        op(PART, "one", parts(2)),
    ]
    append(store, ops_of(*more, known=2))
    before = {key: client.dump(key) for key in client.keys("*")}
    entries = {
        (each["place"], str(each["key"])): each
        for each in shown(run, server.url, name, "--items", "9")
    }
    _, out, _ = run("inspect", server.url, name, "--items", "9")

    assert {key: client.dump(key) for key in client.keys("*")} == before
    assert {key: each.get("value") for key, each in entries.items()} == {
        ("in flight", "ada"): "one",
        ("in flight", "7"): [1],
        ("waiting", "ada"): "two",
        ("waiting", "['a', 1]"): 4,
        ("waiting", "many"): None,
        ("waiting", "one"): 2,
    }
    assert entries["waiting", "many"]["parts"] == ["x", 2, "y"]
    assert [entries["in flight", key]["version"] for key in ("7", "ada")] == [-3, None]
    lines = out.partition("Some entries:\n")[2].splitlines()
    assert len(lines) == 6
    assert "  partition 0, in flight: 7 = [1], version -3" in lines
    assert "  partition 0, waiting: ('a', 1) = 4" in lines
    assert "  partition 0, waiting: 'many' = 3 parts: 'x', 2, 'y'" in lines


def test_as_many_are_shown_as_are_asked_for(server: Server, name: str, run: Run) -> None:
    storage = Redis(server.url, ack="server", ack_timeout=20)
    with Map[str, int](name, storage=storage, partitions=4) as mapped:
        mapped.put_all({f"key-{number}": number for number in range(3000)}.items())
    for most in (0, 1, 5, 700, 3000, 5000):
        entries = shown(run, server.url, name, "--items", str(most))
        assert len(entries) == min(most, 3000)
        assert all(each["key"] == f"key-{each['value']}" for each in entries)
        assert len({each["key"] for each in entries}) == len(entries)


def test_no_more_is_asked_of_the_server_than_that(server: Server, name: str) -> None:
    storage = Redis(server.url, ack="server", ack_timeout=20)
    with Map[str, int](name, storage=storage, partitions=1) as mapped:
        mapped.put_all({f"key-{number}": number for number in range(5000)}.items())
    looked = looking.Server(server.url)
    found, asked = looked.buffer(name), list[Any]()
    real = found._asked

    def counted(key: str, commands: Any) -> Any:
        (reply,) = real(key, commands)
        asked.append(len(reply[1]) // 2)
        return [reply]

    found._asked = counted  # type: ignore[method-assign]
    assert len(found.entries(0, 0, 5)) == 5
    assert sum(asked) < 30
    looked.close()


def test_what_cannot_be_read_is_said(
    server: Server, name: str, opened: Any, client: Any, run: Run
) -> None:
    store = opened(of="Map", codec=None, partitions=1)
    append(store, ops_of(put("\x1b", "\x1b"), part("p", "")))
    (waiting,) = client.keys(f"{{{name}:0:0}}:w")
    client.hset(waiting, "short", b"x")
    client.hset(waiting, b"\xc1", client.hget(waiting, "p")[:-1])
    code, out, _ = run("inspect", server.url, name)

    assert code == 0
    assert "1 bytes that are no record" in out
    assert "its parts are damaged" in out
    assert "a key cannot be read" in out
    assert "\x1b" not in out


@pytest.mark.parametrize("codec", ["pickle", (str.encode, bytes.decode)])
def test_what_needs_code_is_counted(server: Server, name: str, run: Run, codec: Any) -> None:
    storage = Redis(server.url, codec=codec, ack="server", ack_timeout=20)
    with Map[str, str](name, storage=storage, partitions=1) as mapped:
        mapped.put("ada", "x")
        mapped.put_newer("ada", "y", 7)
    (entry,) = shown(run, server.url, name)

    assert entry["version"] == 7
    assert "bytes of p" in entry["said"]
    if codec == "pickle":
        assert entry["key_said"].startswith("a key of ")
    else:
        assert entry["key"] == "ada"


def test_a_queue_has_none(server: Server, name: str, opened: Any, run: Run) -> None:
    opened(codec=None)
    assert shown(run, server.url, name) == []
