"""The page as an ASGI application. What takes a while is answered in a thread, not by the loop."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from .messages import LONGEST, Request, Response
from .page import Page

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class Asgi:
    """What servers and frameworks call."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; begin and end with the server, where it stands alone."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close"})
        elif scope["type"] == "lifespan":
            for told in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{told}.complete"})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _body(receive)
        if body is None:
            return
        request = _request(scope, body)
        if self._page.waits(request):
            response = await _in_thread(lambda: self._page.answer(request))
        else:
            response = self._page.answer(request)
        headers = [(name.lower().encode(), text.encode()) for name, text in response.headers]
        status = {"type": "http.response.start", "status": response.status, "headers": headers}
        await send(status)
        await send({"type": "http.response.body", "body": response.body})


async def _in_thread(answer: Callable[[], Response]) -> Response:
    # Late: these are for who has an event loop.
    from .._tasks.loops.current import current_loop  # noqa: PLC0415
    from .._tasks.to_thread import in_thread  # noqa: PLC0415

    made: list[Response] = []
    await in_thread(lambda: made.append(answer()), lambda: None, current_loop().signal())
    return made[0]


async def _body(receive: Receive) -> bytes | None:
    """Return what is sent, or the beginning if it is too long; None: nobody is there any more."""
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body = body if len(body) > LONGEST else body + message.get("body", b"")
        more = message.get("more_body", False)
    return body


def _request(scope: Scope, body: bytes) -> Request:
    mounted_at = scope.get("root_path", "").rstrip("/")
    path: str = scope["path"]
    if path == mounted_at or path.startswith(f"{mounted_at}/"):  # not all servers leave it there
        path = path[len(mounted_at) :]
    query = scope.get("query_string", b"").decode("latin-1")
    headers = _headers(scope.get("headers", ()))
    return Request(scope["method"].upper(), path, query, headers, body, mounted_at)


def _headers(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in pairs:
        name, text = key.decode("latin-1").lower(), value.decode("latin-1")
        found[name] = f"{found[name]},{text}" if name in found else text
    return found
