"""Servers of a test's own, of one kind after the other; and scenes at them."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

try:
    import redis  # noqa: F401
except ImportError:
    if os.environ.get("SERVERS") == "required":
        raise
    collect_ignore_glob = ["test_*.py"]
else:
    from servers import KINDS, Server, binary

    Started = Callable[..., Server]

    @pytest.fixture(scope="session")
    def kinds() -> list[str]:
        """Which servers there are."""
        found = [kind for kind in KINDS if binary(kind) is not None]
        if not found:
            pytest.skip("no server is installed")
        return found

    @pytest.fixture
    def started(kinds: list[str], tmp_path: Path) -> Iterator[Started]:
        """Start the server of a round, of another kind than that of the round before."""
        made: list[Server] = []

        def start(number: int, *options: str, **more: Any) -> Server:
            kind = kinds[number % len(kinds)]
            made.append(Server(kind, tmp_path / f"server-{number}", *options, **more))
            return made[-1]

        yield start
        for each in made:
            each.stop()
