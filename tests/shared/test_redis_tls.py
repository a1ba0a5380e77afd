"""Servers that are reached by TLS."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from servers import Server, free_port
from tls import Papers, Proxy, has_tls, options, papers

from partitioned_buffer import InvalidOption, Queue, StorageRefused
from partitioned_buffer.storage import Redis
from partitioned_buffer.testing import RecordingProcessor

Secured = Callable[[Papers], int]


@pytest.fixture
def made(tmp_path: Path) -> Papers:
    return papers(tmp_path / "papers")


@pytest.fixture
def secured(kind: str, own: Callable[..., Server]) -> Iterator[Secured]:
    """Starts a server with that certificate; returns its port for TLS."""
    proxies: list[Proxy] = []

    def start(those: Papers) -> int:
        port = free_port()
        if has_tls(kind):
            own(*options(port, those))
            return port
        proxies.append(Proxy(own(), those))
        return proxies[-1].port

    yield start
    for each in proxies:
        each.close()


def test_a_queue_is_shared_over_tls(secured: Secured, made: Papers, name: str) -> None:
    url = f"rediss://localhost:{secured(made)}/0?ssl_ca_certs={made.ca}"
    processor = RecordingProcessor()

    with Queue[int](name, storage=Redis(url, ack="server", ack_timeout=20)) as writer:
        writer.push_all(range(1000))
        writer.push(1000)
        assert writer.stats().shared.shipped == 1001  # type: ignore[union-attr]
    with Queue[int](name, processor, storage=Redis(url), processing_interval=0.01) as worker:
        worker.flush(timeout=20)

    assert sorted(processor.items) == list(range(1001))
    stats = worker.stats()
    assert (stats.delivered, stats.held, stats.dead_lettered) == (1001, 0, 0)


def refused(url: str) -> str:
    """Return what is said of a start that is refused."""
    with pytest.raises(StorageRefused) as raised:
        Queue[int]("refused", storage=Redis(url)).start()
    return str(raised.value)


def test_a_certificate_that_nobody_here_trusts_is_refused(secured: Secured, made: Papers) -> None:
    port = secured(made)

    said = refused(f"rediss://localhost:{port}")

    assert f"localhost:{port}: " in said
    assert "certificate verify failed" in said
    assert "?ssl_ca_certs=/PATH/ca.pem" in said


def test_a_certificate_of_another_host_is_refused(secured: Secured, tmp_path: Path) -> None:
    others = papers(tmp_path / "others", "cache.internal")
    port = secured(others)

    said = refused(f"rediss://localhost:{port}?ssl_ca_certs={others.ca}")

    assert "Hostname mismatch" in said
    assert "call the host by the name in its certificate" in said


@pytest.mark.parametrize("option", ["ssl_ca_certs", "ssl_certfile", "ssl_keyfile"])
def test_a_file_that_is_not_there_is_named(option: str, tmp_path: Path) -> None:
    path = tmp_path / "none.pem"
    queue: Any = Queue[int]("unread", storage=Redis(f"rediss://localhost:1?{option}={path}"))

    with pytest.raises(InvalidOption, match=rf"{option}=.*none.pem.*no such file"):
        queue.start()
