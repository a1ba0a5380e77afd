"""The page in FastAPI, Django and Flask, under a prefix, and by the servers' own ways."""

import asyncio
import io
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any
from wsgiref.validate import validator

import pytest
from mounted import APPS, PREFIX, Answer, django_beside, over_asgi

from partitioned_buffer import AsyncQueue, Queue
from partitioned_buffer.dashboard import asgi, wsgi
from partitioned_buffer.dashboard.files import files

Ask = Callable[..., Answer]
NAME = "a/b ä<b>"


@pytest.fixture
def events() -> Iterator[Queue[int]]:
    with Queue[int](NAME, print, partitions=1) as queue:
        queue.push(1)
        yield queue


@pytest.fixture(params=APPS)
def framework(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def ask(framework: str) -> Ask:
    make, way = APPS[framework]
    app = make(actions=True)

    def call(method: str, path: str, headers: Any = (), body: bytes = b"") -> Answer:
        return way(app, method, PREFIX + path, headers, body)

    return call


@pytest.mark.usefixtures("events")
def test_it_is_mounted_under_a_prefix(ask: Ask) -> None:
    begin = ask("GET", "")
    assert begin.status in (301, 307, 308)
    assert begin.headers["location"].endswith("buffers/")
    page = ask("GET", "/")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    for name in files():
        assert ask("GET", f"/{name}").status == 200
    told = json.loads(ask("GET", "/api/buffers").body)
    assert [each["name"] for each in told["buffers"]] == [NAME]
    one = ask("GET", "/api/buffer?name=a%2Fb+%C3%A4%3Cb%3E")
    assert json.loads(one.body)["buffer"]["stats"]["held"] == 1
    assert one.headers["content-security-policy"].startswith("default-src 'none'")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/api/buffer", 400),
        ("GET", "/api/buffer?name=%FF%FE", 400),
        ("POST", "/api/buffers", 405),
        ("POST", "/api/flush", 403),
        ("HEAD", "/api/buffers", 200),
        ("GET", "/..%2f..%2fpage.py", 404),
        ("GET", "/%00", 404),
    ],
)
def test_bad_requests_get_there_as_they_are(ask: Ask, method: str, path: str, status: int) -> None:
    assert ask(method, path).status == status


def test_actions_get_there(ask: Ask, events: Queue[int]) -> None:
    headers = {"content-type": "application/json", "x-partitioned-buffer": "1"}
    body = json.dumps({"name": NAME}).encode()
    told = ask("POST", "/api/flush", headers, body)
    assert (told.status, json.loads(told.body)["flushed"]) == (200, True)
    assert events.stats().delivered == 1
    assert ask("POST", "/api/flush", headers, b"x" * 100_000).status == 413


@pytest.mark.usefixtures("events")
def test_it_stands_beside_django() -> None:
    app = django_beside()
    assert over_asgi(app, "GET", "/beside/").status == 200
    assert over_asgi(app, "GET", "/beside/api/buffers").status == 200
    assert over_asgi(app, "GET", f"{PREFIX}/api/buffers").status == 200
    assert over_asgi(app, "GET", "/elsewhere").status == 404


# --- servers' own ways -----------------------------------------------------------------------


def test_an_event_loop_is_not_held_up_while_numbers_are_read() -> None:
    class Slow(Queue[int]):
        go = threading.Event()

        def stats(self) -> Any:
            self.go.wait(60)
            return super().stats()

    async def main() -> None:
        app, slow = asgi([Slow("slow", print)]), Slow.go
        answer = asyncio.create_task(asyncio.to_thread(over_asgi, app, "GET", "/api/buffers"))
        inner = asyncio.create_task(_asked(app, "/api/buffers"))
        for _ in range(10):
            await asyncio.sleep(0)  # the loop goes on
        assert not inner.done()
        slow.set()
        assert (await answer).status == await inner == 200

    asyncio.run(main())


async def _asked(app: Any, path: str, body: Any = ({"type": "http.request"},)) -> int | None:
    told, sent = iter(body), list[Any]()

    async def receive() -> Any:
        return next(told)

    async def send(message: Any) -> None:
        sent.append(message)

    await app(
        {"type": "http", "method": "POST" if len(body) > 1 else "GET", "path": path}, receive, send
    )
    return sent[0]["status"] if sent else None


def test_trio_serves_it_too() -> None:
    trio = pytest.importorskip("trio")
    with Queue[int]("events", print):
        assert trio.run(_asked, asgi(), "/api/buffers") == 200


def test_who_goes_away_in_the_middle_is_not_answered() -> None:
    body = ({"type": "http.request", "more_body": True}, {"type": "http.disconnect"})
    assert asyncio.run(_asked(asgi(), "/api/flush", body)) is None


def test_it_begins_and_ends_with_a_server_that_it_has_to_itself() -> None:
    async def main() -> list[str]:
        said = list[str]()

        async def receive() -> dict[str, str]:
            return {"type": "any"}

        async def send(message: dict[str, str]) -> None:
            said.append(message["type"])

        await asgi()({"type": "lifespan"}, receive, send)
        await asgi()({"type": "websocket"}, receive, send)
        return said

    complete = ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert asyncio.run(main()) == [*complete, "websocket.close"]


def test_a_queue_of_tasks_is_flushed_from_its_own_loop() -> None:
    async def main() -> None:
        async with AsyncQueue[int]("events", print, partitions=1) as queue:
            await queue.push(1)
            body = json.dumps({"name": "events"}).encode()
            message = {"type": "http.request", "body": body}
            headers = [(b"content-type", b"application/json"), (b"x-partitioned-buffer", b"1")]
            sent = list[Any]()

            async def receive() -> Any:
                return message

            async def send(part: Any) -> None:
                sent.append(part)

            scope = {"type": "http", "method": "POST", "path": "/api/flush", "headers": headers}
            await asgi(actions=True)(scope, receive, send)
            assert sent[0]["status"] == 200
            assert queue.stats().delivered == 1

    asyncio.run(main())


def test_no_more_is_read_than_an_action_may_have() -> None:
    class Endless:
        def read(self, size: int) -> bytes:
            assert size <= 20_000
            return b"x" * size

    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/api/flush",
        "CONTENT_TYPE": "application/json",
        "HTTP_X_PARTITIONED_BUFFER": "1",
        "CONTENT_LENGTH": str(1 << 40),
        "wsgi.input": Endless(),
    }
    said = list[str]()
    wsgi([], actions=True)(environ, lambda status, _headers: said.append(status))
    assert said[0].startswith("413")


@pytest.mark.parametrize("length", ["", "0", "-1", "x", "3", "100000"])
def test_wsgi_is_kept_to(length: str) -> None:
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/api/buffers/\xff",
        "QUERY_STRING": "",
        "SERVER_NAME": "test",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(b"abc"),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    if length.isdigit():
        environ["CONTENT_LENGTH"] = length
    said = list[Any]()
    application: Any = validator(wsgi()) if length != "-1" else wsgi()
    if not length.isdigit():
        environ["CONTENT_LENGTH"] = length
        application = wsgi()
    found = application(environ, lambda status, headers, exc=None: said.append((status, headers)))
    body = b"".join(found)
    if hasattr(found, "close"):
        found.close()
    assert said[0][0] == "404 Not Found"
    assert json.loads(body)["error"]
