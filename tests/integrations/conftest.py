"""Without structlog, nothing here runs that takes it; in CI it has to be there."""

import os
from collections.abc import Iterator
from importlib.util import find_spec

import pytest
from logs import Making, making

missing = find_spec("structlog") is None
if missing and os.environ.get("SERVERS") == "required":
    raise ImportError("not installed: structlog")
collect_ignore = ["test_structlog_processor.py"] if missing else []


@pytest.fixture
def logged() -> Iterator[Making]:
    with making() as make:
        yield make
