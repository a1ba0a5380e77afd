"""
Requests to an endpoint over HTTP: the sink, for threads and for tasks.
"""

import asyncio
import inspect
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from ... import BatchId, batch_id
from ...errors import WrongThread
from ..base import AsyncClosing, Closing, expect, expect_flag, expect_seconds, imported
from ..rows import RowOf
from .answers import KNOWN, MEANINGS, Meaning
from .asking import TYPES, Asking, Format, Headers, Results, to_json
from .async_clients import ASYNC_CLIENTS, AsyncOwn, AsyncSend
from .async_clients import answered as answered_async
from .clients import CLIENTS, Limits, Own, Send, answered, sends


class _Options:
    """What both faces are given, and have of it."""

    _is_async = False

    def __init__(
        self,
        url: str,
        *,
        client: Any = None,
        method: str = "POST",
        headers: Headers | None = None,
        format: Format = "ndjson",  # noqa: A002
        gzip: bool = False,
        row: RowOf | None = None,
        encode: Callable[[Any], bytes | str] = to_json,
        key_header: str | None = "Idempotency-Key",
        statuses: Mapping[int, Meaning] | None = None,
        results: Results | None = None,
        timeout: float = 30.0,
        connect_timeout: float = 5.0,
    ) -> None:
        _expect_words(url, method, format, key_header)
        expect_flag("gzip", gzip)
        _expect_functions(row=row, encode=encode, results=results)
        is_headers = headers is None or callable(headers) or _are_words(headers)
        expect(is_headers, "headers", headers, "a dict of texts, or a function that returns one")
        known: dict[int, Meaning] = dict(statuses or {})
        are_known = set(known.values()) <= set(MEANINGS) and all(100 <= s < 600 for s in known)
        expect(are_known, "statuses", statuses, f"statuses of HTTP, each with one of {MEANINGS}")
        expect_seconds("timeout", timeout)
        expect_seconds("connect_timeout", connect_timeout)
        self._method, self._limits = method, Limits(connect_timeout, timeout)
        self._given = self._sends(client)
        meanings: dict[int, Meaning] = {**KNOWN, **known}
        self._asking = Asking(
            url, headers or {}, format, gzip, key_header, meanings, results, encode, row
        )
        self._own: Any = WeakKeyDictionary() if self._is_async else {}

    def _sends(self, client: Any) -> Any:
        """Return what sends by *client*; None: one of our own."""
        if client is None:
            own = ("http-asyncio", "aiohttp") if self._is_async else ("http", "urllib3")
            imported(type(self).__name__, *own)
            return None
        found = sends(client, ASYNC_CLIENTS if self._is_async else CLIENTS)
        called = getattr(found, "__call__", found)
        is_async = any(map(inspect.iscoroutinefunction, (found, called)))
        words = ", ".join(".".join(c) for c in (ASYNC_CLIENTS if self._is_async else CLIENTS))
        fits = found is not None and is_async == self._is_async
        expect(fits, "client", client, f"None, a {words}, or a function like `Send`")
        return found

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._asking.url!r})"


class HTTPEndpoint(_Options, Closing):
    """
    Sends each batch in a request.

    *url*: where to; *method*: how. Redirects are not followed, but said.

    *client*: a `urllib3.PoolManager`, `requests.Session` or `httpx.Client`, which is its user's to
    close, or a function, see `Send`. By default urllib3, with connections of its own.

    *headers*: a dict, or a function that returns one, for each request: for tokens that expire.

    *format*: "ndjson", a line for each item, or "json", an array of them; *gzip*: compressed.

    *row*: a function that makes of an item, or of a Map's entry, what is sent; *encode*: one that
    makes bytes or text of that. What cannot be encoded is rejected.

    *key_header*: the name of the header that says `batch_id()`, in the form of a UUID, so that the
    endpoint can tell what comes again; None for none.

    *statuses*: what an answer means, if it is not this: 2xx "delivered"; 400 and 422 "halve", some
    of it is bad, and found by sending parts; 413 "split"; all others "outage", so nothing is lost
    if, say, a token has expired. There are also "reject", for all of it, and "failed", of which
    nothing is known. A `Retry-After` of an outage is minded, up to an hour.

    *results*: a function of a 2xx answer that returns the status of each item, or `(status, why)`:
    408, 425, 429 and from 500 it is tried again, beside 2xx it is rejected.

    *timeout*: how many seconds a request may take; *connect_timeout*: how many connecting may.

    Raises `InvalidOption`.
    """

    def __call__(self, batch: Any, /) -> None:
        """Send *batch*. Raises `Outage`, `RetryAfter`, `Split`, `Reject` and `PartialFailure`."""
        steps, send = self._asking.steps(batch, _identity()), self._send
        try:
            request = next(steps)
            while True:
                try:
                    answer = answered(send, self._method, self._asking.url, request, self._limits)
                except Exception as error:
                    request = steps.throw(error)
                else:
                    request = steps.send(answer)
        except StopIteration:
            return

    def close(self) -> None:
        """Close the connections that were opened here."""
        own = self._own.pop(os.getpid(), None)
        if own is not None:
            own.close()

    @property
    def _send(self) -> Send:
        if self._given is not None:
            given: Send = self._given
            return given
        pid = os.getpid()  # a child must not use its parent's
        own: Own | None = self._own.get(pid)
        return own or self._own.setdefault(pid, Own(type(self).__name__))


class AsyncHTTPEndpoint(_Options, AsyncClosing):
    """
    The same, for asyncio: see `HTTPEndpoint`.

    *client*: an `aiohttp.ClientSession`, an `httpx.AsyncClient`, or a coroutine function, see
    `AsyncSend`. By default aiohttp, with connections of its own.
    """

    _is_async = True

    async def __call__(self, batch: Any, /) -> None:
        """Send *batch*. Raises `Outage`, `RetryAfter`, `Split`, `Reject` and `PartialFailure`."""
        steps, send, url = self._asking.steps(batch, _identity()), self._send, self._asking.url
        try:
            request = next(steps)
            while True:
                try:
                    answer = await answered_async(send, self._method, url, request, self._limits)
                except Exception as error:
                    request = steps.throw(error)
                else:
                    request = steps.send(answer)
        except StopIteration:
            return

    async def close(self) -> None:
        """Close the connections that were opened here, on this event loop."""
        own = self._own.pop(asyncio.get_running_loop(), None)
        if own is not None:
            await own.close()

    @property
    def _send(self) -> AsyncSend:
        if self._given is not None:
            given: AsyncSend = self._given
            return given
        loop = asyncio.get_running_loop()
        if loop not in self._own:
            self._own[loop] = AsyncOwn(type(self).__name__)
        own: AsyncOwn = self._own[loop]
        return own


def _identity() -> BatchId | None:
    try:
        return batch_id()
    except WrongThread:  # called by nobody's worker: there is nothing that would come again
        return None


def _expect_words(url: Any, method: Any, format_: Any, key_header: Any) -> None:
    parts = urlsplit(url) if isinstance(url, str) else None
    is_url = parts is not None and parts.scheme in ("http", "https") and bool(parts.netloc)
    expect(is_url, "url", url, "a URL with http:// or https://")
    is_method = isinstance(method, str) and method.isalpha() and method.isascii()
    expect(is_method, "method", method, "a method of HTTP")
    expect(format_ in TYPES, "format", format_, f"one of {tuple(TYPES)}")
    is_header = key_header is None or (isinstance(key_header, str) and key_header.isascii())
    expect(
        is_header and key_header != "", "key_header", key_header, "the name of a header, or None"
    )


def _expect_functions(**functions: Any) -> None:
    for name, function in functions.items():
        is_plain = callable(function) and not inspect.iscoroutinefunction(function)
        is_none = function is None and name != "encode"
        expect(is_plain or is_none, name, function, "a plain function")


def _are_words(headers: Any) -> bool:
    items: Iterable[tuple[Any, Any]] = headers.items() if isinstance(headers, Mapping) else [(0, 0)]
    return all(isinstance(name, str) and isinstance(value, str) for name, value in items)
