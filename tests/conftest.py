import gc
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from helpers import Buffers
from implementations import load
from trips import compiled

from partitioned_buffer._core.writes.line import Line
from partitioned_buffer.testing import FakeClock, RecordingHook, RecordingProcessor, assert_balanced

# What they assert is shown like what tests assert.
pytest.register_assert_rewrite("coroutines", "forks", "journals", "letters", "programs")
pytest.register_assert_rewrite("partitioned_buffer.testing.contract")

# Who starts the tests in the background may have them, and the programs they start, ignore Ctrl-C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


ELSEWHERE = {"browser", "cli", "killed", "process", "recipes", "servers", "sinks"}
"""Folders of tests that wait for servers, programs and browsers."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if os.environ.get("CI") and config.pluginmanager.hasplugin("rerunfailures"):
        _bear_with_others(items)
    _see_to_explorers(config, items)


def _bear_with_others(items: list[pytest.Item]) -> None:
    """How long others take to start, answer and end is not ours: once in a while, too long."""
    for item in items:
        if ELSEWHERE.intersection(item.path.parts) or item.path.name.startswith("test_redis"):
            item.add_marker(pytest.mark.flaky(reruns=1))


def _see_to_explorers(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Exploring schedules takes locks replaced from the start: `make test` does that."""
    if config.getoption("--frontrun-patch-locks", default=False):
        return
    explorers = [item for item in items if "schedules" in item.path.parts]
    if explorers and os.environ.get("CI"):
        raise pytest.UsageError("tests/races/schedules need the option --frontrun-patch-locks")
    for item in explorers:
        item.add_marker(pytest.mark.skip("needs the option --frontrun-patch-locks"))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Show what failed once, and passed then: it is a fault all the same, of ours or the test's."""
    for report in terminalreporter.stats.get("rerun", ()):
        terminalreporter.section(f"FAILED ONCE: {report.nodeid}")
        terminalreporter.write_line(report.longreprtext)


@pytest.fixture(autouse=True)
def _warned_in_time(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that expects warnings gets those of its garbage, too: not some test after it."""
    yield
    if request.node.get_closest_marker("filterwarnings"):
        gc.collect()


@pytest.fixture(scope="session")
def trip(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The tracer that has signals pending at opcodes."""
    return compiled(tmp_path_factory.mktemp("trip"))


@pytest.fixture(params=["python", "c"])
def made(request: pytest.FixtureRequest) -> Any:
    """Both implementations of the tables: what has their classes."""
    return load(request.param)


@pytest.fixture
def stood(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """An item for each time that a writer stands in line."""
    times, stand = list[int](), Line.stand

    def noted(*args: Any) -> Any:
        times.append(1)
        return stand(*args)

    monkeypatch.setattr(Line, "stand", noted)
    return times


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def processor() -> RecordingProcessor:
    return RecordingProcessor()


@pytest.fixture
def hook() -> RecordingHook:
    return RecordingHook()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what goes for both faces over both."""
    if "face" in metafunc.fixturenames:
        marked = metafunc.definition.get_closest_marker
        both = marked("both_faces") and not marked("threads")
        metafunc.parametrize("face", ["threads", "tasks"] if both else ["threads"])


@pytest.fixture
def buffers(clock: FakeClock, processor: RecordingProcessor, face: str) -> Iterator[Buffers]:
    buffers = Buffers(clock, processor, face)
    yield buffers
    processor.unblock()
    processor.recover()
    for buffer in buffers.made:
        buffer.stop()
        assert_balanced(buffer.stats())
