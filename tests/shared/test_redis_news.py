"""Who waits is told."""

import threading
from typing import Any

from parcels import append, claimed, parcel, step
from relays import Relay
from servers import wait_until

from partitioned_buffer import Queue
from partitioned_buffer.storage import Redis
from partitioned_buffer.storage.redis.store import RedisStore


def test_a_partition_that_stops_being_empty_is_news(store: RedisStore) -> None:
    heard = list[int]()
    store.listen(heard.append)
    wait_until(lambda: heard == [-1])

    append(store, parcel("abc", partition=1))
    wait_until(lambda: heard == [-1, 1])
    append(store, parcel("d", known=3, partition=1), parcel("a"))
    wait_until(lambda: heard == [-1, 1, 0])

    claim = claimed(store)
    step(store, claim)
    step(store, claim, 1)
    append(store, parcel("b", known=1))
    wait_until(lambda: heard == [-1, 1, 0, 0])


def test_who_waits_for_a_flush_says_so(store: RedisStore, opened: Any) -> None:
    heard = list[int]()
    store.listen(heard.append)
    wait_until(lambda: heard == [-1])

    opened().hurry()

    wait_until(lambda: heard == [-1, -2])


def test_who_was_not_reached_may_have_missed_something(
    opened: Any, relay: Relay, client: Any, name: str
) -> None:
    heard = list[int]()
    store = opened(relay.url)
    store.listen(heard.append)
    wait_until(lambda: heard == [-1])

    relay.refusing = True
    relay.cut()
    wait_until(lambda: client.pubsub_numsub(f"{{{name}}}:news")[0][1] == 0)
    relay.refusing = False

    wait_until(lambda: heard == [-1, -1])
    append(store, parcel("a"))
    wait_until(lambda: heard == [-1, -1, 0])


def test_a_server_that_is_silent_is_asked_and_left(own: Any, opened: Any) -> None:
    server, heard = own(), list[int]()
    store = opened(server.url)
    store.listen(heard.append)
    wait_until(lambda: heard == [-1])

    with server.asleep():
        wait_until(lambda: store._news[0]._connection is None)

    wait_until(lambda: heard == [-1, -1])


def test_a_quiet_server_that_answers_is_kept(store: RedisStore, monkeypatch: Any) -> None:
    monkeypatch.setattr("partitioned_buffer.storage.redis.news._QUIET", 0.3)
    monkeypatch.setattr("partitioned_buffer.storage.redis.news._LOOK", 0.05)
    heard, asked = list[int](), threading.Event()
    store.listen(heard.append)
    wait_until(lambda: heard == [-1])
    connection = store._news[0]._connection
    send = connection.send_command

    def noted(*words: Any) -> None:
        if asked.is_set():
            again.set()
        asked.set()
        send(*words)

    again = threading.Event()
    connection.send_command = noted

    assert again.wait(10)
    assert heard == [-1]


def test_after_the_end_nothing_is_said(store: RedisStore) -> None:
    heard = list[int]()
    end = store.listen(heard.append)
    wait_until(lambda: heard == [-1])

    end()
    end()
    append(store, parcel("a"))
    store._news[0]._thread.join(5)

    assert not store._news[0]._thread.is_alive()
    assert heard == [-1]


def test_other_words_in_the_channel_are_no_news(store: RedisStore, client: Any, name: str) -> None:
    heard = list[int]()
    store.listen(heard.append)
    wait_until(lambda: heard == [-1])

    client.publish(f"{{{name}}}:news", "hello")
    client.publish(f"{{{name}}}:news", "")
    store.hurry()

    wait_until(lambda: heard == [-1, -2])


def test_closing_ends_all_that_listen(store: RedisStore) -> None:
    store.listen(lambda _: None)
    store.listen(lambda _: None)

    store.close()

    for news in store._news:
        news._thread.join(5)
        assert not news._thread.is_alive()


def test_what_is_free_and_who_has_come_or_gone_is_news(store: RedisStore, opened: Any) -> None:
    other, heard = opened(), list[int]()
    claim = claimed(store)
    other.listen(heard.append)
    wait_until(lambda: heard == [-1])

    store.beat()
    wait_until(lambda: heard == [-1, -3])
    store.beat()
    store.release(claim)
    store.release(claim)
    wait_until(lambda: heard == [-1, -3, -3])
    store.beat(leave=True)
    store.beat(leave=True)
    store.hurry()

    wait_until(lambda: -2 in heard)
    assert heard == [-1, -3, -3, -3, -2]


def test_a_worker_that_was_not_heard_of_is_news_for_all(opened: Any) -> None:
    heard, short, store = list[int](), opened(lease=0.2), opened()
    store.beat()
    short.beat()
    store.listen(heard.append)
    wait_until(lambda: heard == [-1])

    wait_until(lambda: short.me not in store.beat())
    store.beat()
    store.hurry()

    wait_until(lambda: -2 in heard)
    assert heard == [-1, -3, -2]


def test_workers_share_anew_as_soon_as_they_hear_of_others(
    opened: Any, server: Any, name: str, monkeypatch: Any
) -> None:
    """None of them looks by itself, as long as this lasts."""
    monkeypatch.setattr("partitioned_buffer._core.sharing.clerk.LOOK", 300.0)
    other = opened(partitions=4, lease=900)
    storage = Redis(server.url, lease=900, codec="pickle")

    def has(number: int) -> bool:
        owned: int = sum(each.owner == me for each in other.depth())
        return owned == number

    with Queue[int](name, lambda _: None, storage=storage) as queue:
        me = queue._admission.sharing.store.me
        wait_until(lambda: has(4))
        other.beat()
        wait_until(lambda: has(2))
        other.beat(leave=True)
        wait_until(lambda: has(4))
