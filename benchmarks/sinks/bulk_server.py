"""Answers bulk requests, and prints the port where it does; a program of its own."""

import sys
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = _answer(body.count(b"\n") // 2)
        self.wfile.write(answer)

    def do_PUT(self) -> None:
        self.do_POST()

    def log_message(self, *_: object) -> None:
        pass


@lru_cache
def _answer(count: int) -> bytes:
    items = b",".join([b'{"index":{"_id":"1","status":201}}'] * count)
    body = b'{"took":1,"errors":false,"items":[' + items + b"]}"
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        b"X-Elastic-Product: Elasticsearch\r\nContent-Length: %d\r\n\r\n"
    )
    return head % len(body) + body


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    server.serve_forever()
