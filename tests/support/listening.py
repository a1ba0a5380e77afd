"""Servers that tests start: whether they are installed, and whether they listen."""

import os
import socket
from contextlib import suppress
from importlib.util import find_spec

import pytest

PATIENCE = 60.0


def need(*packages: str) -> None:
    """Skip where one of *packages* is not installed; but not in CI, where that is a failure."""
    missing = [package for package in packages if find_spec(package) is None]
    if missing and not os.environ.get("CI"):
        pytest.skip(f"needs {', '.join(missing)}")
    assert not missing


def listens(port: int) -> bool:
    with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False
