"""
How the page of a process is asked: one request a look, with an end to everything.

No redirect is followed, and no proxy asked: a token goes to nobody but the address that was typed.
"""

import json
import socket
import threading
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import quote, urlsplit

from ...errors import InvalidOption, PartitionedBufferError
from ..text import printable

FORMAT = 1
"""Of the JSON, which `partitioned_buffer.dashboard` tells."""
PATIENCE = 5.0
"""Seconds that the page may say nothing."""
LONGEST = 10.0
"""Seconds from the request to the end of the answer."""
MOST = 64 * 1024 * 1024
"""Bytes that an answer may have."""
EXPECTED = (
    "expected the page of a process: where it is mounted, or `partitioned-buffer page` serves it"
)


class NoAnswer(PartitionedBufferError):
    """The page has not said how its buffers do, for the reason given."""


class Source:
    """The page at *url*, which lets in who has the *token*. Raises `InvalidOption`."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self._is_safe, self._host, self._port, path = _parsed(url)
        if token is not None and not (token.isascii() and token.isprintable() and token.strip()):
            raise InvalidOption("the token: expected letters, digits and signs of ASCII")
        self._path = f"{path}/api/buffers"
        self._headers = {"Accept": "application/json", "Connection": "close"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"
        self.where = printable(url)

    def look(self) -> dict[str, Any]:
        """Return what the page says. Raises `NoAnswer`."""
        connection = self._connection()
        try:
            status, reason, lead, body = self._answer(connection)
        except (OSError, HTTPException) as error:
            why = str(error) or type(error).__name__
            raise self._no(f"does not answer: {why}: {EXPECTED}") from error
        finally:
            connection.close()
        if status != 200:
            raise self._refused(status, reason, lead, body)
        return self._read(body)

    def _connection(self) -> HTTPConnection:
        kind = HTTPSConnection if self._is_safe else HTTPConnection
        return kind(self._host, self._port, timeout=PATIENCE)

    def _answer(self, connection: HTTPConnection) -> tuple[int, str, str, bytes]:
        connection.connect()
        cut = threading.Timer(LONGEST, _cut, [connection.sock])
        cut.daemon = True
        cut.start()
        try:
            connection.request("GET", self._path, headers=self._headers)
            response = connection.getresponse()
            body = _body(response)
        finally:
            cut.cancel()
        return response.status, response.reason, response.getheader("Location", ""), body

    def _refused(self, status: int, reason: str, lead: str, body: bytes) -> NoAnswer:
        if status == 401:
            had = "another token" if "Authorization" in self._headers else "a token"
            return self._no(f"wants {had}: --token, or PARTITIONED_BUFFER_TOKEN")
        if status == 404:
            return self._no(f"there is nothing at {printable(self._path)}: {EXPECTED}")
        if 300 <= status < 400 and lead:
            return self._no(f"leads to {printable(lead)}: expected the address itself")
        said = f"{status} {reason}"
        with suppress(ValueError, RecursionError, AttributeError):
            said += f": {json.loads(body).get('error', '')[:200]}"
        return self._no(f"answers {printable(said)}: {EXPECTED}")

    def _read(self, body: bytes) -> dict[str, Any]:
        try:
            said: Any = json.loads(body, parse_constant=_refuse)
        except (ValueError, RecursionError):
            said = None
        if not isinstance(said, dict) or "format" not in said:
            raise self._no(f"is no page of buffers: {EXPECTED}")
        if said["format"] != FORMAT:
            raise self._no(
                f"tells of buffers in format {printable(str(said['format'])[:20])}: expected "
                f"{FORMAT}: use the `partitioned-buffer` that its process has"
            )
        buffers = said.get("buffers")
        if not isinstance(buffers, list) or not all(isinstance(each, dict) for each in buffers):
            raise self._no(f"does not list its buffers: {EXPECTED}")
        return said

    def _no(self, why: str) -> NoAnswer:
        return NoAnswer(f"{self.where} {why}")


def _parsed(url: str) -> tuple[bool, str, int | None, str]:
    """Return whether it is by TLS, the host, the port, and the path without the last slash."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidOption(f"{printable(url)}: {error}: expected http://HOST:PORT/PATH") from error
    if parts.scheme not in ("http", "https") or not host or not host.isprintable():
        raise InvalidOption(f"{printable(url)}: expected http://HOST:PORT/PATH, or https://...")
    if "@" in parts.netloc:
        raise InvalidOption("a URL with a name or a password: expected one without, and --token")
    path = quote(parts.path, safe="/%:@!$&'()*+,;=~").rstrip("/")
    return parts.scheme == "https", host, port, path


def _body(response: HTTPResponse) -> bytes:
    body = response.read(MOST + 1)
    if len(body) > MOST:
        raise HTTPException(f"more than {MOST:,} bytes")
    if response.length:
        raise HTTPException("its answer ends in the middle")
    return body


def _cut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
