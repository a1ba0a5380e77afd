"""What was given up of a shared buffer is asked for of its server, which may be away."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from asking import act, ask, content
from helpers import wait_until
from parcels import claimed
from servers import Server

from partitioned_buffer import Queue, Retry
from partitioned_buffer.dashboard import Page, letters, reading
from partitioned_buffer.errors import StorageAway
from partitioned_buffer.storage.codec import make_codec
from partitioned_buffer.storage.redis import Redis
from partitioned_buffer.testing.sharing import SharedDict

SECRET = "ada@example.com"


def refuse(_batch: object) -> None:
    raise ValueError(f"no such user: {SECRET}")


def told(page: Page, name: str = "events") -> Any:
    return content(ask(page, "/api/buffer", f"name={name}"))["buffer"]


def test_letters_on_a_server_are_shown_and_given_back(server: Server, name: str) -> None:
    storage = Redis(server.url, ack="server", ack_timeout=20)
    options: Any = {"storage": storage, "processing_interval": 0.02, "retry": Retry(attempts=1)}
    page = Page(actions=True, messages=True, show_item=lambda item: f"number {item}")
    got, is_broken = list[int](), True

    def picky(batch: list[int]) -> None:
        if is_broken:
            refuse(batch)
        got.extend(batch)

    with Queue[int](name, picky, partitions=3, partition_key=lambda item: item, **options) as queue:
        began = time.time()
        queue.push_all(range(15))
        wait_until(lambda: queue.stats().dead_lettered == 15)
        plain = told(Page(), name)["dead_letters"]
        assert {each["error"] for each in plain} == {"ValueError"}
        assert not any("items" in each for each in plain)
        shown = told(page, name)["dead_letters"]
        assert {each["error"] for each in shown} == {f"ValueError: no such user: {SECRET}"}
        assert all(abs(each["time"] - began) < 3600 for each in shown)
        items = [item for each in shown for item in each["items"]]
        assert sorted(items) == sorted(f"number {each}" for each in range(15))
        is_broken = False
        assert act(page, "/api/replay", name)[0] == 202
        wait_until(lambda: sorted(got) == [*range(15)])
        wait_until(lambda: told(page, name)["replay"]["is_over"])
        assert told(page, name)["dead_letters"] == []


def test_few_are_asked_of_a_server_that_has_many(opened: Any, server: Server, name: str) -> None:
    store = opened(partitions=2, codec=None)
    claims = [claimed(store, partition) for partition in range(2)]
    long = ["x" * (letters.TAIL // 2)]
    for number in range(40):
        data = make_codec().pack(long if number < 4 else [number])
        store.bury(claims[0], data, 1, "OSError: " + "down " * 999, 8)
    for each in (["a"], long, long):
        store.bury(claims[1], make_codec().pack(each), 1, "OSError", 8)
    with Queue[Any](name, storage=Redis(server.url)):
        shown = told(Page(show_item=str, messages=True), name)["dead_letters"]
    assert [each["items"][0][:20] for each in shown[:6]] == [
        *("x" * 20, "(too long to be shown"[:20], "a", "39", "38", "37"),
    ]
    assert (len(shown), len(shown[3]["error"])) == (20, letters.LONGEST)


def test_what_a_smaller_layout_has_no_partition_for_is_given_back(
    opened: Any, server: Server, name: str
) -> None:
    store, page, got = opened(partitions=4, codec=None), Page(actions=True), list[int]()
    claim = claimed(store, 3)
    store.bury(claim, make_codec().pack([7]), 1, "OSError", 8)
    store.release(claim)
    store.resize(1)
    store.refresh()
    with Queue[int](name, got.extend, storage=Redis(server.url), processing_interval=0.02):
        assert [each["count"] for each in told(page, name)["dead_letters"]] == [1]
        assert act(page, "/api/replay", name)[0] == 202
        wait_until(lambda: got == [7])
        wait_until(lambda: told(page, name)["dead_letters"] == [])


# --- a server that is away -----------------------------------------------------------------


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> SharedDict:
    monkeypatch.setattr(reading, "PATIENCE", 0.05)
    return SharedDict()


@pytest.fixture
def queue(storage: SharedDict) -> Iterator[Queue[int]]:
    """One that has given up an item."""
    options: Any = {"partitions": 1, "processing_interval": 0.01, "retry": Retry(attempts=1)}
    with Queue[int]("events", refuse, storage=storage, **options) as made:
        made.push(1)
        wait_until(lambda: made.stats().dead_lettered == 1)
        yield made
        storage.fails = None


@pytest.mark.usefixtures("queue")
def test_a_server_that_is_known_to_be_away_is_not_asked(storage: SharedDict) -> None:
    page, asked = Page(), list[str]()
    assert told(page)["dead_letters"][0]["error"] == "ValueError"
    storage.fails = StorageAway(SECRET)
    wait_until(lambda: told(page)["state"] == "away")
    storage.on_call = asked.append
    found = told(page)
    assert "dead_letters" not in found
    assert found["dead_letters_error"] == "what keeps them cannot be reached"
    assert found["stats"]["dead_lettered"] == 1
    assert "last_dead" not in asked
    storage.fails = None
    wait_until(lambda: "dead_letters" in told(page))


@pytest.mark.usefixtures("queue")
def test_a_server_that_does_not_answer_leaves_the_numbers_to_be_seen(storage: SharedDict) -> None:
    page, go, asked = Page(), threading.Event(), list[str]()

    def hang(call: str) -> None:
        if call == "last_dead":
            asked.append(call)
            go.wait(60)

    storage.on_call = hang
    for _ in range(3):
        found = told(page)
        assert found["dead_letters_error"] == "what keeps them does not answer"
        assert found["stats"]["dead_lettered"] == 1
    assert len(asked) == 1, "it is asked again when it has answered"
    go.set()
    wait_until(lambda: "dead_letters" in told(page))


@pytest.mark.usefixtures("queue")
def test_a_server_that_refuses_is_said_to(storage: SharedDict) -> None:
    def fail(call: str) -> None:
        if call == "last_dead":
            raise StorageAway(SECRET)

    storage.on_call = fail
    assert told(Page())["dead_letters_error"] == "what keeps them raised StorageAway"
