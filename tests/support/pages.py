"""A server on loopback that answers as the page of a process does, or as a test wants."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from partitioned_buffer._core.ledger import total


def buffer(name: str, state: str = "flowing", **numbers: Any) -> dict[str, Any]:
    """Return what the page tells of a buffer without anything in it, but for *numbers*."""
    stats = total([], hook_errors=0, dead_letter_errors=0, blocked=0).as_dict()
    del stats["partitions"]
    for path, number in numbers.items():
        outer, _, inner = path.rpartition("__")
        (stats[outer] if outer else stats)[inner] = number
    return {
        "name": name,
        "kind": "Queue",
        "running": True,
        "states": [*state.split()],
        "stats": stats,
    }


def answer(*buffers: dict[str, Any]) -> dict[str, Any]:
    """Return what the page tells of these."""
    process = {"pid": 4711, "host": "web-1", "started": 1_000_000.0}
    return {"format": 1, "at": 1_000_200.0, "process": process, "buffers": [*buffers]}


class Page:
    """What it answers, and what it was asked."""

    def __init__(self, said: Any) -> None:
        self.said = said
        """An object for JSON, or bytes."""
        self.status, self.headers = 200, dict[str, str]()
        self.asked = list[tuple[str, dict[str, str]]]()
        self.url = ""
        self.waits = threading.Event()
        self.waits.set()
        """While it is not set, nothing is answered."""


@contextmanager
def page(said: Any, port: int = 0) -> Iterator[Page]:
    """Have one run."""
    here = Page(said)

    class Handler(BaseHTTPRequestHandler):
        page: ClassVar[Page] = here

        def do_GET(self) -> None:
            self.page.asked.append((self.path, dict(self.headers)))
            self.page.waits.wait(20)
            said = self.page.said
            body = said if isinstance(said, bytes) else json.dumps(said).encode()
            self.send_response(self.page.status)
            for name, value in self.page.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    here.url = f"http://127.0.0.1:{server.server_port}/buffers"
    try:
        yield here
    finally:
        here.waits.set()
        server.shutdown()
        thread.join()
        server.server_close()
