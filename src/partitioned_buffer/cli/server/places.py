"""Where a buffer is, as it is typed: a file, or a server and a name."""

import argparse
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ...errors import InvalidOption
from ...storage.redis import SCHEMES, check_library, check_url
from ..commands.values import URL

if TYPE_CHECKING:
    from ...storage.redis.looking import Server


def is_url(path: str) -> bool:
    """Return whether that is a server's, and no file's."""
    scheme, mark, _ = path.partition("://")
    return bool(mark) and scheme in SCHEMES


def check_place(arguments: argparse.Namespace, *, optional: bool = False) -> None:
    """Raise `InvalidOption` if there is a name too many, or one is missing."""
    path, name = arguments.path, arguments.name
    if name is not None and not is_url(path):
        raise InvalidOption(f"{path} {name}: a file has one buffer: expected {URL} with a name")
    if name is None and is_url(path) and not optional:
        raise InvalidOption(
            "expected the name of a buffer behind the URL: `partitioned-buffer inspect` lists them"
        )


@contextmanager
def server_at(url: str) -> "Generator[Server, None, None]":
    """Have the server at *url* open. Raises `StorageError`, and `InvalidOption`."""
    check_url(url)
    check_library("a server")
    from ...storage.redis.looking import Server  # noqa: PLC0415  # stands on that library

    server = Server(url)
    try:
        yield server
    finally:
        server.close()
