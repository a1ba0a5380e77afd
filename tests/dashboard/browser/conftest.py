"""These take Debian's chromium, and Playwright. In CI they have to be there."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from typing import Any

import pytest
from watching import CHROMIUM, Desk, Tab

from partitioned_buffer.dashboard import Serving, serve

if CHROMIUM is None or find_spec("playwright") is None:
    if os.environ.get("SERVERS") == "required":
        raise ImportError(
            "chromium or playwright is missing: apt-get install chromium; pip install playwright"
        )
    collect_ignore_glob = ["test_*.py"]


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool:
    """Run each of these tests in the browser's thread."""
    given = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    desk: Any = pyfuncitem.funcargs["desk"]
    desk.do(lambda: pyfuncitem.obj(**given))
    return True


@pytest.fixture(scope="session")
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.close()


@pytest.fixture
def tab(desk: Desk) -> Iterator[Tab]:
    tab = desk.do(lambda: Tab(desk))
    yield tab
    desk.do(tab.close)


@pytest.fixture
def phone(desk: Desk) -> Iterator[Tab]:
    size = {"width": 360, "height": 740}
    tab = desk.do(lambda: Tab(desk, viewport=size, is_mobile=True, has_touch=True))
    yield tab
    desk.do(tab.close)


@pytest.fixture
def served() -> Iterator[Callable[..., Serving]]:
    """Serves the page, to the end of the test."""
    with ExitStack() as stack:

        def begin(buffers: Any = None, **options: Any) -> Serving:
            return stack.enter_context(serve(buffers, **({"port": 0} | options)))

        yield begin
