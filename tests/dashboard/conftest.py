"""Without the frameworks that it is mounted in, nothing here runs that takes them."""

import os
from importlib.util import find_spec

import pytest

NEEDS = {
    "test_letters.py": ["msgspec"],
    "test_letters_server.py": ["msgspec", "redis"],
    "test_mounted.py": ["django", "fastapi", "flask"],
    "test_page_fuzzed.py": ["hypothesis"],
    "test_schema.py": ["hypothesis", "msgspec", "schemathesis"],
    "browser/test_browser_mounted.py": ["django", "fastapi", "flask", "uvicorn"],
}

missing = {each for needed in NEEDS.values() for each in needed if find_spec(each) is None}
if missing and os.environ.get("SERVERS") == "required":
    raise ImportError(f"not installed: {', '.join(sorted(missing))}")
collect_ignore = [file for file, needed in NEEDS.items() if missing & {*needed}]

pytest.register_assert_rewrite("asking", "mounted", "watching")

if find_spec("redis") is not None:
    from serving import *  # noqa: F403  # servers, as fixtures
