"""
How a client of the user's, or urllib3, is asked by threads.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from ...errors import Outage
from ..base import imported
from .answers import Answer


class Limits(NamedTuple):
    """How many seconds to wait: for a connection, and for all of it."""

    connect: float
    total: float


class Send(Protocol):
    """
    Any client, as a function: it sends a request, and returns what came back.

    It raises an `Outage`, or an `OSError` (`ConnectionError`, `TimeoutError`), if nothing did.
    """

    def __call__(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, timeout: Limits, /
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Send *body*; follow no redirects."""
        ...


MOST = 16 << 20
"""Of how many bytes an answer may be."""


class Own:
    """urllib3, with connections of its own."""

    def __init__(self, sink: str) -> None:
        urllib3 = imported(sink, "http", "urllib3")
        self._pool = urllib3.PoolManager(maxsize=64, retries=False)
        self._send = of_urllib3(self._pool)

    def __call__(self, *request: Any) -> tuple[int, Mapping[str, str], bytes]:
        """Send a request."""
        return self._send(*request)

    def close(self) -> None:
        """Close its connections."""
        self._pool.clear()


def of_urllib3(pool: Any) -> Send:
    """Return what sends by a `urllib3.PoolManager`."""
    import urllib3  # noqa: PLC0415  # somebody has it, or none was given

    def send(
        method: str, url: str, headers: Mapping[str, str], body: bytes, timeout: Limits
    ) -> tuple[int, Mapping[str, str], bytes]:
        end = time.monotonic() + timeout.total
        limit = urllib3.Timeout(connect=timeout.connect, read=timeout.total)
        try:
            response = pool.request(
                method,
                url,
                body=body,
                headers=headers,
                timeout=limit,
                retries=False,
                redirect=False,
                preload_content=False,
            )
            with _released(response):
                return response.status, response.headers, read(_chunks(response), end)
        except urllib3.exceptions.HTTPError as error:
            raise outage(url, error) from error

    return send


class _released:  # noqa: N801  # used like a function
    """Gives a connection back, or closes it if not all was read."""

    def __init__(self, response: Any) -> None:
        self._response = response

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self._response.close()
        self._response.release_conn()


def _chunks(response: Any) -> Iterator[bytes]:
    """Yield what has come, and wait for no more than that."""
    while chunk := response.read1(65536):
        yield chunk


def of_requests(session: Any) -> Send:
    """Return what sends by a `requests.Session`."""
    import requests  # type: ignore[import-untyped,unused-ignore]  # noqa: PLC0415
    import urllib3  # noqa: PLC0415

    def send(
        method: str, url: str, headers: Mapping[str, str], body: bytes, timeout: Limits
    ) -> tuple[int, Mapping[str, str], bytes]:
        end = time.monotonic() + timeout.total
        try:
            with session.request(
                method,
                url,
                data=body,
                headers=headers,
                timeout=(timeout.connect, timeout.total),
                allow_redirects=False,
                stream=True,
            ) as response:
                return response.status_code, response.headers, read(_chunks(response.raw), end)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise outage(url, error) from error

    return send


def of_httpx(client: Any) -> Send:
    """Return what sends by an `httpx.Client`."""
    import httpx  # noqa: PLC0415

    def send(
        method: str, url: str, headers: Mapping[str, str], body: bytes, timeout: Limits
    ) -> tuple[int, Mapping[str, str], bytes]:
        end = time.monotonic() + timeout.total
        limit = httpx.Timeout(timeout.total, connect=timeout.connect)
        try:
            with client.stream(
                method, url, content=body, headers=headers, timeout=limit, follow_redirects=False
            ) as response:
                return response.status_code, response.headers, read(response.iter_bytes(), end)
        except httpx.HTTPError as error:
            raise outage(url, error) from error

    return send


CLIENTS: Mapping[tuple[str, str], Callable[[Any], Send]] = {
    ("urllib3", "PoolManager"): of_urllib3,
    ("requests", "Session"): of_requests,
    ("httpx", "Client"): of_httpx,
}
"""By the package of a class, and its name."""


def sends(client: Any, clients: Mapping[tuple[str, str], Callable[[Any], Any]]) -> Any:
    """Return what sends by *client*; None: nobody knows it."""
    for kind in type(client).__mro__:
        made = clients.get((kind.__module__.partition(".")[0], kind.__name__))
        if made is not None:
            return made(client)
    return client if callable(client) else None


def read(chunks: Iterator[bytes], end: float) -> bytes:
    """Return what they are, together, if that has an end in time."""
    body = bytearray()
    for chunk in chunks:
        body += chunk
        expect_end(len(body), is_late=time.monotonic() > end)
    return bytes(body)


def expect_end(size: int, *, is_late: bool) -> None:
    """Raise `Outage` for an answer that comes for too long."""
    if is_late:
        raise Outage("the answer had begun, and was not all there in time")
    if size > MOST:
        raise Outage(f"an answer of more than {MOST >> 20} MB: expected a short one")


def answered(send: Send, method: str, url: str, request: Any, limits: Limits) -> Answer:
    """Return what came back; raise `Outage` if nothing did."""
    try:
        status, headers, body = send(method, url, request.headers, request.body, limits)
    except OSError as error:
        raise outage(url, error) from error
    return Answer(status, lowered(headers), body)


def outage(url: str, error: Exception) -> Outage:
    """Return what to raise for what a client has raised when nothing came back."""
    return Outage(f"{url}: {str(error) or type(error).__name__}")


def lowered(headers: Mapping[str, str]) -> dict[str, str]:
    """Return *headers* by names in small letters."""
    return {name.lower(): value for name, value in headers.items()}
