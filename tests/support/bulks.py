"""
A server on loopback that answers bulk requests as Elasticsearch and OpenSearch document it.

Of what they do it does what a sink can see: actions, versions, statuses and their reasons.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

PATIENCE = 60.0

Told = dict[str, Any]


class Document(NamedTuple):
    source: dict[str, Any]
    version: int


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """A client that has gone away is none."""


class Bulks:
    """Has documents by index and id, in the order in which they came."""

    def __init__(self) -> None:
        self.documents: dict[tuple[str, str], Document] = {}
        self.requests: list[tuple[str, list[Any]]] = []
        self.is_down = self.is_silent = False
        self.most: int | None = None
        self.answer: tuple[int, dict[str, str], Any] | None = None
        self.refused: dict[str, tuple[int, str]] = {}
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    @cached_property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @contextmanager
    def now(self, **state: Any) -> Iterator[None]:
        before = {name: getattr(self, name) for name in state}
        vars(self).update(state)
        yield
        vars(self).update(before)
        self._over.set()
        self._over = threading.Event()

    def says(self, status: int, body: Any = None, **headers: str) -> Any:
        """Answer every request so."""
        error = {"root_cause": [{"type": "error", "reason": "as told"}]}
        return self.now(answer=(status, headers, body or {"error": error, "status": status}))

    def wait(self) -> None:
        """Keep silence until it is over."""
        self._over.wait(PATIENCE)

    def close(self) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()

    # --- requests

    def asked(self, path: str, body: bytes) -> tuple[int, dict[str, str], Any]:
        lines = [json.loads(line) for line in body.splitlines()]
        self.requests.append((path, lines))
        if self.answer is not None:
            return self.answer
        steps = list(_steps(lines))
        if self.most is not None and len(steps) > self.most:
            return 413, {}, {"error": "content too long", "status": 413}
        with self._lock:
            items = [{action: self._one(action, about, source)} for action, about, source in steps]
        errors = any("error" in told for item in items for told in item.values())
        return 200, {}, {"took": 1, "errors": errors, "items": items}

    def _one(self, action: str, about: Told, source: Told | None) -> Told:
        place = (about["_index"], about["_id"])
        told = {"_index": place[0], "_id": place[1]}
        found = self.documents.get(place)
        if place[1] in self.refused:
            status, kind = self.refused[place[1]]
            return told | _refused(status, kind, "as told")
        if action == "delete" and found is None and "version" not in about:
            return told | {"status": 404, "result": "not_found"}
        if action == "update" and source is not None:
            if found is None and not source.get("doc_as_upsert"):
                return told | _refused(404, "document_missing_exception", "document missing")
            source = (found.source if found else {}) | source["doc"]
        if action == "create" and found is not None:
            return told | _refused(409, "version_conflict_engine_exception", "already exists")
        return told | self._write(place, about, source, found)

    def _write(self, place: Any, about: Told, source: Told | None, found: Document | None) -> Told:
        if source is not None and source.get("text", "") is None:
            cause = {"type": "illegal_argument_exception", "reason": "a text is missing"}
            told = _refused(400, "document_parsing_exception", "failed to parse")
            told["error"]["caused_by"] = cause
            return told
        version = found.version + 1 if found else 1
        if about.get("version_type") == "external":
            version = about["version"]
            if found and found.version >= version:
                return _refused(409, "version_conflict_engine_exception", "a newer one is there")
        self.documents.pop(place, None)
        if source is None:
            return {"status": 200 if found else 404, "result": "deleted"}
        self.documents[place] = Document(source, version)
        return {"status": 200 if found else 201, "result": "updated" if found else "created"}


def _refused(status: int, kind: str, reason: str) -> Told:
    return {"status": status, "error": {"type": kind, "reason": reason}}


def _steps(lines: list[Any]) -> Iterator[tuple[str, Told, Told | None]]:
    rest = iter(lines)
    for line in rest:
        ((action, about),) = line.items()
        yield action, about, None if action == "delete" else next(rest)


def _handler(bulks: Bulks) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if bulks.is_silent:
                bulks.wait()
            if bulks.is_down or bulks.is_silent:
                self.close_connection = True
                return
            status, headers, answer = bulks.asked(self.path, body)
            self._answer(status, headers, json.dumps(answer).encode())

        def do_PUT(self) -> None:
            self.do_POST()

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            told = {"Content-Type": "application/json", "X-Elastic-Product": "Elasticsearch"}
            length = {"Content-Length": str(len(body))}
            for name, value in {**told, **headers, **length}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler
