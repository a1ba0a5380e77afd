"""What only bulk requests have: actions, versions, ids, and a status of each; by both clients."""

import json
import logging
import socket
from collections.abc import Callable, Generator, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

pytest.importorskip("elasticsearch")
pytest.importorskip("opensearchpy")

from bulks import Bulks
from elasticsearch import AsyncElasticsearch, Elasticsearch
from opensearchpy import OpenSearch

from partitioned_buffer import (
    BatchId,
    Entry,
    InvalidOption,
    Outage,
    PartialFailure,
    Retry,
    RetryAfter,
    Split,
)
from partitioned_buffer.sinks import BulkIndex
from partitioned_buffer.sinks.bulk import lines
from partitioned_buffer.testing.contract.sinks.using import Use

Make = Callable[..., BulkIndex]
CLIENTS: dict[str, Any] = {"elasticsearch": Elasticsearch, "opensearch": OpenSearch}


@pytest.fixture
def bulks(caplog: pytest.LogCaptureFixture) -> Iterator[Bulks]:
    caplog.set_level(logging.CRITICAL, "opensearch")
    bulks = Bulks()
    yield bulks
    bulks.close()


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest, bulks: Bulks) -> Iterator[Any]:
    with CLIENTS[request.param](bulks.url) as client:
        yield client


@pytest.fixture
def make(client: Any) -> Make:
    def made(index: Any = "rows", **options: Any) -> BulkIndex:
        return BulkIndex(client, index, **{"timeout": 10.0, **options})

    return made


def rejects(error: BaseException | None) -> dict[int, str]:
    assert isinstance(error, PartialFailure)
    assert not error.retry
    assert isinstance(error.reject, dict)
    return {place: str(why) for place, why in error.reject.items()}


def retries(error: BaseException | None) -> dict[int, BaseException]:
    assert isinstance(error, PartialFailure)
    assert not error.reject
    assert isinstance(error.retry, dict)
    return error.retry


def by_id(bulks: Bulks, index: str = "rows") -> dict[str, Any]:
    return {name: found.source for (of, name), found in bulks.documents.items() if of == index}


# --- what is asked for


def test_items_say_what_is_to_be_done(bulks: Bulks, make: Make) -> None:
    sink = make(action=lambda item: item["do"], id="id", row=lambda item: {"n": item["n"]})
    with Use(sink) as use:
        steps = [("index", "a", 1), ("create", "b", 2), ("update", "a", 3), ("delete", "b", 0)]
        assert use.give([{"do": do, "id": name, "n": n} for do, name, n in steps]) is None
        assert by_id(bulks) == {"a": {"n": 3}}
        assert use.give([{"do": "delete", "id": "b"}]) is None, "it is gone already"
        assert rejects(use.give([{"do": "replace", "id": "a"}, {"do": "index"}])) == {
            0: "an action 'replace': expected one of index, create, update, delete",
            1: "'id'",
        }


def test_an_update_may_have_to_find_its_document(bulks: Bulks, make: Make) -> None:
    items = [{"id": 1, "n": 1}]
    with Use(make(action="update", id="id", upsert=False)) as use:
        assert rejects(use.give(items)) == {0: "404 document_missing_exception: document missing"}
    with Use(make(action="update", id="id")) as use:
        assert use.give(items) is None
    assert by_id(bulks) == {"1": {"id": 1, "n": 1}}


def test_index_and_routing_may_be_said_by_items_and_parameters_by_all(
    bulks: Bulks, make: Make
) -> None:
    options = {"id": "n", "routing": lambda item: item["r"], "parameters": {"pipeline": "clean"}}
    with Use(make(lambda item: f"of-{item['n']}", **options)) as use:
        assert use.give([{"n": 1, "r": "x"}, {"n": 2, "r": None}]) is None
    ((path, asked),) = bulks.requests
    assert "pipeline=clean" in path
    assert asked[0] == {"index": {"_index": "of-1", "_id": "1", "routing": "x"}}
    assert asked[2] == {"index": {"_index": "of-2", "_id": "2"}}


def test_documents_are_written_by_the_client(bulks: Bulks, make: Make) -> None:
    day = datetime(2026, 5, 1, tzinfo=UTC)
    with Use(make(id="id")) as use:
        bad = [{"id": 2, "bad": object()}, "no dict", {"no": "id"}]
        error = use.give([{"id": 1, "at": day}, *bad, {"id": 3}])
        assert list(rejects(error)) == [1, 2, 3]
    assert by_id(bulks) == {"1": {"id": 1, "at": day.isoformat()}, "3": {"id": 3}}


def test_nothing_is_asked_for_what_is_no_document(bulks: Bulks, make: Make) -> None:
    with Use(make()) as use:
        assert rejects(use.give([1])) == {0: "a document of type int: expected a dict"}
    assert bulks.requests == []


def test_what_is_too_large_is_split_before_it_is_sent(bulks: Bulks, make: Make) -> None:
    with Use(make(max_bytes=1000)) as use:
        error = use.give([{"text": "x" * 500}] * 2)
        assert isinstance(error, Split)
        assert "expected 1000 at most" in str(error)
        assert use.give([{"text": "x" * 500}]) is None
    assert len(bulks.requests) == 1


# --- ids and versions


def test_an_item_has_the_same_id_however_its_batches_are_cut(bulks: Bulks, make: Make) -> None:
    items = [{"n": n} for n in range(6)]
    with Use(make()) as use:
        assert use.give(items, position=10) is None
        assert use.give(items[:2], position=10) is None
        assert use.give(items[2:], position=12) is None
    assert [source["n"] for source in by_id(bulks).values()] == list(range(6))
    with Use(make()) as use:
        assert use.give(items, position=10, store="another") is None
    assert len(bulks.documents) == 12


def test_with_gaps_between_them_the_whole_batch_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = list[str]()
    for batch in (BatchId("b", "s", 0, 5, 2), BatchId("b", "s", 0, 5, 2, 99)):
        monkeypatch.setattr(lines, "batch_id", lambda batch=batch: batch)
        found = lines._Ids()
        ids += [found.of(0).partition("-")[2], found.of(1).partition("-")[2]]
    assert ids == ["5", "6", "5.2.99.0", "5.2.99.1"]


def test_versions_are_those_of_entries(bulks: Bulks, make: Make) -> None:
    def action(entry: Any) -> str:
        return "index" if entry.value else "delete"

    with Use(make(action=action)) as use:
        for value, version in (({"n": 1}, 5), ({"n": 2}, 4), ({"n": 3}, 9), (None, 8)):
            assert use.give([Entry("k", value, version, 0)]) is None, "a newer one is there"
        assert by_id(bulks) == {"k": {"n": 3}}
        assert bulks.documents["rows", "k"].version == 9
        assert use.give([Entry("k", None, 10, 0)]) is None
        assert by_id(bulks) == {}
        for n in (1, 2):  # of a plain put
            assert use.give([Entry("k", {"n": n}, 0, 0)]) is None
        assert by_id(bulks) == {"k": {"n": 2}}


def test_or_what_a_function_says(bulks: Bulks, make: Make) -> None:
    with Use(make(id="id", version=lambda item: item["at"])) as use:
        for at in (7, 6):
            assert use.give([{"id": 1, "at": at}]) is None
    assert by_id(bulks) == {"1": {"id": 1, "at": 7}}


# --- what is said of each


def test_a_conflict_is_what_it_is_said_to_be(bulks: Bulks, make: Make) -> None:
    items = [{"id": 1}, {"id": 2}]
    with Use(make(action="create", id="id")) as use:
        assert use.give(items[:1]) is None
        assert use.give(items) is None
    with Use(make(action="create", id="id", conflict="reject")) as use:
        assert "409 version_conflict" in rejects(use.give([*items, {"id": 3}]))[0]
    assert list(by_id(bulks)) == ["1", "2", "3"]
    with Use(make(action="create", conflict="reject")) as use:
        for _ in range(2):
            assert use.give(items) is None, "a batch that comes twice is no conflict"
    assert len(bulks.documents) == 5


def test_that_of_an_update_is_tried_again(bulks: Bulks, make: Make) -> None:
    with Use(make(action="update", id="id", conflict="reject")) as use:
        with bulks.now(refused={"1": (409, "version_conflict_engine_exception")}):
            again = retries(use.give([{"id": 0}, {"id": 1}]))
        assert not isinstance(again[1], Outage), "it is counted"
        assert use.give([{"id": 1}]) is None


@pytest.mark.parametrize(
    ("status", "kind", "is_outage"),
    [
        (429, "es_rejected_execution_exception", True),
        (503, "unavailable_shards_exception", True),
        (403, "cluster_block_exception", True),
        (401, "security_exception", True),
        (404, "index_not_found_exception", True),
        (500, "null_pointer_exception", False),
    ],
)
def test_what_may_come_again_is_tried_again(
    bulks: Bulks, make: Make, status: int, kind: str, is_outage: bool
) -> None:
    items = [{"id": n} for n in range(4)]
    with Use(make(id="id")) as use:
        with bulks.now(refused={"1": (status, kind), "3": (status, kind)}):
            again = retries(use.give(items))
            assert {n: str(e) for n, e in again.items()} == dict.fromkeys(
                (1, 3), f"{status} {kind}: as told"
            )
            assert {isinstance(error, Outage) for error in again.values()} == {is_outage}
            assert isinstance(use.give(items[1:2]), Outage) == is_outage
        assert by_id(bulks).keys() == {"0", "2"}
        assert use.give([items[1], items[3]]) is None


@pytest.mark.parametrize("status", [400, 404, 405, 413, 422])
def test_what_will_never_do_is_rejected(bulks: Bulks, make: Make, status: int) -> None:
    with Use(make(id="id")) as use, bulks.now(refused={"1": (status, "bad_exception")}):
        error = use.give([{"id": 0}, {"id": 1}, {"id": 2}])
        assert rejects(error) == {1: f"{status} bad_exception: as told"}


# --- what is said of all


@pytest.mark.parametrize("status", [401, 403, 404, 408, 429, 500, 502, 503, 504])
def test_an_outage_says_what_the_server_says(bulks: Bulks, make: Make, status: int) -> None:
    with Use(make(id="id")) as use, bulks.says(status):
        error = use.give([{"id": 1}])
    assert isinstance(error, Outage)
    assert str(status) in str(error)
    assert "as told" in str(error)
    assert ("expected a client that may write there" in str(error)) == (status in {401, 403})


def test_what_is_not_known_is_let_out(bulks: Bulks, make: Make) -> None:
    with Use(make(id="id")) as use, bulks.says(400):
        error = use.give([{"id": 1}])
    assert type(error).__name__ in {"BadRequestError", "RequestError"}


def test_refused_connections_are_an_outage(bulks: Bulks) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    for kind in CLIENTS.values():
        with kind(url) as client, Use(BulkIndex(client, "rows")) as use:
            error = use.give([{"id": 1}])
            assert isinstance(error, Outage)
            assert "refused" in str(error)


@pytest.mark.parametrize("answer", [{"ok": True}, {"errors": False, "items": []}, "hello", [1]])
def test_what_is_no_answer_is_an_outage(bulks: Bulks, make: Make, answer: Any) -> None:
    with Use(make()) as use, bulks.says(200, answer):
        error = use.give([{"id": 1}, {"id": 2}])
    assert isinstance(error, Outage)
    assert "expected an answer to a bulk request of 2" in str(error)


@pytest.mark.parametrize(
    ("told", "seconds"),
    [("30", 30.0), ("0.5", 0.5), ("soon", None), ("", None), ("999999999", 3600.0)],
)
def test_when_to_come_back_is_said(bulks: Bulks, told: str, seconds: float | None) -> None:
    with Elasticsearch(bulks.url) as client, bulks.says(503, Retry_After=told):
        error = Use(BulkIndex(client, "rows")).give([{"id": 1}])
    assert isinstance(error, Outage if seconds is None else RetryAfter)
    assert getattr(error, "seconds", None) == seconds
    assert len(bulks.requests) == 1, "the client's own attempts hold nobody up"


def test_so_it_is_as_a_date(bulks: Bulks) -> None:
    then = format_datetime(datetime.now(UTC) + timedelta(minutes=50), usegmt=True)
    with Elasticsearch(bulks.url) as client, bulks.says(429, Retry_After=then):
        error = Use(BulkIndex(client, "rows")).give([{"id": 1}])
    assert isinstance(error, RetryAfter)
    assert 2400 < (error.seconds or 0) <= 3000


# --- clients


def test_any_client_with_bulk_will_do() -> None:
    asked = list[Any]()

    class Own:
        def bulk(self, *, body: bytes, params: Any, **parameters: Any) -> Any:
            asked.append((body, params, parameters))
            return {"errors": False, "items": [{"index": {"status": 201}}]}

    with Use(BulkIndex(Own(), "rows", id="id", parameters={"refresh": "true"})) as use:
        assert use.give([{"id": 1}]) is None
    ((body, params, parameters),) = asked
    assert [json.loads(line) for line in body.splitlines()] == [
        {"index": {"_index": "rows", "_id": "1"}},
        {"id": 1},
    ]
    assert (params, parameters) == ({"request_timeout": 30.0}, {"refresh": "true"})


def test_one_for_asyncio_is_for_the_other_class() -> None:
    with pytest.raises(InvalidOption, match="expected one for threads: see AsyncBulkIndex"):
        BulkIndex(AsyncElasticsearch("http://127.0.0.1:1"), "rows")


# --- all at once


def test_a_buffer_gets_there_what_will_do(bulks: Bulks, make: Make) -> None:
    busy = {str(n): (429, "es_rejected_execution_exception") for n in range(0, 200, 7)}
    bad = {str(n): (400, "document_parsing_exception") for n in range(0, 200, 10)}

    def script(queue: Any) -> Generator[float]:
        queue.push_all({"id": n} for n in range(200))
        with bulks.now(refused=busy | bad):
            yield 30.0
        with bulks.now(refused=bad, is_down=True):
            yield 600.0
        with bulks.now(refused=bad):
            yield 600.0

    with Use(make(id="id")) as use:
        done = use.in_buffer("queue", script, partitions=2, retry=Retry())
    assert done.stats.delivered == 180
    assert sorted(item["id"] for item in done.dead.items) == list(range(0, 200, 10))
    assert set(done.dead.attempts) <= {1}
    assert sorted(map(int, by_id(bulks))) == [n for n in range(200) if n % 10]
