"""A file for what is given up."""

from pathlib import Path

import pytest

from partitioned_buffer.dead_letters import DeadLetterFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "letters.jsonl"


@pytest.fixture
def replaying(path: Path) -> Path:
    return path.with_name("letters.jsonl.replaying")


@pytest.fixture
def letters(path: Path) -> DeadLetterFile:
    return DeadLetterFile(path)
