"""Asks a page, without a server."""

import gzip
import json
from typing import Any

from partitioned_buffer.dashboard import Page, Request, Response

ACTS = {"content-type": "application/json", "x-partitioned-buffer": "1"}
"""What the page's own script sends with an action."""


def ask(
    page: Page,
    path: str,
    query: str = "",
    *,
    method: str = "GET",
    body: bytes = b"",
    **headers: str,
) -> Response:
    """Ask; an underscore in the name of a header is a hyphen."""
    given = {name.replace("_", "-"): text for name, text in headers.items()}
    return page.answer(Request(method, path, query, given, body))


def act(page: Page, path: str, name: str, **headers: str) -> tuple[int, Any]:
    """Act on a buffer, as the page's script does."""
    given = ACTS | {key.replace("_", "-"): text for key, text in headers.items()}
    response = page.answer(Request("POST", path, "", given, json.dumps({"name": name}).encode()))
    return response.status, content(response)


def content(response: Response) -> Any:
    """Return what JSON says."""
    headers = dict(response.headers)
    assert headers["Content-Type"] == "application/json"
    zipped = headers.get("Content-Encoding") == "gzip"
    return json.loads(gzip.decompress(response.body) if zipped else response.body)


def overview(page: Page) -> dict[str, Any]:
    """Return what is told of each buffer, by its name."""
    response = ask(page, "/api/buffers")
    assert response.status == 200
    return {each["name"]: each for each in content(response)["buffers"]}
