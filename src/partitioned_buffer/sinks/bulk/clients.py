"""
In what clients differ: how they are called, and what they raise. None of them is imported.

    elasticsearch   .options(request_timeout=…).bulk(operations=…)   errors have .meta.status
    opensearchpy    .bulk(body=…, params={"request_timeout": …})     errors have .status_code, which
                                                                     is text if nobody answered
"""

import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any

from ...errors import Outage, RetryAfter, Split
from ..base import expect
from ..retry_after import retry_after
from .lines import Dumps

Call = Callable[[bytes], Any]

_AWAY = frozenset({"ConnectionError", "ConnectionTimeout", "TlsError", "SSLError"})
"""Names of errors, of either client and of others, about which nobody has answered."""

_BUSY, _FORBIDDEN, _TOO_LARGE = (429, 503), (401, 403), 413
_OUTAGES = (404, 408)


def expect_client(client: Any, *, is_async: bool) -> None:
    """Raise `InvalidOption` unless *client* has a `bulk` of that kind."""
    bulk = getattr(client, "bulk", None)
    words = "a client of Elasticsearch or OpenSearch, with a method bulk"
    expect(callable(bulk) and not isinstance(client, type), "client", client, words)
    found = inspect.iscoroutinefunction(inspect.unwrap(bulk))  # type: ignore[arg-type]
    words = "one for asyncio: see BulkIndex" if is_async else "one for threads: see AsyncBulkIndex"
    expect(found == is_async, "client", client, words)


def caller(client: Any, parameters: Mapping[str, Any], seconds: float) -> Call:
    """Return what makes a bulk request, to be answered within so many *seconds*."""
    if hasattr(client, "options"):
        # Its own attempts would take that long each; those of the buffer hold nobody up.
        limited = client.options(request_timeout=seconds, max_retries=0)
        return lambda body: limited.bulk(operations=body, **parameters)
    limits = {"request_timeout": seconds}
    return lambda body: client.bulk(body=body, params=dict(limits), **parameters)


def dumper(client: Any) -> Dumps:
    """Return what makes JSON of a document: the client's own, which knows dates and the like."""
    transport = getattr(client, "transport", None)
    for name in ("serializers", "serializer"):
        if callable(found := getattr(getattr(transport, name, None), "dumps", None)):
            return _in_bytes(found)
    return _in_bytes(json.dumps)


def _in_bytes(dumps: Callable[[Any], Any]) -> Dumps:
    def dumped(value: Any) -> bytes:
        made = dumps(value)
        return made if isinstance(made, bytes) else str(made).encode()

    return dumped


def said_by(error: Exception) -> Exception | None:
    """Return what to raise for what a client has raised; None: it says nothing that is known."""
    status = _status(error)
    if status is None:
        names = {kind.__name__ for kind in type(error).__mro__}
        text = getattr(error, "message", None) or error  # its own words are few
        return Outage(f"no answer: {text}") if names & _AWAY else None
    if status == _TOO_LARGE:
        return Split(f"the request is too large: {error}")
    if status in _BUSY:
        seconds = retry_after(getattr(getattr(error, "meta", None), "headers", None) or {})
        return Outage(str(error)) if seconds is None else RetryAfter(seconds, everyone=True)
    if status in _FORBIDDEN:
        return Outage(f"{error}: expected a client that may write there")
    return Outage(str(error)) if status in _OUTAGES or status >= 500 else None


def _status(error: Exception) -> int | None:
    for found in (getattr(getattr(error, "meta", None), "status", None), _status_code(error)):
        if isinstance(found, int):
            return found
    return None


def _status_code(error: Exception) -> Any:
    try:
        return getattr(error, "status_code", None)
    except LookupError:  # it reads it from arguments that it may not have been given
        return None
