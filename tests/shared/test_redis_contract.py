"""Everything that is expected of a shared storage, over real servers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from relays import Relay
from servers import Cluster, Server

from partitioned_buffer.storage.redis import Redis
from partitioned_buffer.storage.redis.kinds import queue
from partitioned_buffer.storage.redis.naming import Names
from partitioned_buffer.storage.redis.wire.servers import Servers
from partitioned_buffer.testing.contract.base import NAME
from partitioned_buffer.testing.sharing import SharedMapContract, SharedStoreContract


@pytest.fixture(scope="module")
def only(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(kind, tmp_path_factory.mktemp("contract"))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def cluster(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(kind, tmp_path_factory.mktemp("contract"))
    yield cluster
    cluster.stop()


class OnServers:
    """What tests do to servers behind the back of a store."""

    url: str
    servers: list[Server]

    def empty(self) -> None:
        for server in self.servers:
            with server.client() as client:
                client.flushall()

    def make(self, tmp_path: Path) -> Redis:
        self.empty()
        return Redis(self.url, lease=5)

    def make_limited(self, tmp_path: Path, limit: int) -> Redis:
        self.empty()
        return Redis(self.url, lease=5, limit=limit)

    def at(self, generation: int, partition: int) -> Any:
        """Return a client of the server that has a partition."""
        servers = Servers(self.url)
        servers.open()
        address = servers.of(Names(NAME).of(generation, partition).w)
        servers.connections.close()
        (server,) = [
            each for each in self.servers if len(self.servers) == 1 or each.port == address.port
        ]
        return server.client()

    def forgets(self, storage: Any, records: int) -> None:
        of = Names(NAME).of(0, 0)
        with self.at(0, 0) as client:
            client.rpop(of.w)
            client.rpop(of.at)
            client.hincrby(of.meta, "end", -records)
            (key,) = client.keys(of.d_of("*"))
            mark, had = map(int, client.get(key).split())
            client.set(key, f"{mark - records} {had - records}")

    def expire(self, storage: Any, partition: int) -> None:
        with self.at(0, partition) as client:
            client.delete(Names(NAME).of(0, partition).lease)


class OnOneServer(OnServers):
    @pytest.fixture(autouse=True)
    def _reached(self, only: Server) -> Iterator[None]:
        self.relay, self.servers = Relay(only.port), [only]
        self.url = self.relay.url
        yield
        self.relay.close()

    def lose_reply(self, storage: Any) -> None:
        self.relay.cut_replies = 1


class OnCluster(OnServers):
    @pytest.fixture(autouse=True)
    def _reached(self, cluster: Cluster) -> None:
        self.url, self.servers = cluster.url, cluster.servers

    def lose_reply(self, storage: Any) -> None:
        pytest.skip("its servers say themselves where they are")


class OfMaps(OnServers):
    def forgets(self, storage: Any, records: int) -> None:
        of = Names(NAME).of(0, 0)
        with self.at(0, 0) as client:
            gone = [key for key in client.hkeys(of.w) if key.startswith(b"lost")]
            assert client.hdel(of.w, *gone) == records
            for number in ("accepted", "waiting"):
                client.hincrby(of.meta, number, -records)
            (key,) = client.keys(of.d_of("*"))
            mark, had = map(int, client.get(key).split())
            client.set(key, f"{mark - records} {had - records}")


class TestOneServer(OnOneServer, SharedStoreContract):
    pass


class TestCluster(OnCluster, SharedStoreContract):
    pass


class Large:
    """Chunks that do not go through scripts."""

    @pytest.fixture(autouse=True)
    def _size(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(queue, "_LARGE", 1)


class TestLargeOnOneServer(Large, OnOneServer, SharedStoreContract):
    pass


class TestLargeOnCluster(Large, OnCluster, SharedStoreContract):
    pass


class TestMapsOnOneServer(OfMaps, OnOneServer, SharedMapContract):
    pass


class TestMapsOnCluster(OfMaps, OnCluster, SharedMapContract):
    pass
