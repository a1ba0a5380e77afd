"""Without the library `redis` nothing here runs that takes a server."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from shares import Shares

from partitioned_buffer.testing import FakeClock, RecordingProcessor, assert_balanced


@pytest.fixture
def shares(clock: FakeClock, processor: RecordingProcessor, face: str) -> Iterator[Shares]:
    """Buffers with one server in memory; the ledger of each is looked at in the end."""
    shares = Shares(clock, face)
    yield shares
    processor.unblock()
    processor.recover()
    shares.end()
    for made in shares.made:
        assert_balanced(made.stats())


try:
    import redis  # noqa: F401
except ImportError:
    if os.environ.get("SERVERS") == "required":
        raise
    needless = {"test_redis_options.py"}  # of the library
    found = {path.name for path in Path(__file__).parent.glob("test_redis_*.py")}
    collect_ignore = sorted(found - needless)
else:
    from serving import *  # noqa: F403  # their fixtures
