"""What an `HTTPEndpoint` sends, and makes of answers, by threads and by tasks."""

import gzip
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from email.utils import formatdate
from typing import Any

import pytest
import urllib3
from endpoints import Endpoint

from partitioned_buffer import (
    Entry,
    InvalidOption,
    Outage,
    PartialFailure,
    Reject,
    RetryAfter,
    Split,
)
from partitioned_buffer.sinks import AsyncHTTPEndpoint, HTTPEndpoint
from partitioned_buffer.sinks.http.answers import Answer, Failed
from partitioned_buffer.sinks.retry_after import LONGEST, retry_after
from partitioned_buffer.testing.contract.sinks.using import Use

ROWS = [{"id": n} for n in range(4)]


class Scene:
    """An endpoint, and sinks to it."""

    def __init__(self, sink: Any, ends: ExitStack) -> None:
        self.sink, self._ends = sink, ends
        self.endpoint = Endpoint()
        ends.callback(self.endpoint.close)

    def use(self, **options: Any) -> Use:
        return self._ends.enter_context(Use(self.sink(self.endpoint.url, **options)))

    def answered(
        self, status: int, body: object = b"", use: Use | None = None, **headers: str
    ) -> Any:
        """Return what the sink raises at such an answer."""
        said = body if isinstance(body, bytes) else json.dumps(body).encode()
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        self.endpoint.answers.append((status, names, said))
        return (use or self.use()).give(ROWS)

    def rows(self) -> list[list[Any]]:
        return [request.rows for request in self.endpoint.requests]


@pytest.fixture(params=[HTTPEndpoint, AsyncHTTPEndpoint], ids=["threads", "tasks"])
def scene(request: pytest.FixtureRequest) -> Iterator[Scene]:
    with ExitStack() as ends:
        yield Scene(request.param, ends)


# --- what is sent


@pytest.mark.parametrize("gzip", [False, True])
@pytest.mark.parametrize("format_", ["ndjson", "json"])
def test_rows_are_sent_as_asked(scene: Scene, format_: str, gzip: bool) -> None:
    use = scene.use(format=format_, gzip=gzip, method="PUT", headers={"X-Token": "t"})
    assert use.give([{"id": 1, "ü": "\n"}, [2, None], "text", 4]) is None
    (request,) = scene.endpoint.requests
    assert (request.method, request.path) == ("PUT", "/rows")
    assert request.rows == [{"id": 1, "ü": "\n"}, [2, None], "text", 4]
    assert request.headers["x-token"] == "t"
    expected = {"ndjson": "application/x-ndjson", "json": "application/json"}[format_]
    assert request.headers["content-type"] == expected


def test_a_header_of_the_users_replaces_ours(scene: Scene) -> None:
    made = iter(range(9))
    use = scene.use(
        format="json",
        headers=lambda: {"content-TYPE": "application/json", "Authorization": f"n{next(made)}"},
    )
    for position in range(2):
        assert use.give(ROWS, position=position) is None
    tokens = [request.headers["authorization"] for request in scene.endpoint.requests]
    assert tokens == ["n0", "n1"], "asked for each request"


def test_headers_that_cannot_be_had_are_an_outage(scene: Scene) -> None:
    tokens: dict[str, dict[str, str]] = {}
    error = scene.use(headers=lambda: tokens["new"]).give(ROWS)
    assert type(error) is Outage
    assert "headers()" in str(error)


def test_a_batch_has_a_key_of_its_own_that_stays(scene: Scene) -> None:
    use = scene.use()
    for position, store in ((0, "a"), (0, "a"), (4, "a"), (0, "b")):
        use.give(ROWS, position=position, store=store)
    keys = [request.headers["idempotency-key"] for request in scene.endpoint.requests]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3
    scene.use(key_header="X-Batch").give(ROWS)
    assert "x-batch" in scene.endpoint.requests[-1].headers
    scene.use(key_header=None).give(ROWS)
    assert "idempotency-key" not in scene.endpoint.requests[-1].headers


def test_what_cannot_be_encoded_is_rejected_alone(scene: Scene) -> None:
    error = scene.use().give([{"id": 1}, {"id": float("nan")}, {"id": {2}}, {"id": 4}])
    assert isinstance(error, PartialFailure)
    assert set(error.reject or ()) == {1, 2}
    assert scene.rows() == [[{"id": 1}, {"id": 4}]]
    broken = scene.use(encode=lambda row: json.dumps(row, indent=1))
    assert set(getattr(broken.give(ROWS), "reject", ())) == {0, 1, 2, 3}
    assert len(scene.rows()) == 1, "nothing is sent of nothing"


def test_a_maps_entries_take_a_function(scene: Scene) -> None:
    batch = [Entry("k", {"id": 1}, 3, 0)]
    assert isinstance(scene.use().give(batch), InvalidOption)
    use = scene.use(row=lambda entry: {"key": entry.key, **entry.value, "v": entry.version})
    assert use.give(batch) is None
    assert scene.rows() == [[{"key": "k", "id": 1, "v": 3}]]


# --- what answers mean


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [
        (200, None, ""),
        (204, None, ""),
        (301, Outage, "redirects to /other"),
        (308, Outage, "redirects to /other"),
        (304, Outage, "HTTP 304"),
        (401, Outage, "no valid credentials"),
        (403, Outage, "not allowed to"),
        (404, Outage, "see the url"),
        (405, Outage, "see method="),
        (408, Outage, "HTTP 408"),
        (409, Outage, "HTTP 409"),
        (413, Split, "HTTP 413"),
        (415, Outage, "format="),
        (429, Outage, "HTTP 429"),
        (207, Outage, "results="),
        (500, Outage, "HTTP 500"),
        (502, Outage, "HTTP 502"),
        (503, Outage, "HTTP 503"),
        (599, Outage, "HTTP 599"),
    ],
)
def test_a_status_means(scene: Scene, status: int, kind: type[Exception] | None, says: str) -> None:
    error = scene.answered(status, b"" if status in (204, 304) else b"its words", Location="/other")
    assert (type(error) if error is not None else None) == kind
    if kind is not None:
        assert says in str(error)
        assert scene.endpoint.url in str(error)
        assert ("its words" in str(error)) == (status != 304)
    assert len(scene.rows()) == 1, "no redirect is followed"


def test_meanings_can_be_given(scene: Scene) -> None:
    use = scene.use(statuses={400: "reject", 500: "failed", 409: "delivered", 503: "split"})
    assert type(scene.answered(400, b"why", use)) is Reject
    assert type(scene.answered(500, b"why", use)) is Failed
    assert scene.answered(409, b"why", use) is None
    assert type(scene.answered(503, b"why", use)) is Split
    assert scene.answered(422, b"bad", use) is None, "as before: its parts have gone through"


@pytest.mark.parametrize("status", [429, 503, 403])
def test_when_to_come_back_is_minded(scene: Scene, status: int) -> None:
    error = scene.answered(status, b"busy", Retry_After="17")
    assert isinstance(error, RetryAfter)
    assert (error.seconds, error.everyone) == (17.0, True)
    assert "busy" in str(error)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        ("99999999999", LONGEST),
        (formatdate(1_000_060, usegmt=True), 60.0),
        (formatdate(999_000, usegmt=True), 0.0),
        (formatdate(9_000_000, usegmt=True), LONGEST),
        ("soon", None),
        ("-5", None),
        ("1.5", 1.5),
        ("1e3", None),
        ("inf", None),
        ("", None),
    ],
)
def test_when_to_come_back_is_seconds_or_a_date_of_the_servers_clock(
    value: str, seconds: float | None
) -> None:
    headers = {"retry-after": value, "date": formatdate(1_000_000, usegmt=True)}
    assert retry_after(headers) == seconds


def test_without_the_servers_clock_a_date_is_of_ours() -> None:
    later = formatdate(time.time() + 100, usegmt=True)
    seconds = retry_after({"retry-after": later})
    assert seconds is not None
    assert 0 < seconds <= 101


# --- bad rows


def test_a_bad_row_is_found_by_parts_each_with_a_key_of_its_own(scene: Scene) -> None:
    use = scene.use()
    batch = [{"id": n, "text": "bad" if n in (1, 6) else "a"} for n in range(8)]
    for _ in range(2):
        error = use.give(batch)
        assert isinstance(error, PartialFailure)
        assert set(error.reject or ()) == {1, 6}
        assert not error.retry
    assert [row["id"] for row in scene.endpoint.rows] == [0, 2, 3, 4, 5, 7], "once"
    keys = [request.headers["idempotency-key"] for request in scene.endpoint.requests]
    assert len(set(keys)) == len(keys) // 2


@pytest.mark.parametrize(("status", "kind"), [(503, Outage), (429, Outage), (500, Failed)], ids=str)
def test_what_was_not_reached_is_tried_again(
    scene: Scene, status: int, kind: type[Exception]
) -> None:
    """The search for a bad row ends in an outage."""
    scene.endpoint.answers += [(400, {}, b""), (400, {}, b""), (400, {}, b"first"), (200, {}, b"")]
    error = scene.answered(status, use=scene.use(statuses={500: "failed"}))
    assert isinstance(error, PartialFailure)
    assert {place: type(e) for place, e in dict(error.retry or {}).items()} == {2: kind, 3: kind}
    assert set(error.reject or ()) == {0}
    assert scene.rows() == [ROWS, ROWS[:2], ROWS[:1], ROWS[1:2], ROWS[2:]]


# --- results of each item


def results(answer: Answer) -> list[Any]:
    return [tuple(each) if isinstance(each, list) else each for each in answer.json()["items"]]


@pytest.mark.parametrize("status", [200, 207])
def test_results_of_each_item_are_read(scene: Scene, status: int) -> None:
    use = scene.use(results=results)
    said = {"items": [201, [400, "no such customer"], 503, [429, "too many"]]}
    error = scene.answered(status, said, use)
    assert isinstance(error, PartialFailure)
    reject, retry = dict(error.reject or {}), dict(error.retry or {})
    assert {place: str(e) for place, e in reject.items()} == {1: "HTTP 400: no such customer"}
    assert {place: type(e) for place, e in retry.items()} == {2: Outage, 3: Outage}
    assert scene.answered(status, {"items": [200, 200, 204, 201]}, use) is None


@pytest.mark.parametrize("items", [[200] * 3, [200] * 5, ["ok"] * 4, [True] * 4])
def test_results_that_do_not_fit_lose_nothing(scene: Scene, items: list[Any]) -> None:
    error = scene.answered(200, {"items": items}, scene.use(results=results))
    assert isinstance(error, InvalidOption)
    assert "results" in str(error)


def test_places_are_those_of_the_batch(scene: Scene) -> None:
    scene.endpoint.answers.append((200, {}, b'{"items": [200, 400]}'))
    error = scene.use(results=results).give([{"id": 0}, object(), {"id": 2}])
    assert isinstance(error, PartialFailure)
    assert set(error.reject or ()) == {1, 2}


# --- limits, and clients


def test_an_answer_that_takes_too_long_is_an_outage(scene: Scene) -> None:
    scene.endpoint.drip = 0.05
    use = scene.use(timeout=0.5)
    began = time.monotonic()
    error = scene.answered(200, b"x" * 2000, use)
    assert type(error) is Outage
    assert time.monotonic() - began < 20, "each byte came in time, but not all"
    scene.endpoint.drip = 0.0
    assert use.give(ROWS) is None


def test_an_answer_has_to_be_short(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("partitioned_buffer.sinks.http.clients.MOST", 1 << 20)
    error = scene.answered(200, b"x" * (3 << 20))
    assert type(error) is Outage
    assert "1 MB" in str(error)


def test_a_name_that_nobody_has_is_an_outage(scene: Scene) -> None:
    with Use(scene.sink("http://nobody.invalid/rows", timeout=3)) as use:
        assert type(use.give(ROWS)) is Outage


def test_a_connection_that_was_closed_meanwhile_is_replaced(scene: Scene) -> None:
    use = scene.use()
    assert use.give(ROWS) is None
    scene.endpoint.cut()
    use.settle()
    assert use.give(ROWS, position=4) is None


def test_any_function_may_be_the_client() -> None:
    sent: list[Any] = []

    def send(*request: Any) -> Any:
        sent.append(request)
        if len(sent) == 1:
            raise ConnectionResetError("gone")
        return 503, {"Retry-After": "3"}, b""

    with Use(HTTPEndpoint("https://any/where", client=send, gzip=True, timeout=7)) as use:
        assert type(use.give(ROWS)) is Outage
        assert type(use.give(ROWS)) is RetryAfter
    method, url, headers, body, timeout = sent[0]
    assert (method, url, tuple(timeout)) == ("POST", "https://any/where", (5.0, 7))
    assert headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(body).count(b"\n") == 4


def test_a_client_of_the_other_face_is_refused() -> None:
    async def send(*_: Any) -> Any:
        return 200, {}, b""

    for sink, client in ((HTTPEndpoint, send), (AsyncHTTPEndpoint, print)):
        with pytest.raises(InvalidOption, match="client"):
            sink("http://any/where", client=client)
    with Use(AsyncHTTPEndpoint("http://any/where", client=send)) as use:
        assert use.give(ROWS) is None


def test_a_client_of_the_users_stays_open() -> None:
    endpoint = Endpoint()
    with urllib3.PoolManager() as pool:
        with Use(HTTPEndpoint(endpoint.url, client=pool)) as use:
            assert use.give(ROWS) is None
        assert pool.request("POST", endpoint.url, json=[1]).status == 200
    endpoint.close()


@pytest.mark.parametrize("url", ["", "ftp://a/b", "http://", "a/b", 3])
def test_what_is_no_url_is_said(url: Any) -> None:
    with pytest.raises(InvalidOption, match=r"url=.*expected"):
        HTTPEndpoint(url)
