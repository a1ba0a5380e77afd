"""What tests of dead letters share: what is in the file, and who takes it back."""

import contextlib
import json
import os
import signal
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

DOWN = OSError("down")
needs_locks = pytest.mark.skipif(sys.platform == "win32", reason="needs fcntl")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")


def records(path: Path) -> list[Any]:
    """Return what the lines hold; a line that is not whole raises."""
    data = path.read_bytes()
    assert data.endswith(b"\n")
    return [json.loads(line) for line in data.splitlines() if line]


def items(path: Path) -> list[Any]:
    return [record["item"] for record in records(path)]


class Receiver:
    """A queue that delivers at once; *during* is called by its flush."""

    def __init__(self, during: Callable[[], object] = lambda: None) -> None:
        self.received: list[Any] = []
        self.timeouts: list[float | None] = []
        self._during = during

    def push(self, item: Any) -> None:
        self.received.append(item)

    def flush(self, timeout: float | None = None) -> None:
        self.timeouts.append(timeout)
        self._during()


@dataclass
class Order:
    number: int


def order(held: dict[str, int]) -> Order:
    return Order(**held)


def fork(child: Callable[[], object]) -> int:
    """Run *child* in a child, which is killed if it takes too long; return its process id."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # there are threads: that is the test
        pid = os.fork()
    if pid == 0:
        code = 1
        with contextlib.suppress(BaseException):
            signal.alarm(30)
            child()
            code = 0
        os._exit(code)
    return pid
