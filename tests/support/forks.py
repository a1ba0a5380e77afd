"""Forked children, and programs that fork."""

import json
import os
import select
import signal
import subprocess
import sys
import sysconfig
import textwrap
import time
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from partitioned_buffer.testing.contract.base import exit_code

PATIENCE = 60.0

under_load = pytest.mark.skipif(
    bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    reason="a lock of any dict or object may stay locked in a child, if threads met there",
)


class Child:
    """A forked process that runs a function, sends what it returned, and ends with `os._exit`."""

    def __init__(self, function: Callable[[], object]) -> None:
        self._reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                _send(writer, json.dumps(function()))
                status = 0
            except BaseException:
                _send(writer, traceback.format_exc())
            finally:
                os._exit(status)
        os.close(writer)

    def result(self) -> Any:
        """Return what the child's function returned; fail if the child failed, or hangs."""
        deadline, received = time.monotonic() + PATIENCE, b""
        while True:
            left = max(0.0, deadline - time.monotonic())
            ready, _, _ = select.select([self._reader], [], [], left)
            if not ready:  # its end closes the pipe
                os.kill(self.pid, signal.SIGABRT)  # faulthandler shows where it hangs
                os.waitpid(self.pid, 0)
                pytest.fail(f"child {self.pid} hangs")
            if not (part := os.read(self._reader, 65536)):
                break
            received += part
        os.close(self._reader)
        assert exit_code(self.pid) == 0, received.decode()
        return json.loads(received)


def _send(writer: int, text: str) -> None:
    data = text.encode()
    while data:
        data = data[os.write(writer, data) :]


def run(program: str) -> str:
    """Run *program* in a process of its own; return what it and its children printed."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env=os.environ | {"PYTHONUNBUFFERED": ""},  # so that a line is written in one piece
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout
