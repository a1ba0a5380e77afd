"""What a stored buffer cannot do is refused when it is made."""

from pathlib import Path
from pickle import dumps, loads
from typing import Any
from zlib import crc32

import pytest

from partitioned_buffer import InvalidOption, Map, Queue, by_content
from partitioned_buffer._core.writes.routing import slot_numbers
from partitioned_buffer.storage import SQLite
from partitioned_buffer.testing.storage import DictStorage


@pytest.mark.parametrize(
    ("kind", "options", "why"),
    [
        (Queue, {"partition_key": by_content}, "differ from process to process"),
        (Queue, {"max_bytes": 10, "size_of": len}, "stored bytes are counted"),
        (Map, {"max_size": 10, "when_full": "drop_oldest"}, "drops nothing that is on the disk"),
    ],
)
def test_what_a_stored_buffer_cannot_do_is_refused(
    kind: Any, options: dict[str, Any], why: str
) -> None:
    with pytest.raises(InvalidOption, match=why):
        kind("refused", print, storage=DictStorage(), **options)


@pytest.mark.parametrize("storage", ["events.db", SQLite, 5])
def test_a_storage_is_one(storage: Any) -> None:
    with pytest.raises(InvalidOption, match=r"expected a Storage, as storage\.SQLite"):
        Queue("storage", print, storage=storage)


@pytest.mark.parametrize(
    "options",
    [{"path": ""}, {"path": 5}, {"fsync": "never"}, {"window": -1}, {"window": 1.5}],
)
def test_options_of_a_file_are_checked(tmp_path: Path, options: dict[str, Any]) -> None:
    given: dict[str, Any] = {"path": tmp_path / "file", "codec": (str.encode, bytes.decode)}
    with pytest.raises(InvalidOption, match=f"^{next(iter(options))}="):
        SQLite(**given | options)


def test_the_slots_of_a_number_of_partitions_never_change() -> None:
    # A file's keys would go on in another partition, beside those that wait.
    sums = {count: crc32(bytes(slot_numbers(count))) for count in (1, 2, 3, 8, 64)}

    assert sums == {1: 41846716, 2: 1101184079, 3: 3370808407, 8: 2871455551, 64: 336854263}


def test_a_path_may_have_any_characters(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    def down(_: list[int]) -> None:
        raise OSError

    path = tmp_path / "50% of {them} %s"
    queue = Queue("percent", down, storage=SQLite(path, codec=(dumps, loads)), partitions=1)
    queue.start().push(1)
    assert len(queue.stop(0).left) == 1

    assert f"stopped with 1 undelivered, which stay in SQLite({str(path)!r}" in caplog.text
    assert "Logging error" not in capsys.readouterr().err
