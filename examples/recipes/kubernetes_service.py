"""
A service under Kubernetes: told to stop, it is ready no more, answers what comes, and delivers.

    python kubernetes_service.py 8080

    POST /events    accepted: 202             GET /ready    200, or 503 once it was told to stop

What cannot be delivered in time is in a file, on a volume, which the next one begins with.
"""

import os
import signal
import sys
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from partitioned_buffer import BufferNotRunning, Queue, Undelivered
from partitioned_buffer.dead_letters import DeadLetterFile

GRACE = float(os.environ.get("GRACE", "30"))  # terminationGracePeriodSeconds
UNROUTED = float(os.environ.get("UNROUTED", "5"))  # until no new requests come
RESERVE = 2.0  # for the file, and the end of the process
FILE = Path(os.environ.get("EVENTS_FILE", "events.txt"))

stopping = threading.Event()
letters = DeadLetterFile(FILE.with_suffix(".left"))


def send(batch: list[str]) -> None:
    """Stand for a destination that may be down; what it waits for has a timeout."""
    if FILE.with_suffix(".down").exists():
        raise ConnectionError("the destination is down")
    with FILE.open("ab", buffering=0) as file:
        file.write("".join(f"{line}\n" for line in batch).encode())


events: Queue[str] = Queue("events", send, processing_interval=0.5, dead_letter=letters)


class Service(BaseHTTPRequestHandler):
    """Takes events in."""

    def do_GET(self) -> None:
        """Say whether requests should come here."""
        self.answer(503 if stopping.is_set() else 200)

    def do_POST(self) -> None:
        """Accept an event, also after SIGTERM: for a while, requests still come."""
        events.push(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.answer(202)

    def answer(self, status: int) -> None:
        """Answer without a body."""
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def replay() -> None:
    """Deliver what the last one has left, as soon as the destination is there."""
    with suppress(BufferNotRunning):  # it was not: the next one does
        letters.replay(events)


def main(port: int) -> None:
    """Serve until SIGTERM, and end in time."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])  # in all threads: see below
    server = ThreadingHTTPServer(("127.0.0.1", port), Service)
    server.daemon_threads = False  # server_close() waits for requests that are being answered
    events.start()
    threading.Thread(target=replay, daemon=True).start()
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1})
    serving.start()
    signal.sigwait([signal.SIGTERM])
    stopping.set()
    until = time.monotonic() + GRACE - RESERVE
    time.sleep(UNROUTED)
    server.shutdown()
    server.server_close()
    left = events.stop(timeout=max(0.0, until - time.monotonic())).left
    if left:
        letters(left, Undelivered("told to stop, and the destination was not there"), 0)
    sys.stderr.write(f"ended with {len(left)} left\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
