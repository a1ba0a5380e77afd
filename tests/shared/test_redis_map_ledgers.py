"""A Map's numbers when keys are written while the processor has them: on real servers."""

from pathlib import Path
from typing import Any

import pytest
from map_ledgers import MapLedgers
from servers import Server

from partitioned_buffer.storage.redis import Redis


class TestOnAServer(MapLedgers):
    @pytest.fixture(autouse=True)
    def _reached(self, server: Server) -> None:
        self.url = server.url

    def storage(self, tmp_path: Path) -> Any:
        return Redis(self.url)
