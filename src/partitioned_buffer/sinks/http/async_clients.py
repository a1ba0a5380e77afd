"""
How a client of the user's, or aiohttp, is asked by tasks.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import lru_cache
from typing import Any, Protocol

from ..base import imported
from .answers import Answer
from .clients import Limits, expect_end, lowered, outage


class AsyncSend(Protocol):
    """
    Any client, as a coroutine function: it sends a request, and returns what came back.

    It raises an `Outage`, or an `OSError` (`ConnectionError`, `TimeoutError`), if nothing did.
    """

    def __call__(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, timeout: Limits, /
    ) -> Awaitable[tuple[int, Mapping[str, str], bytes]]:
        """Send *body*; follow no redirects."""
        ...


class AsyncOwn:
    """aiohttp, with connections of its own."""

    def __init__(self, sink: str) -> None:
        aiohttp = imported(sink, "http-asyncio", "aiohttp")
        self._session = aiohttp.ClientSession()
        self._send = of_aiohttp(self._session)

    async def __call__(self, *request: Any) -> tuple[int, Mapping[str, str], bytes]:
        """Send a request."""
        return await self._send(*request)

    async def close(self) -> None:
        """Close its connections."""
        await self._session.close()


def of_aiohttp(session: Any) -> AsyncSend:
    """Return what sends by an `aiohttp.ClientSession`."""
    import aiohttp  # noqa: PLC0415  # somebody has it, or none was given

    @lru_cache(maxsize=4)  # each costs as much as a timer
    def limited(connect: float) -> aiohttp.ClientTimeout:
        return aiohttp.ClientTimeout(total=None, sock_connect=connect)  # `answered` ends it in time

    async def send(
        method: str, url: str, headers: Mapping[str, str], body: bytes, timeout: Limits
    ) -> tuple[int, Mapping[str, str], bytes]:
        limit = limited(timeout.connect)
        try:
            async with session.request(
                method, url, data=body, headers=headers, timeout=limit, allow_redirects=False
            ) as response:
                return response.status, response.headers, await read(response.content.iter_any())
        except aiohttp.ClientError as error:
            raise outage(url, error) from error

    return send


def of_httpx(client: Any) -> AsyncSend:
    """Return what sends by an `httpx.AsyncClient`."""
    import httpx  # noqa: PLC0415

    async def send(
        method: str, url: str, headers: Mapping[str, str], body: bytes, timeout: Limits
    ) -> tuple[int, Mapping[str, str], bytes]:
        limit = httpx.Timeout(timeout.total, connect=timeout.connect)
        try:
            async with client.stream(
                method, url, content=body, headers=headers, timeout=limit, follow_redirects=False
            ) as response:
                return response.status_code, response.headers, await read(response.aiter_bytes())
        except httpx.HTTPError as error:
            raise outage(url, error) from error

    return send


ASYNC_CLIENTS: Mapping[tuple[str, str], Callable[[Any], AsyncSend]] = {
    ("aiohttp", "ClientSession"): of_aiohttp,
    ("httpx", "AsyncClient"): of_httpx,
}
"""By the package of a class, and its name."""


async def read(chunks: AsyncIterator[bytes]) -> bytes:
    """Return what they are, together."""
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        expect_end(len(body), is_late=False)
    return bytes(body)


async def answered(send: AsyncSend, method: str, url: str, request: Any, limits: Limits) -> Answer:
    """Return what came back; raise `Outage` if nothing did in time."""
    try:
        async with asyncio.timeout(limits.total):
            answer = await send(method, url, request.headers, request.body, limits)
    except OSError as error:
        raise outage(url, error) from error
    return Answer(answer[0], lowered(answer[1]), answer[2])
