"""Requests to the page become answers, without a server."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from asking import ask, content, overview
from helpers import Buffers, wait_until

from partitioned_buffer import Queue
from partitioned_buffer.dashboard import Page, Request, reading
from partitioned_buffer.testing import FakeClock, RecordingProcessor

NAME = "a/b ä<img src=x onerror=alert(1)>"


@pytest.fixture
def page() -> Page:
    return Page()


# --- what it tells -----------------------------------------------------------------------


@pytest.mark.both_faces
def test_all_that_runs_is_told_of(buffers: Buffers, page: Page) -> None:
    buffers.queue(name="events", max_size=7, processing_batch_size=3).push_all(range(5))
    buffers.map(name="last seen", partitions=2)
    told = content(ask(page, "/api/buffers"))
    events, seen = told["buffers"]
    assert (told["format"], told["actions"]) == (1, False)
    assert told["process"].keys() == {"pid", "host", "started"}
    assert (events["name"], events["kind"], events["storage"]) == ("events", "Queue", None)
    assert (events["max_size"], events["max_bytes"], events["batch_size"]) == (7, None, 3)
    assert (events["running"], events["stats"]["held"]) == (True, 5)
    assert "partitions" not in events["stats"]
    assert "limit" not in events
    assert (seen["kind"], seen["partitions"]) == ("Map", 2)


def test_one_is_told_of_with_its_partitions(buffers: Buffers, page: Page) -> None:
    queue = buffers.queue(name="events", partitions=3)
    queue.push_all(range(9))
    told = content(ask(page, "/api/buffer", "name=events"))["buffer"]
    assert [part["partition"] for part in told["stats"]["partitions"]] == [0, 1, 2]
    assert sum(part["waiting"] for part in told["stats"]["partitions"]) == 9
    assert told["stats"] == queue.stats().as_dict() | {"partitions": told["stats"]["partitions"]}
    assert "dead_letters" not in told  # nobody knows


def test_those_that_it_was_made_for_are_told_of_and_no_others(buffers: Buffers) -> None:
    buffers.queue(name="other")
    mine = Queue[int]("mine", print)
    page = Page([mine])
    assert overview(page).keys() == {"mine"}
    assert (overview(page)["mine"]["running"], overview(page)["mine"]["state"]) == (
        False,
        "stopped",
    )
    assert ask(page, "/api/buffer", "name=other").status == 404


def test_names_are_any_text(buffers: Buffers, page: Page) -> None:
    buffers.queue(name=NAME)
    buffers.queue(name="half \ud800")
    assert NAME in overview(page)
    quoted = "a%2Fb+%C3%A4%3Cimg%20src%3Dx%20onerror%3Dalert%281%29%3E"
    assert content(ask(page, "/api/buffer", f"name={quoted}"))["buffer"]["name"] == NAME
    assert ask(page, "/api/buffer", "name=half+%ED%A0%80").status == 200


def test_what_an_exception_says_is_told_if_that_is_asked_for_alone(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(name="events")
    processor.fail_always(ValueError("no such user: ada@example.com"))
    queue.push(1)
    clock.advance(5.0)
    for path, query in (("/api/buffers", ""), ("/api/buffer", "name=events")):
        quiet, open_ = ask(Page(), path, query).body, ask(Page(messages=True), path, query).body
        assert b"ValueError" in quiet
        assert b"ada" not in quiet
        assert b"no such user: ada@example.com" in open_


# --- what cannot be told -------------------------------------------------------------------


class Hanging(Queue[int]):
    """One whose numbers are not to be had."""

    raises: BaseException | None = None

    def __init__(self, name: str) -> None:
        super().__init__(name, print)
        self.go = threading.Event()

    def stats(self) -> Any:
        if self.raises is not None:
            raise self.raises
        self.go.wait(60)
        return super().stats()


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    one = Hanging("hanging")
    yield one
    one.go.set()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PATIENCE", 0.05)


@pytest.mark.usefixtures("impatient")
def test_one_that_hangs_is_left_out_until_it_answers(hanging: Hanging) -> None:
    page = Page([Queue("one", print), hanging, Queue("other", print)])
    for _ in range(3):
        told = overview(page)
        assert [each["stats"] is None for each in told.values()] == [False, True, False]
        assert (told["hanging"]["state"], told["hanging"]["error"]) == (
            "silent",
            "stats() does not answer",
        )
    assert content(ask(page, "/api/buffer", "name=hanging"))["buffer"]["stats"] is None
    threads = threading.active_count()
    overview(page)
    assert threading.active_count() == threads  # no more are lost
    hanging.go.set()
    wait_until(lambda: overview(page)["hanging"]["stats"] is not None)


@pytest.mark.usefixtures("impatient")
def test_many_that_hang_cost_few_threads() -> None:
    many = [Hanging(str(number)) for number in range(30)]
    before = threading.active_count()
    told = overview(Page(many))
    assert threading.active_count() <= before + reading.MOST
    assert len(told) == 30
    assert told["29"]["error"] == "stats() not asked: too many others hang"
    for each in many:
        each.go.set()


@pytest.mark.parametrize("error", [ZeroDivisionError("x"), SystemExit(), KeyboardInterrupt()])
def test_one_that_raises_is_told_of_without_numbers(error: BaseException) -> None:
    bad, good = Hanging("bad"), Queue[int]("good", print)
    bad.raises = error
    told = overview(Page([bad, good]))
    assert told["bad"]["error"] == f"stats() raised {type(error).__name__}"
    assert told["good"]["stats"] is not None


class Counted:
    """A lock that counts who has come to it."""

    def __init__(self) -> None:
        self._lock, self.came = threading.Lock(), 0

    def __enter__(self) -> None:
        self.came += 1
        self._lock.acquire()

    def __exit__(self, *_raised: object) -> None:
        self._lock.release()


def test_who_comes_while_others_are_served_gets_what_they_get(hanging: Hanging) -> None:
    page = Page([hanging])
    here: Any = page._here()
    here.all.patience, here.lock = 60.0, Counted()
    looks, look = list[int](), here.all.look

    def counted(buffer: Any) -> Any:
        looks.append(1)
        return look(buffer)

    here.all.look = counted
    threads = [threading.Thread(target=overview, args=(page,)) for _ in range(6)]
    threads[0].start()
    wait_until(lambda: bool(looks))
    for thread in threads[1:]:
        thread.start()
    wait_until(lambda: here.lock.came == 6)
    hanging.go.set()
    for thread in threads:
        thread.join()
    assert len(looks) == 2  # the five others came after the first look had begun


# --- how it is asked -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "query", "status"),
    [
        ("GET", "/", "", 200),
        ("GET", "", "", 200),
        ("HEAD", "/", "", 200),
        ("GET", "/index.html", "", 200),
        ("GET", "/vendor/uPlot.iife.min.js", "", 200),
        ("GET", "/api/buffers", "", 200),
        ("HEAD", "/api/buffers", "", 200),
        ("POST", "/api/buffers", "", 405),
        ("OPTIONS", "/api/flush", "", 405),
        ("GET", "/api/flush", "", 405),
        ("DELETE", "/", "", 405),
        ("POST", "/", "", 405),
        ("SUDO", "/style.css", "", 405),
        ("GET", "/api/", "", 404),
        ("GET", "/api/secrets", "", 404),
        ("GET", "/api/buffers/", "", 404),
        ("GET", "/page.py", "", 404),
        ("GET", "/../page.py", "", 404),
        ("GET", "/%2e%2e/page.py", "", 404),
        ("GET", "//etc/passwd", "", 404),
        ("GET", "/static/index.html", "", 404),
        ("GET", "/style.css\0", "", 404),
        ("GET", "/vendor", "", 404),
        ("GET", "/api/buffer", "", 400),
        ("GET", "/api/buffer", "name=a&name=b", 400),
        ("GET", "/api/buffer", "name=%FF", 400),
        ("GET", "/api/buffer", "&".join("abcdefghijklmnop"), 400),
        ("GET", "/api/buffer", "name=nobody", 404),
        ("GET", "/api/buffer", "name=", 404),
        ("POST", "/api/flush", "", 403),
        ("POST", "/api/replay", "", 403),
    ],
)
def test_a_bad_request_is_told_what_is_wrong(
    page: Page, method: str, path: str, query: str, status: int
) -> None:
    response = ask(page, path, query, method=method)
    headers = dict(response.headers)
    assert response.status == status
    assert headers["X-Content-Type-Options"] == "nosniff"
    if method == "HEAD":
        assert response.body == b""
        assert int(headers["Content-Length"]) > 0
    elif status >= 400:
        assert content(response)["error"]
    if status == 405:
        assert headers["Allow"]


def test_where_it_is_mounted_it_leads_to_the_folder(page: Page) -> None:
    def location(mounted_at: str) -> str | None:
        response = page.answer(Request("GET", "", mounted_at=mounted_at))
        return dict(response.headers).get("Location")

    assert location("/ops/buffers") == "buffers/"
    assert location("/ops/a b") == "a%20b/"
    assert location("/ops/\\evil.com") == "%5Cevil.com/"  # no other site
    assert location("/javascript:x") == "javascript%3Ax/"
    assert location("") is None


def test_files_that_are_there_already_are_not_sent_again(page: Page) -> None:
    first = ask(page, "/style.css")
    tag = dict(first.headers)["ETag"]
    again = ask(page, "/style.css", if_none_match=tag)
    assert (again.status, again.body) == (304, b"")
    assert ask(page, "/style.css", if_none_match='W/"other"').status == 200


@pytest.mark.parametrize(
    ("accepted", "is_compressed"),
    [
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("gzip;q=0", False),
        ("gzip; q=0.0", False),
        ("", False),
        ("br", False),
        ("xgzip", False),
    ],
)
def test_what_is_long_goes_compressed_to_who_takes_that(
    page: Page, buffers: Buffers, accepted: str, is_compressed: bool
) -> None:
    for number in range(4):
        buffers.queue(name=str(number))
    response = ask(page, "/api/buffers", accept_encoding=accepted)
    headers = dict(response.headers)
    assert (headers.get("Content-Encoding") == "gzip") == is_compressed
    assert int(headers["Content-Length"]) == len(response.body)
    assert len(content(response)["buffers"]) == 4


def test_an_error_of_its_own_is_logged_and_not_shown(
    page: Page, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> list[Any]:
        raise RuntimeError("secret")

    monkeypatch.setattr(page, "_all", broken)
    response = ask(page, "/api/buffers")
    assert response.status == 500
    assert b"secret" not in response.body
    assert "secret" in caplog.text
