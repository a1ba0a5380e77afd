"""The contract of sinks, over indexes: by each client, to a server that answers as documented."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

pytest.importorskip("elasticsearch")
pytest.importorskip("opensearchpy")

from bulks import Bulks
from elasticsearch import AsyncElasticsearch, Elasticsearch
from opensearchpy import AsyncOpenSearch, OpenSearch

from partitioned_buffer.sinks import AsyncBulkIndex, BulkIndex
from partitioned_buffer.testing.sinks import SinkContract


class _Contract(SinkContract):
    cannot: ClassVar = {"tuples": "a document has names"}
    reason = "400 document_parsing_exception: failed to parse, by illegal_argument_exception: a te"
    wrong_options: ClassVar[Sequence[Mapping[str, Any]]] = (
        {"client": None},
        {"client": Elasticsearch},
        {"index": ""},
        {"index": None},
        {"row": 3},
        {"id": ""},
        {"id": 3},
        {"action": "replace"},
        {"version": 1},
        {"routing": 7},
        {"upsert": 1},
        {"conflict": "retry"},
        {"max_bytes": 0},
        {"parameters": {"filter_path": "took"}},
        {"timeout": 0},
    )

    @pytest.fixture(autouse=True)
    def of_this_test(self, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
        # It logs with tracebacks, and pytest keeps those: all that is in their frames.
        caplog.set_level(logging.CRITICAL, "opensearch")
        self.bulks, self.clients = Bulks(), list[Any]()
        yield
        for client in self.clients:
            client.close()
        self.bulks.close()

    def client(self) -> Any:
        raise NotImplementedError

    def make(self, tmp_path: Path, **options: Any) -> Any:
        if "client" not in options:
            self.clients.append(self.client())
            options["client"] = self.clients[-1]
        given: dict[str, Any] = {"index": "rows", "timeout": 10.0} | options
        return BulkIndex(given.pop("client"), given.pop("index"), **given)

    def make_hasty(self, tmp_path: Path) -> Any:
        return self.make(tmp_path, timeout=0.5)

    def make_for_map(self, tmp_path: Path) -> Any:
        return self.make(tmp_path)

    def found(self, tmp_path: Path) -> list[tuple[int, str]]:
        sources = [document.source for document in self.bulks.documents.values()]
        return [(source["id"], source["text"]) for source in sources]

    def bad_item(self, number: int) -> Any:
        return {"id": number, "text": None}

    def outage(self, tmp_path: Path) -> Any:
        return self.bulks.now(is_down=True)

    def silence(self, tmp_path: Path) -> Any:
        return self.bulks.now(is_silent=True)

    def too_large(self, tmp_path: Path) -> Any:
        return self.bulks.now(most=self.most)

    def throttled(self, tmp_path: Path) -> Any:
        return self.bulks.says(429, Retry_After="7")


NO_HEADERS = "opensearch-py tells nobody of headers, so it is an outage"


class TestElasticsearch(_Contract):
    def client(self) -> Any:
        return Elasticsearch(self.bulks.url)


class TestOpenSearch(_Contract):
    cannot: ClassVar = {**_Contract.cannot, "throttled": NO_HEADERS}

    def client(self) -> Any:
        return OpenSearch(self.bulks.url)


class _Closing(AsyncBulkIndex):
    """A client is closed on the loop on which it was used."""

    def __init__(self, client: Any, *args: Any, **options: Any) -> None:
        super().__init__(client, *args, **options)
        self.client = client

    async def close(self) -> None:
        await self.client.close()


class _AsyncContract(_Contract):
    wrong_options: ClassVar = (
        *_Contract.wrong_options,
        {"client": Elasticsearch("http://127.0.0.1:1")},
    )

    def make(self, tmp_path: Path, **options: Any) -> Any:
        options.setdefault("client", None if "client" in options else self.client())
        given: dict[str, Any] = {"index": "rows", "timeout": 10.0} | options
        return _Closing(given.pop("client"), given.pop("index"), **given)


class TestAsyncElasticsearch(_AsyncContract):
    def client(self) -> Any:
        return AsyncElasticsearch(self.bulks.url)


class TestAsyncOpenSearch(_AsyncContract):
    cannot: ClassVar = {**_Contract.cannot, "throttled": NO_HEADERS}

    def client(self) -> Any:
        return AsyncOpenSearch(self.bulks.url)
