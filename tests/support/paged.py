"""Runs `partitioned-buffer page`, and asks it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen


@contextmanager
def serving(folder: Path, *arguments: str, **environment: str) -> Iterator[Any]:
    """Run the command; yield its process and where the page is."""
    process = subprocess.Popen(
        [sys.executable, "-m", "partitioned_buffer", "page", *arguments, "--port", "0"],
        cwd=folder,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("The page is at http://"), process.communicate()
        yield process, line.split()[4].rstrip(".")
    finally:
        process.kill()
        process.communicate()


def asked(url: str, **headers: str) -> Any:
    given = {name.replace("_", "-"): text for name, text in headers.items()}
    with urlopen(Request(url, headers=given), timeout=30) as answer:
        return json.loads(answer.read())
