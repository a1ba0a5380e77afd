"""Servers that are away, asleep, full, read-only, new or forgetful: nothing is lost unsaid."""

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from parcels import append, claimed, everything, kinds, parcel, step, text
from relays import Relay
from servers import Server, wait_until

from partitioned_buffer.abc.sharing import ClaimLost, Gap, StorageAway
from partitioned_buffer.errors import StorageFull, StorageRefused
from partitioned_buffer.storage.redis.store import RedisStore

Calls = dict[str, Callable[[RedisStore], object]]

CALLS: Calls = {
    "beat": lambda store: store.beat(),
    "claim": lambda store: store.claim(1),
    "depth": lambda store: store.depth(),
    "hurry": lambda store: store.hurry(),
    "refresh": lambda store: store.refresh(),
    "resize": lambda store: store.resize(3),
    "retire": lambda store: store.retire("p"),
    "dead": lambda store: list(store.dead(0)),
    "last_dead": lambda store: store.last_dead(20, 0),
    "forget_dead": lambda store: store.forget_dead(0, 1),
}


@pytest.mark.parametrize("name_of_call", CALLS)
def test_a_server_that_is_away_is_said_to_be(opened: Any, relay: Relay, name_of_call: str) -> None:
    store = opened(relay.url)
    relay.refusing = True
    relay.cut()

    with pytest.raises(StorageAway):
        CALLS[name_of_call](store)

    relay.refusing = False
    CALLS[name_of_call](store)


def test_claims_of_a_server_that_is_away_are_not_lost(opened: Any, relay: Relay) -> None:
    store = opened(relay.url)
    append(store, parcel("abc"))
    claim = claimed(store)
    until = claim.until
    relay.refusing = True
    relay.cut()

    with pytest.raises(StorageAway):
        step(store, claim)
    with pytest.raises(StorageAway):
        store.bury(claim, b"a", 1, "no", 1)
    with pytest.raises(StorageAway):
        store.release(claim)
    assert kinds(append(store, parcel("d", known=3))) == ["StorageAway"]
    assert claim.until == until

    relay.refusing = False
    assert text(step(store, claim)) == "abc"
    step(store, claim)


def test_a_server_that_sleeps_holds_nobody_up_for_long(own: Any, opened: Any) -> None:
    server = own()
    store = opened(server.url)
    append(store, parcel("abc"))
    claim = claimed(store)
    with server.asleep():
        start = time.monotonic()
        assert kinds(append(store, parcel("d", known=3))) == ["StorageAway"]
        with pytest.raises(StorageAway):
            step(store, claim)
        assert time.monotonic() - start < 2.5

    assert append(store, parcel("d", known=3)) == [None]
    assert text(step(store, claim)) == "abcd"


def test_who_reads_holds_up_nobody_who_writes(own: Any, opened: Any) -> None:
    """Each use has connections of its own: all of one may be taken."""
    store = opened(own().url)
    pool = store._servers.connections.pool("rest", store._servers.seed)
    taken = [pool.get_connection() for _ in range(4)]

    assert append(store, parcel("abc")) == [None]
    with pytest.raises(StorageAway):
        store.beat()
    for each in taken:
        pool.release(each)
    store.beat()


def test_scripts_that_the_server_forgot_are_loaded(own: Any, opened: Any) -> None:
    server = own()
    store = opened(server.url)

    def forget() -> None:
        with server.client() as client:
            client.script_flush()

    forget()
    assert append(store, parcel("abc"), parcel("de", known=3)) == [None, None]
    forget()
    claim = claimed(store)
    forget()
    assert text(step(store, claim)) == "abcde"
    forget()
    step(store, claim)
    forget()
    store.bury(claim, b"a", 1, "no", 1)
    forget()
    assert store.beat() == [store.me]
    forget()
    store.resize(3)
    assert everything(store) == "abcde"


def test_a_server_without_memory_is_full_and_can_be_emptied(own: Any, opened: Any) -> None:
    server = own()
    store = opened(server.url)
    append(store, parcel("abc"))
    with server.client() as client:
        client.config_set("maxmemory", 1)

        (full,) = append(store, parcel("d", known=3))
        assert isinstance(full, StorageFull)
        assert "maxmemory" in str(full)
        assert append(store, parcel("abc")) == [None]  # that is there

        claim = claimed(store)
        assert text(step(store, claim)) == "abc"
        store.bury(claim, b"a", 1, "no", 1)
        step(store, claim, 2, given_up=1)
        assert store.depth()[0][2:5] == (3, 2, 1)
        ((number, *_),) = store.dead(0)
        store.forget_dead(0, number)
        store.beat()
        store.hurry()
        store.resize(1)
        assert step(store, claim, 3).settled == 3
        store.release(claim)
        client.config_set("maxmemory", 0)

    assert store.refresh()
    assert append(store, parcel("d", generation=1)) == [None]


def test_a_server_that_became_a_replica_is_away(own: Any, opened: Any, server: Server) -> None:
    once = own()
    store = opened(once.url)
    append(store, parcel("abc"))
    claim = claimed(store)
    with once.client() as client:
        client.replicaof("127.0.0.1", server.port + 1 if server.port < 65535 else 1)

        assert kinds(append(store, parcel("d", known=3))) == ["StorageAway"]
        with pytest.raises(StorageAway):
            step(store, claim, 1)
        client.replicaof("NO", "ONE")

    assert append(store, parcel("d", known=3)) == [None]


def test_a_password_that_was_changed_is_away(own: Any, opened: Any) -> None:
    server = own("--requirepass", "one")
    store = opened(f"redis://:one@127.0.0.1:{server.port}")
    append(store, parcel("abc"))
    server.requires("two", was="one")

    (away,) = append(store, parcel("d", known=3))
    assert isinstance(away, StorageAway)
    assert "password" in str(away)
    with pytest.raises(StorageAway):
        store.beat()

    server.requires("one", was="two")
    assert append(store, parcel("d", known=3)) == [None]


def test_rights_that_were_taken_are_away(own: Any, opened: Any) -> None:
    server = own()
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "me", "on", ">x", "~*", "&*", "+@all")
        store = opened(f"redis://me:x@127.0.0.1:{server.port}")
        for forbidden in ("-evalsha", "-rpush"):
            client.execute_command("ACL", "SETUSER", "me", "+@all", forbidden)
            (away,) = append(store, parcel("abc"))
            assert isinstance(away, StorageAway), away
        client.execute_command("ACL", "SETUSER", "me", "+@all", "-publish")
        assert append(store, parcel("abc")) == [None]  # though nobody is told

    assert everything(store) == "abc"


def test_a_server_that_fails_to_save_is_away(own: Any, opened: Any) -> None:
    """As one without a replica, where there have to be some."""
    server = own()
    store = opened(server.url)
    with server.client() as client:
        client.config_set("min-replicas-to-write", 1)
        (away,) = append(store, parcel("abc"))
        assert isinstance(away, StorageAway)
        assert "NOREPLICAS" in str(away) or "replicas" in str(away)
        client.config_set("min-replicas-to-write", 0)

    assert append(store, parcel("abc")) == [None]


def test_a_server_that_is_busy_is_away(own: Any, opened: Any) -> None:
    server = own("--busy-reply-threshold", "50")
    store = opened(server.url)

    def keep_busy() -> None:
        with server.client() as client, contextlib.suppress(Exception):
            client.eval("while true do end", 0)

    thread = threading.Thread(target=keep_busy)
    thread.start()
    time.sleep(0.3)
    (away,) = append(store, parcel("abc"))
    with server.client() as client:
        client.script_kill()
    thread.join(5)

    assert isinstance(away, StorageAway)
    assert append(store, parcel("abc")) == [None]


def test_something_else_of_that_name_is_refused(store: RedisStore, client: Any, name: str) -> None:
    client.set(f"{{{name}:0:0}}:w", "of somebody else")

    (refused,) = append(store, parcel("abc"))

    assert isinstance(refused, StorageRefused)
    assert "WRONGTYPE" in str(refused)


def test_a_server_with_a_file_is_killed_and_has_it_all(own: Any, opened: Any) -> None:
    server = own("--appendfsync", "always", aof=True)
    store = opened(server.url)
    append(store, parcel("abc"), parcel("xyz", partition=1))
    claim = claimed(store)
    step(store, claim)
    step(store, claim, 2)

    server.kill()
    assert kinds(append(store, parcel("d", known=3))) == ["StorageAway"]
    server.start()

    assert append(store, parcel("abc"), parcel("d", known=3)) == [None, None]
    assert step(store, claim, 2) == (2, [(3, 1, b"d")], 4)
    assert everything(store, 1) == "xyz"
    assert not store.refresh()


def test_a_server_without_a_file_is_killed_and_what_is_lost_is_said(own: Any, opened: Any) -> None:
    server = own()
    store = opened(server.url)
    append(store, parcel("abc"))
    claim = claimed(store)

    server.kill()
    server.start()

    (gap,) = append(store, parcel("d", known=3))
    assert isinstance(gap, Gap)
    assert gap.had == 0
    with pytest.raises(ClaimLost):
        step(store, claim)
    assert append(store, parcel("d"), producer="p-2") == [None]
    assert not store.refresh()
    assert everything(store) == "d"
    # Whoever opens it now finds the same buffer.
    assert opened(server.url).identity == store.identity


def test_what_has_the_position_of_what_was_lost_is_read(
    opened: Any, client: Any, name: str
) -> None:
    """A server may have lost its last writes, and have taken others since, but know the claim."""
    store = opened()
    keys = [f"{{{name}:0:0}}:{each}" for each in ("w", "at", "meta")]
    append(store, parcel("abc"))
    claim = claimed(store)
    assert text(step(store, claim)) == "abc"
    before = [client.dump(key) for key in keys]
    append(store, parcel("de", known=3))
    assert text(step(store, claim, 3)) == "de"

    for key, dumped in zip(keys, before, strict=True):
        client.restore(key, 0, dumped, replace=True)
    time.sleep(0.002)
    append(store, parcel("xy"), parcel("z", known=2), producer="q")

    with pytest.raises(ClaimLost):
        step(store, claim, 3)
    store.release(claim)
    assert everything(store) == "abcxyz"


def test_replicas_have_what_is_said_to_be_there(own: Any, opened: Any) -> None:
    server = own()
    alone = opened(server.url, ack="replicated")
    assert kinds(append(alone, parcel("abc"))) == ["StorageAway"]
    assert kinds(append(alone, parcel("abc"))) == ["StorageAway"]  # there, but on no replica

    replica = own("--replicaof", "127.0.0.1", str(server.port))
    with replica.client() as client:
        wait_until(lambda: client.info("replication")["master_link_status"] == "up")
        both = parcel("abc"), parcel("d", known=3)
        wait_until(lambda: append(alone, *both) == [None, None])  # a new one takes a second
        server.kill()
        client.replicaof("NO", "ONE")
        assert client.llen(f"{{{alone._names._name}:0:0}}:w") == 2


def test_closing_ends_calls_in_other_threads(own: Any, opened: Any) -> None:
    server = own()
    store = opened(server.url)
    found = list[Any]()

    def calling() -> None:
        try:
            store.beat()
        except StorageAway as error:
            found.append(error)

    with server.asleep():
        thread = threading.Thread(target=calling)
        thread.start()
        time.sleep(0.2)
        start = time.monotonic()
        store.close()
        thread.join(5)
        assert time.monotonic() - start < 0.5

    assert found
    store.close()
    with pytest.raises(StorageAway, match="closed"):
        store.beat()
    assert kinds(append(store, parcel("abc"))) == ["StorageAway"]


def test_interrupted_calls_leave_nothing_behind(
    store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the next call on that connection would get the reply of this one."""
    append(store, parcel("abc"))
    interrupted = False

    def interrupting(connection: Any) -> Any:
        nonlocal interrupted
        if not interrupted:
            interrupted = True
            raise KeyboardInterrupt
        return connection.read_response()

    monkeypatch.setattr("partitioned_buffer.storage.redis.wire.connecting._reply_of", interrupting)
    with pytest.raises(KeyboardInterrupt):
        append(store, parcel("d", known=3))

    assert append(store, parcel("d", known=3)) == [None]
    assert everything(store) == "abcd"
