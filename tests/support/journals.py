"""Journals in files of their own; records are single bytes, so a chunk's data is its records."""

import shutil
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from partitioned_buffer.abc import Chunk
from partitioned_buffer.storage.sqlite import Journal


def opened(
    path: Path,
    *,
    fsync: Literal["commit", "os"] = "os",
    kind: str = "Queue",
    codec: str = "bytes",
    partitions: int = 2,
) -> Journal:
    return Journal.open(path, fsync=fsync, kind=kind, codec=codec, partitions=partitions)


def append(journal: Journal, *texts: str, partition: int = 0) -> list[int]:
    """Accept each text as a chunk of so many records."""
    return journal.append([(partition, len(text), text.encode()) for text in texts])


def held(journal: Journal, partition: int = 0) -> str:
    """Return all records that are not settled; "?" for one that is lost."""
    now = journal.cursor(partition)
    said = ""
    for chunk in journal.records(partition):
        text = text_of(chunk)
        said += "".join(
            text[place]
            for place in range(chunk.count)
            if chunk.start + place >= now.cursor or chunk.start + place in now.kept
        )
    return said


def text_of(chunk: Chunk) -> str:
    return "?" * chunk.count if chunk.data is None else chunk.data.decode()


def reclaim_all(journal: Journal) -> None:
    while journal.reclaim():
        pass


def crashed(path: Path, to: Path) -> Path:
    """Return the path of a copy: what another process would find, had this one been killed."""
    to.mkdir(parents=True)
    for suffix in ("", "-wal", "-ack"):  # shared memory is made anew
        shutil.copy(f"{path}{suffix}", to / (path.name + suffix))
    return to / path.name


def by_record(
    data: bytes, places: Sequence[int], partitions: int
) -> Mapping[int, tuple[int, bytes]]:
    """Route each record by its byte."""
    found: dict[int, bytes] = {}
    for place in places:
        partition = data[place] % partitions
        found[partition] = found.get(partition, b"") + data[place : place + 1]
    return {partition: (len(there), there) for partition, there in found.items()}


def by_key(data: bytes, places: Sequence[int], partitions: int) -> dict[int, tuple[int, bytes]]:
    """Route records of two bytes, the first of which is their key."""
    found: dict[int, bytes] = {}
    for place in places:
        record = data[2 * place : 2 * place + 2]
        partition = record[0] % partitions
        found[partition] = found.get(partition, b"") + record
    return {partition: (len(data) // 2, data) for partition, data in found.items()}


def program(text: str, *args: object) -> "subprocess.CompletedProcess[str]":
    """Run a program that knows these helpers."""
    support = Path(__file__).parent
    begin = f"import sys; sys.path.insert(0, {str(support)!r})\nfrom journals import *\nimport os\n"
    return subprocess.run(
        [sys.executable, "-c", begin + textwrap.dedent(text), *map(str, args)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def look_in(path: Path, statement: str) -> Any:
    """Have another program open the database, run a statement, and end."""
    done = program(
        """
        import sqlite3, json
        db = sqlite3.connect(sys.argv[1], isolation_level=None)
        print(json.dumps(db.execute(sys.argv[2]).fetchall()))
        db.close()
        """,
        path,
        statement,
    )
    assert not done.stderr, done.stderr
    return done.stdout.strip()
