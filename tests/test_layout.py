"""The shape of the code: who imports whom, how long files are, what is public, what is said."""

import ast
import inspect
from pathlib import Path

import pytest

import partitioned_buffer

SOURCE = Path(partitioned_buffer.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))

# Each module, and what of the package it may import. Arrows go one way, upwards in this table.
MAY_IMPORT = {
    "errors": "",
    "events": "",
    "abc": "events",
    "_ledger": "",
    "_entry": "",
    "_versions": "",
    "_routing": "",
    "_checks": "",
    "_running": "",
    "_steps": "abc",
    "_clock": "abc",
    "_retry": "_checks errors",
    "_delivery": "_retry errors",
    "_tables": "",
    "_queue_table": "_tables",
    "_map_log": "_entry _tables _versions",
    "_map_table": "_entry _map_log _tables",
    "_room": "_steps abc",
    "_bounded_queue": "_queue_table _room _tables",
    "_bounded_map": "_entry _map_table _room _tables",
    "_keywords": "_retry abc",
    "_options": "_checks _clock _keywords _retry abc errors",
    "_gate": "_options _room _running _steps errors",
    "_gates": "_bounded_map _bounded_queue _entry _gate _steps",
    "_hot": "_entry _map_table _queue_table",
    "_hot_bounded": "_bounded_map _entry _gates _hot _map_table _queue_table",
    "_writes": "_entry _gate _gates _hot _hot_bounded _map_table _queue_table _routing",
    "_build": "_bounded_map _bounded_queue _gate _gates _map_table _options _queue_table _room",
    "_kinds": "_entry _hot _keywords _options",
    "_telemetry": "_checks abc events",
    "_buffer": "_keywords _ledger _options _room _tables _telemetry errors",
    "_countdown": "_steps abc",
    "_exit": "",
    "_driver": "_buffer _delivery _steps _telemetry errors events",
    "_worker": "_buffer _countdown _driver _steps abc events",
    "_watchdog": "_buffer _steps _telemetry _worker abc events",
    "_life": (
        "_buffer _countdown _exit _ledger _running _steps _telemetry _watchdog _worker abc errors"
    ),
    "_thread_worker": "_buffer _clock _exit _steps _telemetry _worker",
    "_thread_watchdog": "_buffer _clock _steps _telemetry _thread_worker _watchdog",
    "_thread_life": (
        "_exit _ledger _life _running _steps _telemetry _thread_watchdog _thread_worker abc errors"
    ),
    "_threads": "_build _entry _kinds _options _thread_life _writes",
    "_loops": "abc",
    "_asyncio_loop": "_loops",
    "_trio_loop": "_loops _running",
    "_home": "_asyncio_loop _loops _running _trio_loop",
    "_blocking": "_loops errors",
    "_async_writes": "_gate _home _hot _steps _writes errors",
    "_task_calls": "_steps abc",
    "_task_worker": "_buffer _checks _delivery _loops _steps _task_calls _worker abc",
    "_task_life": (
        "_blocking _clock _countdown _exit _home _ledger _life _loops _options _room "
        "_steps _tables _task_worker _telemetry _watchdog abc errors"
    ),
    "_tasks": "_async_writes _build _entry _kinds _options _task_life",
    "__init__": "_buffer _entry _ledger _retry _routing _tasks _telemetry _threads errors",
    "dead_letters": "_entry errors",
    "_fake_clock": "abc",
    "testing": "__init__ _fake_clock events",
}

PUBLIC = [
    "AsyncMap",
    "AsyncQueue",
    "BufferAlreadyRunning",
    "BufferFull",
    "BufferNotFound",
    "BufferNotRunning",
    "Entry",
    "InvalidOption",
    "Map",
    "PartialFailure",
    "PartitionStats",
    "PartitionedBufferError",
    "Queue",
    "Reject",
    "Retry",
    "RetryAfter",
    "Stats",
    "StopReport",
    "UnknownOption",
    "WrongThread",
    "by_content",
    "get",
    "subscribe",
]


def imports(path: Path) -> set[str]:
    """Return what of the package *path* imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            found.add(node.module or "__init__")
        assert not (isinstance(node, ast.Import) and "partitioned_buffer" in ast.unparse(node))
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_modules_import_only_what_they_may(path: Path) -> None:
    assert imports(path) <= set(MAY_IMPORT[path.stem].split())


def test_the_table_of_imports_is_complete_and_has_no_cycle() -> None:
    assert {path.stem for path in FILES} == set(MAY_IMPORT)
    placed: set[str] = set()
    for module, allowed in MAY_IMPORT.items():
        later = set(allowed.split()) - placed - ({"__init__"} if module == "testing" else set())
        assert not (later & set(list(MAY_IMPORT)[list(MAY_IMPORT).index(module) :])), module
        placed.add(module)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_files_are_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 300


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_functions_fit_a_screen(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0  # type: ignore[operator]
            assert lines <= 30, f"{path.name}: {node.name} has {lines} lines"


def test_the_public_names_are_these() -> None:
    assert partitioned_buffer.__all__ == PUBLIC
    for name in PUBLIC:
        assert getattr(partitioned_buffer, name).__module__ == "partitioned_buffer"


def test_everything_public_is_documented() -> None:
    for name in PUBLIC:
        thing = getattr(partitioned_buffer, name)
        assert inspect.getdoc(thing), name
        if inspect.isclass(thing):
            for attribute, value in inspect.getmembers(thing, callable):
                if not attribute.startswith("_") and not hasattr(tuple, attribute):
                    assert inspect.getdoc(value), f"{name}.{attribute}"


def test_the_map_of_the_package_names_every_module() -> None:
    for path in FILES:
        stem = path.stem
        if stem not in ("__init__", "_ledger", "_entry", "_versions", "_clock", "_telemetry"):
            assert f"{stem}.py" in (partitioned_buffer.__doc__ or ""), stem


@pytest.mark.parametrize(
    ("kind", "method"), [("Queue", "push"), ("Map", "put"), ("Map", "put_newer")]
)
def test_methods_in_slots_are_documented_like_others(kind: str, method: str) -> None:
    buffer = getattr(partitioned_buffer, kind)("documented", print)
    bound = getattr(buffer, method)

    assert inspect.getdoc(getattr(type(buffer), method))
    assert inspect.getdoc(bound) == inspect.getdoc(getattr(type(buffer), method))
    assert bound.__name__ == method
    assert bound.__module__ == "partitioned_buffer"
    assert "partition_key" in inspect.signature(bound).parameters


def test_a_subclass_may_define_its_own_push() -> None:
    class Doubling(partitioned_buffer.Queue[int]):
        def push(self, item: int, *, partition_key: object = None) -> None:
            super().push(2 * item, partition_key=partition_key)

    batches: list[list[int]] = []
    with Doubling("doubling", batches.append, partitions=1) as queue:
        queue.push(1)

    assert batches == [[2]]
