"""What was given up: who sees it, and how it is given back."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from asking import act, ask, content
from helpers import Buffers, wait_until

from partitioned_buffer import AsyncQueue, Entry, Map, Queue, Retry
from partitioned_buffer.dashboard import Page
from partitioned_buffer.dead_letters import DeadLetterFile
from partitioned_buffer.storage import SQLite
from partitioned_buffer.testing import FakeClock, RecordingProcessor
from partitioned_buffer.testing.sharing import SharedDict

ONCE = Retry(attempts=1)
SECRET = "ada@example.com"


class Destination:
    """Refuses everything, until it is mended."""

    def __init__(self) -> None:
        self.is_broken = True
        self.items: list[Any] = []

    def __call__(self, batch: list[Any]) -> None:
        if self.is_broken:
            raise ValueError(f"no such user: {SECRET}")
        self.items += batch


Made = Callable[..., Any]


@pytest.fixture
def destination() -> Destination:
    return Destination()


@pytest.fixture(params=["file", "stored", "shared"])
def queue(
    request: pytest.FixtureRequest, tmp_path: Path, destination: Destination
) -> Iterator[Any]:
    """One that keeps what is given up."""
    ways: dict[str, Any] = {
        "file": lambda: {"dead_letter": DeadLetterFile(tmp_path / "letters")},
        "stored": lambda: {"storage": SQLite(tmp_path / "events.db")},
        "shared": lambda: {"storage": SharedDict()},
    }
    options = ways[request.param]()
    made = Queue[Any](
        "events", destination, partitions=1, processing_interval=0.01, retry=ONCE, **options
    )
    with made:
        yield made


def given_up(queue: Any, count: int) -> None:
    wait_until(lambda: queue.stats().dead_lettered == count)


def letters(page: Page) -> Any:
    return content(ask(page, "/api/buffer", "name=events"))["buffer"].get("dead_letters")


def replayed(page: Page) -> Any:
    """Wait for the end of the replay; return what is said of it."""

    def is_over() -> bool:
        replay = content(ask(page, "/api/buffer", "name=events"))["buffer"]["replay"]
        return bool(replay["is_over"])

    wait_until(is_over)
    return content(ask(page, "/api/buffer", "name=events"))["buffer"]["replay"]


# --- who sees it -------------------------------------------------------------------------------


def test_the_last_are_shown_without_what_they_hold(queue: Any) -> None:
    queue.push_all([{"user": SECRET}] * 3)
    given_up(queue, 3)
    body = ask(Page(), "/api/buffer", "name=events").body
    assert SECRET.encode() not in body
    found = letters(Page())
    assert sum(each["count"] for each in found) == 3
    assert {each["error"] for each in found} == {"ValueError"}
    assert all(each["attempts"] >= 1 for each in found)
    assert not any("items" in each for each in found)
    assert letters(Page(messages=True))[0]["error"] == f"ValueError: no such user: {SECRET}"


def test_items_are_shown_as_a_function_says(queue: Any) -> None:
    queue.push_all([{"user": SECRET, "number": number} for number in range(2)])
    given_up(queue, 2)

    def redacted(item: Any) -> str:
        return f"number {item['number']}"

    found = letters(Page(show_item=redacted))
    shown = [item for each in reversed(found) for item in each["items"]]
    assert sorted(shown) == ["number 0", "number 1"]
    broken = letters(Page(show_item=lambda item: item["nothing"]))
    assert {item for each in broken for item in each["items"]} == {"(show_item raised KeyError)"}


def test_entries_of_a_map_are_shown_as_entries(tmp_path: Path, destination: Destination) -> None:
    file = DeadLetterFile(tmp_path / "letters")
    options: Any = {"partitions": 1, "processing_interval": 0.01, "retry": ONCE}
    kept: list[Any] = [{"dead_letter": file}]
    kept += [{"storage": each} for each in (SQLite(tmp_path / "seen.db"), SharedDict())]
    for keeps in kept:
        with Map[str, int]("events", destination, **options, **keeps) as seen:
            seen.put_newer("a", 7, version=3)
            given_up(seen, 1)
            (letter,) = letters(Page(show_item=repr))
            assert letter["items"] == [repr(Entry("a", 7, 3, 0))]


def test_few_are_shown_of_many_and_no_torn_lines(
    tmp_path: Path, buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    path = tmp_path / "letters"
    queue = buffers.queue(name="events", dead_letter=DeadLetterFile(path), retry=ONCE)
    assert letters(Page()) == []
    processor.fail_always(ValueError())
    queue.push_all(["x" * 300 for _ in range(500)])
    clock.advance(5.0)
    with path.open("ab") as file:
        file.write(b'{"half": \n[]\n#"item": 1}\n')
    found = letters(Page(show_item=str))
    assert len(found) == 17  # of the last 20 lines
    assert all(len(each["items"][0]) == 300 for each in found)


# --- the way back ------------------------------------------------------------------------------


def test_what_was_given_up_is_given_back(queue: Any, destination: Destination) -> None:
    page = Page(actions=True)
    queue.push_all(range(25))
    given_up(queue, 25)
    destination.is_broken = False
    assert act(page, "/api/replay", "events")[0] == 202
    assert replayed(page) == {"given_back": 25, "is_over": True, "error": None}
    wait_until(lambda: sorted(destination.items) == list(range(25)))
    assert not letters(page)


def test_what_is_given_up_again_is_kept(queue: Any, destination: Destination) -> None:
    page = Page(actions=True)
    queue.push_all(range(5))
    given_up(queue, 5)
    assert act(page, "/api/replay", "events")[0] == 202
    assert replayed(page)["is_over"]
    wait_until(lambda: queue.stats().held == 0)
    destination.is_broken = False
    assert act(page, "/api/replay", "events")[0] == 202
    replayed(page)
    wait_until(lambda: sorted(destination.items) == list(range(5)))


def test_one_replay_goes_on_at_a_time(tmp_path: Path) -> None:
    go, page = threading.Event(), Page(actions=True)

    class Slow(DeadLetterFile):
        def replay(self, *given: Any, **options: Any) -> Any:
            go.wait(60)
            raise OSError("secret")

    with Queue[int]("events", print, dead_letter=Slow(tmp_path / "letters")):
        assert act(page, "/api/replay", "events")[0] == 202
        assert act(page, "/api/replay", "events")[0] == 409
        go.set()
        assert replayed(page) == {"given_back": 0, "is_over": True, "error": "OSError"}
        assert act(page, "/api/replay", "events")[0] == 202
        replayed(page)


def test_what_keeps_nothing_has_nothing_to_give_back(buffers: Buffers) -> None:
    buffers.queue(name="events")
    stopped = Queue[int]("stopped", print, dead_letter=DeadLetterFile("letters"))
    status, told = act(Page(actions=True), "/api/replay", "events")
    assert (status, "neither a DeadLetterFile nor a storage" in told["error"]) == (409, True)
    assert act(Page([stopped], actions=True), "/api/replay", "stopped")[0] == 409


# --- flush -------------------------------------------------------------------------------------


@pytest.mark.both_faces
def test_a_flush_delivers_what_is_held(
    buffers: Buffers, processor: RecordingProcessor, face: str
) -> None:
    queue = buffers.queue(name="events")
    queue.push_all(range(3))
    status, told = act(Page(actions=True), "/api/flush", "events")
    assert (status, told) == (200, {"format": 1, "flushed": True, "held": 0})
    assert processor.items == [0, 1, 2]


def test_a_flush_takes_no_longer_than_it_may(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    page, queue = Page(actions=True), buffers.queue(name="events")
    processor.block()
    queue.push(1)
    told = list[Any]()
    thread = threading.Thread(target=lambda: told.append(act(page, "/api/flush", "events")))
    thread.start()
    processor.wait_for_call()
    assert act(page, "/api/flush", "events")[0] == 409  # one at a time
    clock.jump(5.0)
    thread.join()
    assert told == [(200, {"format": 1, "flushed": False, "held": 1})]


def test_what_does_not_run_is_not_flushed() -> None:
    never: list[Any] = [Queue("queue", print), AsyncQueue("tasks", print)]
    page = Page(never, actions=True)
    for name in ("queue", "tasks"):
        assert act(page, "/api/flush", name)[0] == 409
