"""
Chunks that do not go through a script: pushed before it, and taken back by it, or read before it,
if it says that they are what comes next.
"""

from collections.abc import Callable
from typing import Any

import pytest
from parcels import append, claimed, everything, kinds, parcel, step, text
from redis.exceptions import ExecAbortError

from partitioned_buffer.abc import Chunk
from partitioned_buffer.abc.sharing import ClaimLost, StorageAway
from partitioned_buffer.storage.redis.kinds import queue
from partitioned_buffer.storage.redis.kinds.kind import Terms
from partitioned_buffer.storage.redis.naming import Names
from partitioned_buffer.storage.redis.scripts import call
from partitioned_buffer.storage.redis.store import RedisStore
from partitioned_buffer.storage.redis.wire.faults import translated


@pytest.fixture(autouse=True)
def _large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "_LARGE", 1)


def calls_of(client: Any, command: str) -> int:
    """Return how often it was called since `config_resetstat`."""
    return int(client.info("commandstats").get(f"cmdstat_{command}", {"calls": 0})["calls"])


def is_tidy(client: Any, store: RedisStore) -> bool:
    of = store._names.of(0, 0)
    return bool(client.llen(of.w) == client.llen(of.at))


class Between:
    """Has something happen on the server before the last command of the next step."""

    def __init__(self, store: RedisStore, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sent: list[str] = []
        self.happens: Callable[[], object] | None = None
        self.first_fails = False
        spread = store._servers.spread

        def apart(use: str, keyed: Any, **options: Any) -> list[Any]:
            if use != "step":
                return spread(use, keyed, **options)
            self.sent = [command[0] for _, command in keyed]
            replies = spread(use, keyed[:-1])
            if (happens := self.happens) is not None:
                self.happens = None
                happens()
            if self.first_fails:
                replies = [StorageAway("...")]
            return replies + spread(use, keyed[-1:])

        monkeypatch.setattr(store._servers, "spread", apart)


@pytest.fixture
def between(store: RedisStore, monkeypatch: pytest.MonkeyPatch) -> Between:
    return Between(store, monkeypatch)


def test_what_comes_next_is_read_beside_the_step(store: RedisStore, between: Between) -> None:
    append(store, *(parcel("abc", known=known) for known in range(0, 18, 3)))
    claim = claimed(store)
    assert text(step(store, claim, records=1)) == "abc"
    assert between.sent == ["EVALSHA"]  # it knew nothing yet

    read = step(store, claim, 3, records=5)

    assert between.sent == ["LRANGE", "EVALSHA"]
    assert read == (3, [Chunk(3, 3, b"abc"), Chunk(6, 3, b"abc")], 18)
    assert step(store, claim, 9).chunks[0] == Chunk(9, 3, b"abc")
    step(store, claim, 18, records=0)
    assert between.sent == ["EVALSHA"]


def test_small_chunks_are_read_by_the_step(
    store: RedisStore, between: Between, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(store, parcel("abc"), parcel("de", known=3), parcel("fgh", known=5))
    monkeypatch.setattr(queue, "_LARGE", 3)
    claim = claimed(store)
    assert text(step(store, claim, records=4)) == "abcde"

    assert text(step(store, claim, 0)) == "fgh"
    assert between.sent == ["EVALSHA"]
    step(store, claim, 0)
    assert between.sent == ["LRANGE", "EVALSHA"]


def test_no_more_is_read_beside_than_there_is_room_for(store: RedisStore, between: Between) -> None:
    append(store, *(parcel("abc", known=known) for known in range(0, 90, 3)))
    claim = claimed(store)
    step(store, claim, records=1)

    assert len(step(store, claim, 0, max_bytes=9).chunks) == 3
    assert len(step(store, claim, 0, max_bytes=2).chunks) == 1
    assert between.sent == ["EVALSHA"]
    assert text(step(store, claim, 0)) == 25 * "abc"


def test_what_is_appended_in_between_is_for_the_next_step(
    store: RedisStore, between: Between
) -> None:
    append(store, parcel("abc"), parcel("def", known=3))
    claim = claimed(store)
    step(store, claim, records=1)

    between.happens = lambda: append(store, parcel("ghi", known=6))
    assert step(store, claim, 2) == (2, [], 9)
    assert step(store, claim, 2) == (2, [Chunk(3, 3, b"def"), Chunk(6, 3, b"ghi")], 9)


def test_what_is_trimmed_in_between_is_read_by_the_step(
    store: RedisStore, between: Between
) -> None:
    """By an earlier step of the same claim, say, that was long on its way."""
    append(store, *(parcel(each, known=3 * at) for at, each in enumerate(("abc", "def", "ghi"))))
    claim = claimed(store)
    step(store, claim, records=1)
    of, value = store._names.of(0, 0), store._claims.value_of(claim)

    def trims() -> None:
        keys = [of.lease, of.meta, of.w, of.at]
        late = call("step", keys, value, 9999, 3, 3, 0, 0, claim.state.last, 0, 0, -1)
        store._servers.call("rest", of.w, late)

    between.happens = trims
    assert step(store, claim, 3, records=1) == (3, [Chunk(3, 3, b"def")], 9)
    assert step(store, claim, 6) == (6, [Chunk(6, 3, b"ghi")], 9)


def test_who_is_no_owner_any_more_reads_nothing(
    store: RedisStore, between: Between, opened: Any
) -> None:
    append(store, parcel("abc"), parcel("def", known=3))
    claim, other = claimed(store), opened()
    step(store, claim, records=1)

    def takes_over() -> None:
        store.release(claim)
        step(other, claimed(other), 3)

    between.happens = takes_over
    with pytest.raises(ClaimLost):
        step(store, claim, 3)


def test_behind_a_step_that_was_not_answered_nothing_is_read_beside(
    store: RedisStore, between: Between
) -> None:
    append(store, parcel("abc"), parcel("def", known=3))
    claim = claimed(store)
    step(store, claim, records=1)

    def fails() -> None:
        raise StorageAway("...")

    between.happens = fails
    with pytest.raises(StorageAway):
        step(store, claim, 3)
    assert text(step(store, claim, 3)) == "def"
    assert between.sent == ["EVALSHA"]


def test_a_step_beside_which_nothing_could_be_read_is_taken_again(
    store: RedisStore, between: Between
) -> None:
    append(store, parcel("abc"), parcel("def", known=3))
    claim = claimed(store)
    step(store, claim, records=1)

    between.first_fails = True
    with pytest.raises(StorageAway):
        step(store, claim, 3)
    between.first_fails = False
    assert text(step(store, claim, 3)) == "def"


def test_a_server_without_memory_is_full_and_can_be_emptied(own: Any, opened: Any) -> None:
    server = own()
    store = opened(server.url)
    append(store, parcel("abc"), parcel("def", known=3))
    with server.client() as client:
        client.config_set("maxmemory", 1)
        assert kinds(append(store, parcel("g", known=6))) == ["StorageFull"]
        assert is_tidy(client, store)
        assert append(store, parcel("def", known=3)) == [None]  # that is there

        claim = claimed(store)
        assert text(step(store, claim, records=1)) == "abc"
        assert step(store, claim, 3) == (3, [Chunk(3, 3, b"def")], 6)
        client.config_set("maxmemory", 0)

    assert append(store, parcel("g", known=6)) == [None]


# What is pushed.


def test_the_script_is_not_given_what_was_pushed() -> None:
    of, terms = Names("name").of(0, 0), Terms(0, 9999, False, "news", smooth=True)

    pushed, said = queue.QueueKind().append(of, "p", parcel("abc"), 0, terms)

    assert pushed == ("RPUSH", of.w, b"abc")
    assert b"abc" not in said


def test_a_transaction_that_is_refused_as_a_whole_is_sent_again() -> None:
    reply = ExecAbortError("Transaction discarded because of: OOM command not allowed")

    assert isinstance(translated("where", reply), StorageAway)


def test_what_is_refused_is_sent_through_the_script_from_then_on(own: Any, opened: Any) -> None:
    """Else each try would write all of it to the server's file, and to its replicas."""
    server = own()
    store = opened(server.url, limit=4)
    append(store, parcel("abc"))
    with server.client() as client:
        for pushed in (1, 0):
            client.config_resetstat()
            assert kinds(append(store, parcel("de", known=3))) == ["StorageFull"]
            assert calls_of(client, "rpush") == pushed
            assert is_tidy(client, store)
        assert everything(store) == "abc"
        assert append(store, parcel("de", known=3)) == [None]

        client.config_resetstat()
        assert kinds(append(store, parcel("f", known=5))) == ["StorageFull"]
        assert calls_of(client, "rpush") == 1


def test_a_server_that_forgot_its_scripts_has_each_once(
    store: RedisStore, client: Any, opened: Any
) -> None:
    far = opened()
    client.script_flush()
    parcels = parcel("abc"), parcel("def", known=3), parcel("xyz", partition=1)

    assert append(far, *parcels) == [None] * 3

    assert is_tidy(client, store)
    assert everything(store) == "abcdef"
    assert everything(store, 1) == "xyz"


def test_a_script_that_fails_leaves_nothing_that_is_delivered(own: Any, opened: Any) -> None:
    server = own()
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "me", "on", ">x", "~*", "&*", "+@all")
        store = opened(f"redis://me:x@127.0.0.1:{server.port}")
        append(store, parcel("abc"))

        client.execute_command("ACL", "SETUSER", "me", "-hmget")
        assert kinds(append(store, parcel("def", known=3))) == ["StorageAway"]
        client.execute_command("ACL", "SETUSER", "me", "+hmget")
        assert not is_tidy(client, store)

        claim = claimed(store)
        assert text(step(store, claim, records=1)) == "abc"
        assert step(store, claim, 3) == (3, [], 3)
        assert append(store, parcel("def", known=3)) == [None]
        assert is_tidy(client, store)
        assert text(step(store, claim, 3)) == "def"


def test_who_retires_leaves_no_trouble_behind(opened: Any) -> None:
    store = opened(limit=2)
    append(store, parcel("abc"))
    append(store, parcel("d", known=3))
    assert store._appender._rough == {("p", (0, 0))}

    store.retire("p")

    assert not store._appender._rough
