"""
An endpoint for tests, on loopback: takes rows as JSON, and gives the answers that are documented.

It has idempotency keys, as IETF's draft has them: what has been taken under one is not taken again.
"""

import contextlib
import gzip
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Taken(NamedTuple):
    """A request that came."""

    method: str
    path: str
    headers: dict[str, str]
    rows: list[Any]


class Endpoint:
    """Has rows, in the order in which they came."""

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self.requests: list[Taken] = []
        self.keys: set[str] = set()
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        """What is answered next, whatever comes."""
        self.most: int | None = None
        self.seconds: str | None = None
        self.spoken = threading.Event()
        self.spoken.set()
        self.drip = 0.0
        """How many seconds are between the bytes of an answer."""
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._server = self._serve(0)
        self.port: int = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/rows"

    def _serve(self, port: int) -> ThreadingHTTPServer:
        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

        server = Server(("127.0.0.1", port), self._handler())
        threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
        return server

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                super().setup()
                endpoint._open.add(self.connection)

            def log_message(self, *_: object) -> None:
                pass

            def handle_one_request(self) -> None:
                self.close_connection = True  # unless there is no error
                with contextlib.suppress(OSError, ValueError):
                    super().handle_one_request()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                endpoint.spoken.wait(60)
                status, headers, answer = endpoint.take(self, body)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                for part in [answer] if not endpoint.drip else [bytes([b]) for b in answer]:
                    self.wfile.write(part)
                    threading.Event().wait(endpoint.drip)

            do_PUT = do_POST  # noqa: N815

        return Handler

    def take(self, request: Any, body: bytes) -> tuple[int, dict[str, str], bytes]:
        headers = {name.lower(): value for name, value in request.headers.items()}
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        is_array = headers["content-type"] == "application/json"
        rows = json.loads(body) if is_array else [json.loads(line) for line in body.splitlines()]
        with self._lock:
            self.requests.append(Taken(request.command, request.path, headers, rows))
            if self.answers:
                return self.answers.pop(0)
            return self._answer(rows, headers.get("idempotency-key"))

    def _answer(self, rows: list[Any], key: str | None) -> tuple[int, dict[str, str], bytes]:
        if self.seconds is not None:
            return 429, {"Retry-After": self.seconds}, b"too many"
        if self.most is not None and len(rows) > self.most:
            return 413, {}, b"too large"
        if any("bad" in _values(row) for row in rows):
            return 400, {}, b'{"error": "a bad text"}'
        if key is None or key not in self.keys:
            self.rows += rows
        self.keys |= {key} if key else set()
        return 200, {}, b"{}"

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        self.close()
        try:
            yield
        finally:
            self._server = self._serve(self.port)

    @contextlib.contextmanager
    def silent(self) -> Iterator[None]:
        self.spoken.clear()
        try:
            yield
        finally:
            self.cut()
            self.spoken.set()

    def cut(self) -> None:
        """End all connections that there are."""
        while self._open:
            with contextlib.suppress(OSError):
                self._open.pop().shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self.cut()


def _values(row: Any) -> list[Any]:
    if isinstance(row, dict):
        return list(row.values())
    return row if isinstance(row, list) else [row]
