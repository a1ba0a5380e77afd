"""Stores as buffers leave them, and the command line in a process of its own."""

import contextlib
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from partitioned_buffer.storage.codec import make_codec
from partitioned_buffer.storage.sqlite import Journal

PLAIN = "msgspec.msgpack"


def journal(path: Path, *, codec: str = PLAIN, kind: str = "Queue", partitions: int = 2) -> Journal:
    return Journal.open(path, fsync="os", kind=kind, codec=codec, partitions=partitions)


def chunk(*items: Any, codec: Any = None) -> tuple[int, bytes]:
    """Return how many items, and the chunk of them that a Queue writes: without hashes."""
    return len(items), b"\0" + make_codec(codec).pack(items)


@contextlib.contextmanager
def store(path: Path, *pieces: Sequence[Any], **options: Any) -> Iterator[Journal]:
    """Make a store with a chunk of each of *pieces*, all in partition 0."""
    made = journal(path, **options)
    for piece in pieces:
        count, data = chunk(*piece)
        made.append([(0, count, data)])
    try:
        yield made
    finally:
        made.close()


def command(*arguments: object, folder: Path | None = None) -> "subprocess.CompletedProcess[str]":
    """Run the command line in another process."""
    return subprocess.run(
        [sys.executable, "-m", "partitioned_buffer", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=folder,
        env={**os.environ, "COLUMNS": "100"},
    )


def begun(folder: Path, *arguments: object) -> "subprocess.Popen[str]":
    """Begin the command line in another process, in that folder."""
    return subprocess.Popen(
        [sys.executable, "-m", "partitioned_buffer", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
    )


@contextlib.contextmanager
def in_use(path: Path) -> Iterator[int]:
    """Have another process hold a store; yield its pid."""
    support = str(Path(__file__).parent)
    text = """
        import sys; sys.path.insert(0, sys.argv[2])
        from pathlib import Path
        from stores import store
        with store(Path(sys.argv[1]), ["abc"]):
            print("ready", flush=True); input()
    """
    given = [sys.executable, "-c", textwrap.dedent(text), str(path), support]
    with subprocess.Popen(given, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"ready\n"
        yield other.pid
        assert other.stdin is not None
        other.stdin.close()


def exit_code(call: Callable[[], object]) -> int:
    """Return the code that *call* exits with."""
    try:
        call()
    except SystemExit as end:
        return int(end.code or 0)
    raise AssertionError("it returned")
