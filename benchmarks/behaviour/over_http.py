"""The adapters of libraries that post over HTTP: to a server in the same process."""
# ruff: noqa: PLC0415  (a process imports only the library that it tries)

import gzip
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .trial import Setup, Subject

Parse = Callable[[bytes], list[int]]


def serve(sink: Callable[[list[int]], None], parse: Parse) -> str:
    """Take what is posted to the sink, say 503 when it fails; return the server's address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            try:
                sink(parse(body))
                self._answer(200)
            except OSError:
                self._answer(503)

        def _answer(self, status: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"127.0.0.1:{server.server_port}"


class Sentry(Subject):
    """Its logs. Bounded are batches, of up to 1,000. What it drops it reports to the server."""

    package = "sentry-sdk"
    bound = 2000
    pairs = False

    def __init__(self, setup: Setup) -> None:
        import sentry_sdk

        self._sdk, self._reported = sentry_sdk, 0
        address = serve(setup.sink, self._parse)
        bounds = {"transport_queue_size": setup.bound // 1000} if setup.bound else {}
        sentry_sdk.init(f"http://key@{address}/1", enable_logs=True, **bounds)

    def _parse(self, body: bytes) -> list[int]:
        found = []
        for line in body.splitlines():
            told = json.loads(line)
            found += [int(item["body"]) for item in told.get("items", ())]
            for gone in told.get("discarded_events", ()):
                self._reported += gone["quantity"] * (gone["category"] == "log_item")
        return found

    def put(self, item: int) -> object:
        return self._sdk.logger.info(str(item))

    def flush(self, timeout: float) -> object:
        return self._sdk.flush(timeout)

    def stop(self, timeout: float) -> object:
        return self._sdk.get_client().close(timeout)

    def lost(self) -> int:
        return self._reported


class Influx(Subject):
    package = "influxdb-client"

    def __init__(self, setup: Setup) -> None:
        from influxdb_client import InfluxDBClient, WriteOptions

        address = serve(setup.sink, self._parse)
        self._client = InfluxDBClient(f"http://{address}", "token", org="org")
        patience = int(setup.patience * 1000)
        self._api = self._client.write_api(WriteOptions(max_close_wait=patience))

    @staticmethod
    def _parse(body: bytes) -> list[int]:
        return [int(line.removeprefix(b"m item=").removesuffix(b"i")) for line in body.splitlines()]

    def put(self, item: int) -> object:
        return self._api.write("bucket", record=f"m item={item}i")

    def flush(self, _: float) -> object:
        return self._api.flush()

    def stop(self, _: float) -> object:
        return self._api.close()


class Segment(Subject):
    package = "segment-analytics-python"

    def __init__(self, setup: Setup) -> None:
        from segment.analytics.client import Client

        address = serve(setup.sink, parse_events)
        bounds = {"max_queue_size": setup.bound} if setup.bound else {}
        self._client = Client("key", host=f"http://{address}", **bounds)

    def put(self, item: int) -> object:
        accepted, _ = self._client.track("user", "event", {"item": item})
        return accepted

    def flush(self, _: float) -> object:
        return self._client.flush()

    def stop(self, _: float) -> object:
        return self._client.shutdown()


class PostHog(Subject):
    package = "posthog"

    def __init__(self, setup: Setup) -> None:
        from posthog import Posthog

        address = serve(setup.sink, parse_events)
        bounds = {"max_queue_size": setup.bound} if setup.bound else {}
        self._client = Posthog("key", host=f"http://{address}", **bounds)

    def put(self, item: int) -> object:
        sent = self._client.capture("event", distinct_id="user", properties={"item": item})
        return sent is not None

    def flush(self, timeout: float) -> object:
        return self._client.flush(timeout)

    def stop(self, _: float) -> object:
        return self._client.shutdown()


def parse_events(body: bytes) -> list[int]:
    return [event["properties"]["item"] for event in json.loads(body)["batch"]]
