"""What is asked, and what is answered, whichever server brings it."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

LONGEST = 10_000
"""Bytes that the body of a request may have."""


class Request(NamedTuple):
    """What somebody asks."""

    method: str
    path: str
    """From where the page is mounted: "" or "/" is the page itself."""
    query: str = ""
    headers: Mapping[str, str] = {}
    """By names in small letters."""
    body: bytes = b""
    mounted_at: str = ""
    """The path that leads there."""


class Response(NamedTuple):
    """What is answered."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Refused(Exception):
    """A request that is not answered as it wishes: with *status*, and why."""

    def __init__(self, status: int, why: str, *headers: tuple[str, str]) -> None:
        super().__init__(why)
        self.status, self.headers = status, headers


def told(content: Mapping[str, Any], status: int = 200, *headers: tuple[str, str]) -> Response:
    """Return *content* as JSON, which nobody keeps."""
    body = json.dumps({"format": 1, **content}, separators=(",", ":")).encode()
    kind = ("Content-Type", "application/json")
    return Response(status, (kind, ("Cache-Control", "no-store"), *headers), body)


def refusal(refused: Refused) -> Response:
    """Return what is answered instead."""
    return told({"error": str(refused)}, refused.status, *refused.headers)
