"""A Map's numbers when keys are written while the processor has them: in memory, and in a file."""

from pathlib import Path
from typing import Any

import pytest
from map_ledgers import MapLedgers

from partitioned_buffer.testing.sharing import SharedDict


class TestInMemory(MapLedgers):
    def storage(self, tmp_path: Path) -> None:
        return None


class TestInAFile(MapLedgers):
    def storage(self, tmp_path: Path) -> Any:
        pytest.importorskip("msgspec")
        from partitioned_buffer.storage import SQLite  # noqa: PLC0415  # takes msgspec

        return SQLite(tmp_path / "ledger.db")


class TestShared(MapLedgers):
    def storage(self, tmp_path: Path) -> SharedDict:
        return SharedDict()
