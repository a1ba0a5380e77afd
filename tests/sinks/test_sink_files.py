"""Files of JSON and of Parquet, in a folder: the contract, and what only files have."""

import errno
import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from folders import in_the_way

from partitioned_buffer import BatchId, Entry, InvalidOption, Outage, PartialFailure, Queue
from partitioned_buffer.sinks import JSONLines
from partitioned_buffer.sinks.files.placing import name_of
from partitioned_buffer.testing.contract.sinks.using import Use
from partitioned_buffer.testing.sinks import SinkContract


def read(folder: Path) -> list[Any]:
    """Return the items of all lines, in the order of the files' names; and of those still open."""
    found = list[Any]()
    for path in sorted(folder.iterdir(), key=lambda path: path.name.lstrip(".")):
        data = path.read_bytes()
        lines = gzip.decompress(data) if ".gz" in path.name else data
        found += map(json.loads, lines.splitlines())
    return found


FSYNC = "partitioned_buffer.sinks.files.open_files.os.fsync"


def fail(_: int) -> None:
    raise OSError(errno.EIO, "the disk is broken")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class Contract(SinkContract):
    cannot = {  # noqa: RUF012
        "too_large": "a disk takes files of any size",
        "throttled": "a disk does not say when to come back",
        "silence": "a disk takes as long as it takes",
        "versions": "files are not written over",
    }
    reason = "not JSON serializable"
    wrong_options = (
        {"path": ""},
        {"path": 3},
        {"row": 3},
        {"encode": "json"},
        {"compress": None},
        {"max_bytes": 0},
        {"max_age": -1},
        {"fsync": "os"},
        {"timeout": 0},
    )
    options: dict[str, Any] = {}  # noqa: RUF012

    def make(self, tmp_path: Path, **options: Any) -> Any:
        return JSONLines(**{"path": tmp_path / "lines"} | self.options | options)

    def make_for_map(self, tmp_path: Path) -> Any:
        return self.make(tmp_path, row=lambda entry: entry.value)

    def found(self, tmp_path: Path) -> list[tuple[int, str]]:
        return [(v[0], v[1]) for v in map(_values, read(tmp_path / "lines"))]

    def bad_item(self, number: int) -> Any:
        return {"id": number, "text": object()}

    def outage(self, tmp_path: Path) -> AbstractContextManager[None]:
        return in_the_way(tmp_path / "lines")


def _values(item: Any) -> list[Any]:
    return list(item.values()) if isinstance(item, dict) else item


class TestFilePerBatch(Contract):
    pass


class TestCompressed(Contract):
    options = {"compress": True, "fsync": False}  # noqa: RUF012


class TestRotated(Contract):
    options = {"max_bytes": 200}  # noqa: RUF012
    cannot = Contract.cannot | {
        "repeat": "a file that is gone on with does not know what it has had before a crash"
    }

    @contextmanager
    def outage(self, tmp_path: Path) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(FSYNC, fail)
            yield


def given(sink: Any, *items: Any, **where: Any) -> BaseException | None:
    with Use(sink) as use:
        return use.give(list(items), **where)


# --- a file per batch ---------------------------------------------------------------------------


def test_files_are_called_by_batch_and_partition(tmp_path: Path) -> None:
    folder = tmp_path / "lines"
    with JSONLines(folder) as lines, Queue[int]("a/b", lines, partitions=1) as queue:
        queue.push_all(range(12))

    first, second = names(folder)
    assert first.startswith("a%2Fb-")
    assert first.endswith("-000-000000000000000-10.jsonl")
    assert second.endswith("-000-000000000000010-2.jsonl")
    assert read(folder) == list(range(12))


def test_a_long_name_is_cut_and_still_its_own(tmp_path: Path) -> None:
    for tail in "ab":
        assert given(JSONLines(tmp_path), 1, store="x" * 500 + tail) is None
    assert len(names(tmp_path)) == 2
    assert all(len(name) < 200 for name in names(tmp_path))


def test_a_name_is_one_file_and_never_hidden() -> None:
    name = name_of(BatchId(".../a b", "x\0y", 7, 3, 2, gaps=255), ".jsonl")
    assert name == "%2E%2E%2E%2Fa%20b-x%00y-007-000000000000003-2-000000ff.jsonl"


def test_a_retry_writes_the_same_file_over(tmp_path: Path) -> None:
    sink = JSONLines(tmp_path, compress=True)
    assert given(sink, 1, 2) is None
    before = {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}
    assert [data[4:8] for data in before.values()] == [bytes(4)], "without the time"
    assert given(JSONLines(tmp_path, compress=True), 1, 2) is None
    assert {name: (tmp_path / name).read_bytes() for name in names(tmp_path)} == before


def test_what_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("partitioned_buffer.sinks.files.placing.os.fsync", full)
    error = given(JSONLines(tmp_path), 1)

    assert isinstance(error, Outage)
    assert "No space left" in str(error)
    assert names(tmp_path) == []


def test_a_folder_whose_own_is_missing_is_an_outage(tmp_path: Path) -> None:
    assert isinstance(given(JSONLines(tmp_path / "mounted" / "lines"), 1), Outage)
    assert names(tmp_path) == [], "a mount that is missing is not made up"


@pytest.mark.parametrize("fsync", [True, False])
def test_it_is_synced_if_asked(
    fsync: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = list[int]()
    monkeypatch.setattr("partitioned_buffer.sinks.files.placing.os.fsync", synced.append)
    assert given(JSONLines(tmp_path, fsync=fsync), 1) is None
    assert len(synced) == 2 * fsync, "the file, and its name"


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (float("nan"), "not JSON compliant"),
        (object(), "not JSON serializable"),
        ("\ud800", "surrogates"),
        ({(1, 2): 3}, "keys must be str"),
    ],
)
def test_what_is_no_json_is_rejected_alone(bad: Any, why: str, tmp_path: Path) -> None:
    error = given(JSONLines(tmp_path), 1, bad, ["three"])

    assert isinstance(error, PartialFailure)
    assert isinstance(error.reject, dict)
    assert why in str(error.reject[1])
    assert read(tmp_path) == [1, ["three"]]


def test_what_encode_makes_is_one_line(tmp_path: Path) -> None:
    sink = JSONLines(tmp_path, encode=lambda item: item)
    error = given(sink, "1\n", b"2", "3\n4", "")

    assert isinstance(error, PartialFailure)
    assert list(error.reject or ()) == [2, 3]
    assert read(tmp_path) == [1, 2]


def test_a_maps_entries_take_a_function(tmp_path: Path) -> None:
    error = given(JSONLines(tmp_path), Entry(1, "one", 0, 0))
    assert isinstance(error, InvalidOption)
    assert names(tmp_path) == []


# --- files that are gone on with ------------------------------------------------------------------


def test_a_file_is_gone_on_with_until_it_is_large(tmp_path: Path) -> None:
    with Use(JSONLines(tmp_path, max_bytes=8)) as use:
        for number in range(10):
            assert use.give([100 + number], position=number) is None
        (still,) = [name for name in names(tmp_path) if name.startswith(".")]
        assert still.endswith(".open")
    assert [len((tmp_path / name).read_bytes().split()) for name in names(tmp_path)] == [2] * 5
    assert read(tmp_path) == [100 + number for number in range(10)]


def test_or_until_it_is_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("partitioned_buffer.sinks.files.open_files.time.monotonic", lambda: now)
    with Use(JSONLines(tmp_path, max_age=60)) as use:
        for number in range(6):
            now = 25.0 * number
            assert use.give([number], position=number) is None
    assert [len((tmp_path / name).read_bytes().split()) for name in names(tmp_path)] == [3, 3]


def test_each_partition_has_its_own(tmp_path: Path) -> None:
    with (
        JSONLines(tmp_path, max_bytes=1 << 20) as lines,
        Queue[int]("events", lines, partitions=3, partition_key=lambda item: item) as queue,
    ):
        queue.push_all(range(100))
    assert len(names(tmp_path)) == 3
    assert sorted(read(tmp_path)) == list(range(100))


def test_a_write_that_fails_half_way_leaves_nothing_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Use(JSONLines(tmp_path, max_bytes=1 << 20)) as use:
        assert use.give([1]) is None
        with monkeypatch.context() as patch:
            patch.setattr(FSYNC, fail)
            assert isinstance(use.give([2], position=1), Outage)
        assert use.give([2], position=1) is None
        assert use.give([2], position=1) is None, "it was given again"
    assert read(tmp_path) == [1, 2]


def test_one_that_was_deleted_is_begun_anew(tmp_path: Path) -> None:
    with Use(JSONLines(tmp_path, max_bytes=1 << 20)) as use:
        assert use.give([1]) is None
        for path in tmp_path.iterdir():
            path.unlink()
        assert use.give([2], position=1) is None
    assert read(tmp_path) == [2]


DIES = """
import os, sys
from pathlib import Path
from partitioned_buffer.sinks import JSONLines
from partitioned_buffer.sinks.files.placing import name_of
from partitioned_buffer.testing.contract.sinks.using import Use

use = Use(JSONLines(sys.argv[1], max_bytes=1 << 20, compress=sys.argv[2] == "True"))
for number in range(50):
    assert use.give([number] * 100, position=number) is None
(left,) = Path(sys.argv[1]).iterdir()
with left.open("ab") as file:
    file.write(b"\\x1f\\x8b\\x08 torn")
os._exit(0)
"""


@pytest.mark.parametrize("compress", [False, True])
def test_what_a_crash_has_left_gets_its_name(compress: bool, tmp_path: Path) -> None:
    command = [sys.executable, "-c", DIES, str(tmp_path), str(compress)]
    subprocess.run(command, check=True, timeout=60)
    assert names(tmp_path)[0].endswith(".open")

    assert given(JSONLines(tmp_path, max_bytes=1 << 20, compress=compress), 50, position=50) is None
    assert not any(name.startswith(".") for name in names(tmp_path))
    assert read(tmp_path) == [number for number in range(50) for _ in range(100)] + [50]


def test_what_another_process_writes_to_is_left_alone(tmp_path: Path) -> None:
    with Use(JSONLines(tmp_path, max_bytes=1 << 20)) as other:
        assert other.give([1], store="other") is None
        assert given(JSONLines(tmp_path, max_bytes=1 << 20), 2) is None
        assert len([name for name in names(tmp_path) if name.startswith(".")]) == 1
        assert other.give([3], position=1, store="other") is None
    assert sorted(read(tmp_path)) == [1, 2, 3]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
def test_a_forked_child_has_files_of_its_own(tmp_path: Path) -> None:
    program = DIES.replace("os._exit(0)", "").replace(
        "(left,)",
        "child = os.fork()\nuse.give([str(child > 0)], position=50 + (child > 0))\n"
        "use.close()\nif child == 0:\n    os._exit(0)\nos.waitpid(child, 0)\nsys.exit()\n(left,)",
    )
    command = [sys.executable, "-W", "ignore", "-c", program, str(tmp_path), "False"]
    subprocess.run(command, check=True, timeout=60)
    assert len(names(tmp_path)) == 2
    assert len(read(tmp_path)) == 5002
