"""The contract of sinks, over an endpoint on loopback: each face, each client."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest
import requests
from endpoints import Endpoint

from partitioned_buffer.sinks import AsyncHTTPEndpoint, HTTPEndpoint
from partitioned_buffer.testing.sinks import SinkContract


class Contract(SinkContract):
    cannot: ClassVar[dict[str, str]] = {"versions": "what is newer, the endpoint has to know"}
    reason = "a bad text"
    wrong_options = (
        {"timeout": -1},
        {"connect_timeout": "1"},
        {"format": "xml"},
        {"gzip": 1},
        {"method": "PO ST"},
        {"headers": {"A": 1}},
        {"statuses": {400: "ignore"}},
        {"results": 3},
        {"key_header": ""},
        {"client": 3},
    )
    sink: ClassVar[Any] = HTTPEndpoint
    options: ClassVar[dict[str, Any]] = {}

    @pytest.fixture(autouse=True)
    def _endpoint(self) -> Iterator[None]:
        self.endpoint = Endpoint()
        yield
        self.endpoint.spoken.set()
        self.endpoint.close()

    def make(self, tmp_path: Path, **options: Any) -> Any:
        return self.sink(self.endpoint.url, **self.options | options)

    def make_hasty(self, tmp_path: Path) -> Any:
        return self.make(tmp_path, timeout=0.5)

    def make_for_map(self, tmp_path: Path) -> Any:
        return self.make(tmp_path, row=lambda entry: entry.value)

    def found(self, tmp_path: Path) -> list[tuple[int, str]]:
        rows = (row if isinstance(row, list) else row.values() for row in self.endpoint.rows)
        return [tuple(row) for row in rows]

    def bad_item(self, number: int) -> Any:
        return {"id": number, "text": "bad"}

    def outage(self, tmp_path: Path) -> Any:
        return self.endpoint.away()

    def silence(self, tmp_path: Path) -> Any:
        return self.endpoint.silent()

    @contextmanager
    def now(self, name: str, value: object) -> Iterator[None]:
        setattr(self.endpoint, name, value)
        yield
        setattr(self.endpoint, name, None)

    def too_large(self, tmp_path: Path) -> Any:
        return self.now("most", self.most)

    def throttled(self, tmp_path: Path) -> Any:
        return self.now("seconds", f"{self.seconds:g}")


class TestThreads(Contract):
    pass


class TestTasks(Contract):
    sink = AsyncHTTPEndpoint
    options: ClassVar[dict[str, Any]] = {"format": "json", "gzip": True}


class TestRequests(Contract):
    """By a client of the user's."""

    @pytest.fixture(autouse=True)
    def _client(self, _endpoint: None) -> Iterator[None]:
        with requests.Session() as self.client:
            yield

    def make(self, tmp_path: Path, **options: Any) -> Any:
        return super().make(tmp_path, **{"client": self.client} | options)


class TestHTTPX(Contract):
    @pytest.fixture(autouse=True)
    def _client(self, _endpoint: None) -> Iterator[None]:
        with httpx.Client() as self.client:
            yield

    def make(self, tmp_path: Path, **options: Any) -> Any:
        return super().make(tmp_path, **{"client": self.client} | options)


class OverHTTPX(AsyncHTTPEndpoint):
    """Has a client of the tests', whose connections end with it."""

    def __init__(self, url: str, **options: Any) -> None:
        self.client = httpx.AsyncClient()
        super().__init__(url, client=self.client, **options)

    async def close(self) -> None:
        await super().close()
        assert not self.client.is_closed, "it is the user's to close"
        await self.client._transport.aclose()


class TestHTTPXTasks(Contract):
    sink = OverHTTPX
    wrong_options = (*Contract.wrong_options[:-1], {"encode": None})
