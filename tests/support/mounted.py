"""
The page in FastAPI, Django and Flask, under a prefix; `serve` runs one of them for browsers.

    python mounted.py fastapi|django|flask PORT
"""

import asyncio
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from partitioned_buffer import Queue
from partitioned_buffer.dashboard import Page, Request, asgi, wsgi

PREFIX = "/ops/buffers"


def fastapi_app(**options: Any) -> Any:
    from fastapi import FastAPI  # noqa: PLC0415

    app = FastAPI()
    app.mount(PREFIX, asgi(**options))
    return app


def django_view(page: Page) -> Callable[..., Any]:
    """As the documentation has it."""
    from django.http import HttpResponse  # noqa: PLC0415
    from django.views.decorators.csrf import csrf_exempt  # noqa: PLC0415

    def view(request: Any, path: str) -> Any:
        headers = {name.lower(): text for name, text in request.headers.items()}
        query, body = request.META["QUERY_STRING"], request.body
        told = page.answer(Request(request.method, path, query, headers, body, PREFIX))
        return HttpResponse(told.body, status=told.status, headers=dict(told.headers))

    made: Callable[..., Any] = csrf_exempt(view)
    return made


class Urls(NamedTuple):
    """What Django takes for a module of URLs."""

    urlpatterns: tuple[Any, ...]


def configured() -> None:
    from django.conf import settings  # noqa: PLC0415

    if not settings.configured:
        settings.configure(ALLOWED_HOSTS=["*"], SECRET_KEY="of tests")


def django_app(**options: Any) -> Any:
    """Return its ASGI application, with a view that is the page."""
    from django.conf import settings  # noqa: PLC0415
    from django.core.asgi import get_asgi_application  # noqa: PLC0415
    from django.urls import re_path  # noqa: PLC0415

    configured()
    view = django_view(Page(**options))
    settings.ROOT_URLCONF = Urls((re_path(rf"^{PREFIX[1:]}(?P<path>(?:/.*)?)$", view),))
    settings.ALLOWED_HOSTS = ["*"]
    return get_asgi_application()


def django_beside(**options: Any) -> Any:
    """Return the page beside Django's ASGI application."""
    django, page = django_app(), asgi(**options)

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/beside/"):
            await page({**scope, "root_path": "/beside"}, receive, send)
        else:
            await django(scope, receive, send)

    return application


def flask_app(**options: Any) -> Any:
    from flask import Flask  # noqa: PLC0415
    from werkzeug.middleware.dispatcher import DispatcherMiddleware  # noqa: PLC0415

    app = Flask("mounted")
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {PREFIX: wsgi(**options)})  # type: ignore[method-assign]
    return app


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


def over_asgi(app: Any, method: str, path: str, headers: Any = (), body: bytes = b"") -> Answer:
    """Ask an ASGI application, as a server does."""
    where, _, query = path.partition("?")
    pairs = [
        (name.encode(), text.encode()) for name, text in {"host": "test", **dict(headers)}.items()
    ]
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http",
    }
    scope |= {"method": method, "path": where, "raw_path": where.encode(), "root_path": ""}
    scope |= {"query_string": query.encode(), "headers": pairs}
    sent = list[Any]()

    async def send(message: Any) -> None:
        sent.append(message)

    async def go() -> None:
        told, gone = iter([{"type": "http.request", "body": body}]), asyncio.Event()

        async def receive() -> Any:
            if (message := next(told, None)) is not None:
                return message
            await gone.wait()
            return {"type": "http.disconnect"}

        await app(scope, receive, send)

    asyncio.run(go())
    begin, *rest = sent
    known = {name.decode().lower(): text.decode() for name, text in begin["headers"]}
    return Answer(begin["status"], known, b"".join(each.get("body", b"") for each in rest))


def over_wsgi(app: Any, method: str, path: str, headers: Any = (), body: bytes = b"") -> Answer:
    """Ask Flask's own client."""
    with app.test_client() as client:
        told = client.open(path, method=method, headers=dict(headers), data=body)
        known = {name.lower(): text for name, text in told.headers.items()}
        return Answer(told.status_code, known, told.data)


APPS: dict[str, tuple[Callable[..., Any], Callable[..., Answer]]] = {
    "fastapi": (fastapi_app, over_asgi),
    "django": (django_app, over_asgi),
    "flask": (flask_app, over_wsgi),
}


def run(framework: str, port: int) -> None:
    """Serve it, by a real server, with a buffer that holds three items."""
    events = Queue[int]("a/b ä<b>", print, partitions=2, processing_interval=3600.0).start()
    events.push_all(range(3))
    app = APPS[framework][0]()
    if framework == "flask":
        from werkzeug.serving import make_server  # noqa: PLC0415

        make_server("127.0.0.1", port, app, threaded=True).serve_forever()
    else:
        import uvicorn  # noqa: PLC0415

        uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)


if __name__ == "__main__":
    run(sys.argv[1], int(sys.argv[2]))
