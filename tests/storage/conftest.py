from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import journals
import pytest

from partitioned_buffer.storage.sqlite import Journal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.db"


@pytest.fixture
def opened(path: Path) -> Iterator[Callable[..., Journal]]:
    """Opens journals, at `path` unless told; all are closed at the end."""
    made: list[Journal] = []

    def make(where: Path = path, **options: Any) -> Journal:
        made.append(journals.opened(where, **options))
        return made[-1]

    yield make
    for journal in made:
        journal.close()


@pytest.fixture
def journal(opened: Callable[..., Journal]) -> Journal:
    return opened()
