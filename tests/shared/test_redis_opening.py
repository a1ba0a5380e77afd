"""What is looked at before a buffer is trusted to a server."""

import socket
from typing import Any

import pytest
from forks import Child
from parcels import append, everything, parcel
from servers import Server, free_port

from partitioned_buffer import Queue
from partitioned_buffer.abc.sharing import SharedTerms, StorageAway
from partitioned_buffer.errors import StorageFull, StorageRefused
from partitioned_buffer.storage.redis import Redis
from partitioned_buffer.storage.redis.store import RedisStore
from partitioned_buffer.storage.redis.wire.servers import Servers


def test_who_opens_the_same_buffer_shares_it(store: RedisStore, opened: Any) -> None:
    other = opened()

    assert other.identity == store.identity
    assert other.me != store.me
    assert store.me.startswith("host:1:")
    append(store, parcel("abc"))
    assert everything(other) == "abc"


def test_buffers_of_other_names_have_nothing_in_common(store: RedisStore, opened: Any) -> None:
    other = opened(named=f"{store._names._name}-2")
    append(store, parcel("abc"))

    assert other.identity != store.identity
    assert everything(other) == ""


@pytest.mark.parametrize("odd", ["", "{}", "}{", "%7B}", "a b", "ä:0:1", "{x}y", "a\nb", "\ud800"])
def test_names_may_be_anything(opened: Any, name: str, odd: str) -> None:
    store = opened(named=odd + name)
    append(store, parcel("abc"))

    assert everything(store) == "abc"


def test_names_that_look_alike_are_other_buffers(opened: Any, name: str) -> None:
    names = ["{" + name, "%7B" + name, name, name + "}", name + ":0"]

    assert len({opened(named=each).identity for each in names}) == len(names)


@pytest.mark.parametrize(
    ("terms", "options", "said"),
    [
        ({"partitions": 3}, {}, "partitions is '2' there, '3' here"),
        ({"kind": "Map"}, {}, "kind is 'Queue' there, 'Map' here"),
        ({}, {"codec": (str.encode, bytes.decode)}, "codec is 'pickle' there, 'pair:"),
    ],
)
def test_a_buffer_that_was_made_otherwise_is_refused(
    store: RedisStore, name: str, server: Server, terms: Any, options: Any, said: str
) -> None:
    with pytest.raises(StorageRefused) as raised:
        Redis(server.url, **dict[str, Any](codec="pickle") | options).share(
            SharedTerms(name, "Queue", 2, "x")._replace(**terms)
        )
    assert said in str(raised.value)
    assert name in str(raised.value)


def test_a_format_of_a_later_version_is_refused(opened: Any, client: Any, name: str) -> None:
    client.hset(f"{{{name}}}:config", "format", "2")

    with pytest.raises(StorageRefused, match="format is '2' there, '1' here"):
        opened()


def test_a_server_that_is_not_there_is_away(opened: Any) -> None:
    with pytest.raises(StorageAway, match=r"127\.0\.0\.1"):
        opened(f"redis://127.0.0.1:{free_port()}")


def test_a_server_that_does_not_answer_is_away(opened: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(StorageAway):
        opened(f"redis://127.0.0.1:{silent.getsockname()[1]}")


def test_what_would_throw_away_is_refused(own: Any, opened: Any) -> None:
    server = own("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")

    with pytest.raises(StorageRefused, match=r"maxmemory-policy is allkeys-lru.*noeviction"):
        opened(server.url)


def test_a_replica_is_refused(own: Any, opened: Any, server: Server) -> None:
    replica = own("--replicaof", "127.0.0.1", str(server.port))

    with pytest.raises(StorageRefused, match=r"is a slave.*expected a primary"):
        opened(replica.url)


def test_an_old_server_is_refused(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Servers.info

    def old(servers: Servers, *args: Any, **options: Any) -> dict[str, str]:
        return real(servers, *args, **options) | {"redis_version": "6.2.14"}

    monkeypatch.setattr(Servers, "info", old)

    with pytest.raises(StorageRefused, match=r"of version 6\.2\.14: expected 7\.0 or later"):
        opened()


def test_a_server_without_a_file_is_a_risk(own: Any, opened: Any, store: RedisStore) -> None:
    (warning,) = store.warnings
    assert "append-only file" in warning

    assert list(opened(own(aof=True).url).warnings) == []


def test_a_warning_says_once_which_server_it_is_of(
    server: Server, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    with Queue[int](name, storage=Redis(server.url)):
        pass

    (record,) = caplog.records
    where = f"127.0.0.1:{server.port}"
    assert record.getMessage().startswith(f"buffer {name!r}: {where} has no append-only file")
    assert record.getMessage().count(where) == 1


@pytest.mark.parametrize("password", ["", "wrong"])
def test_a_wrong_password_is_refused(own: Any, opened: Any, password: str) -> None:
    server = own("--requirepass", "right")

    with pytest.raises(StorageRefused) as raised:
        opened(f"redis://:{password}@127.0.0.1:{server.port}" if password else server.url)
    assert "password" in str(raised.value)
    assert "wrong" not in str(raised.value).replace("WRONGPASS", "").replace("invalid", "")

    store = opened(f"redis://:right@127.0.0.1:{server.port}")
    assert append(store, parcel("a")) == [None]
    assert "right" not in store.where


def test_a_user_that_may_not_is_refused(own: Any, opened: Any) -> None:
    server = own()
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "me", "on", ">x", "~*", "&*", "+@all", "-info")

        with pytest.raises(StorageRefused, match="allowed"):
            opened(f"redis://me:x@127.0.0.1:{server.port}")

        # What is only asked for a warning may be forbidden.
        client.execute_command("ACL", "SETUSER", "me", "+@all", "-config")
        assert opened(f"redis://me:x@127.0.0.1:{server.port}").warnings


@pytest.mark.parametrize(
    "rights",
    ["-set", "-publish", "-ltrim", "-hincrby", "-pexpire", "resetchannels", "resetkeys ~other*"],
)
def test_a_user_that_may_not_do_all_is_refused(own: Any, opened: Any, rights: str) -> None:
    server = own()
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "me", "on", ">x", "~*", "&*", "+@all")
        client.execute_command("ACL", "SETUSER", "me", *rights.split())

        with pytest.raises(StorageRefused, match="allowed"):
            opened(f"redis://me:x@127.0.0.1:{server.port}")


def test_trying_out_leaves_nothing(own: Any, opened: Any) -> None:
    server = own()
    opened(server.url)
    with server.client() as client:
        assert [each.rpartition(b":")[2] for each in client.keys("*")] == [b"config"]


def test_a_socket_in_the_file_system_will_do(own: Any, opened: Any, tmp_path: Any) -> None:
    path = tmp_path / "s"
    own("--unixsocket", str(path))

    store = opened(f"unix://{path}?db=3")

    assert store.where == str(path)
    append(store, parcel("abc"))
    assert everything(store) == "abc"


def test_databases_are_apart(opened: Any, server: Server) -> None:
    one, other = opened(f"{server.url}/1"), opened(f"{server.url}/2")
    append(one, parcel("abc"))

    assert everything(one) == "abc"
    assert everything(other) == ""


def test_a_full_server_is_opened_to_be_emptied(own: Any, opened: Any) -> None:
    server = own()
    store = opened(server.url)
    append(store, parcel("abc"))
    with server.client() as client:
        client.config_set("maxmemory", 1)

    worker = opened(server.url)
    worker.beat()
    assert everything(worker) == "abc"
    (full,) = append(worker, parcel("d", known=3))
    assert isinstance(full, StorageFull)


@pytest.mark.filterwarnings("ignore:.*fork")
def test_a_child_that_closes_takes_nothing_from_its_parent(store: RedisStore) -> None:
    append(store, parcel("abc"))

    Child(store.close).result()

    assert everything(store) == "abc"
