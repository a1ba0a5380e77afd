"""What a stored buffer cannot do is refused when it is made."""

from pathlib import Path
from typing import Any

import pytest

from partitioned_buffer import InvalidOption, Map, Queue, by_content
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
    with pytest.raises(InvalidOption, match="expected a Storage, as storage.SQLite"):
        Queue("storage", print, storage=storage)


@pytest.mark.parametrize(
    "options",
    [{"path": ""}, {"path": 5}, {"fsync": "never"}, {"window": -1}, {"window": 1.5}],
)
def test_options_of_a_file_are_checked(tmp_path: Path, options: dict[str, Any]) -> None:
    given: dict[str, Any] = {"path": tmp_path / "file", "codec": (str.encode, bytes.decode)}
    with pytest.raises(InvalidOption, match=f"^{next(iter(options))}="):
        SQLite(**given | options)
