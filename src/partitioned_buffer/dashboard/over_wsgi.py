"""The page as a WSGI application."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from .messages import LONGEST, Request
from .page import Page

Environ = Mapping[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], object]


class Wsgi:
    """What servers and frameworks call."""

    def __init__(self, page: Page) -> None:
        self._page = page

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        response = self._page.answer(_request(environ))
        status = HTTPStatus(response.status)
        start_response(f"{status.value} {status.phrase}", list(response.headers))
        return [response.body]


def _request(environ: Environ) -> Request:
    return Request(
        environ["REQUEST_METHOD"].upper(),
        _text(environ.get("PATH_INFO", "")),
        environ.get("QUERY_STRING", ""),
        dict(_headers(environ)),
        _body(environ),
        _text(environ.get("SCRIPT_NAME", "")).rstrip("/"),
    )


def _text(given: str) -> str:
    """Return a path, whose bytes WSGI has as characters."""
    return given.encode("latin-1", "replace").decode("utf-8", "replace")


def _headers(environ: Environ) -> Iterable[tuple[str, str]]:
    for name, text in environ.items():
        if name.startswith("HTTP_"):
            yield name[5:].replace("_", "-").lower(), text
    yield "content-type", environ.get("CONTENT_TYPE") or ""


def _body(environ: Environ) -> bytes:
    """Return what is sent, or the beginning if it is too long."""
    length = 0
    with suppress(ValueError):
        length = int(environ.get("CONTENT_LENGTH") or 0)
    if length <= 0:
        return b""
    body: bytes = environ["wsgi.input"].read(min(length, LONGEST + 1))
    return body
