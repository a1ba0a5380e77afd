"""The shape of the code: who imports whom, how long files are, what is public, what is said."""

import ast
import inspect
import re
from collections import Counter
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from bytecode import zones

import partitioned_buffer

SOURCE = Path(partitioned_buffer.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))
ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs" / "design").glob("*.md"))]

# Each room (a folder, or a module that stands alone), and what of the package it may import.
# Arrows go one way, upwards in this table.
ROOMS = {
    "errors": "",
    "events": "",
    "abc": "errors events",
    "_core.measures": "",
    "_core.ledger": "_core.measures",
    "_core.waiting": "abc",
    "_core.options": "_core.waiting abc errors",
    "_core.telemetry": "_core.options abc errors events",
    "_core.tables": "_core.waiting abc",
    "_core.writes": "_core.options _core.tables _core.waiting abc errors",
    "_core.policy": "_core.options _core.tables errors",
    "_core.delivery": (
        "_core.measures _core.options _core.policy _core.tables _core.telemetry _core.waiting abc "
        "errors events"
    ),
    "_core.backing": (
        "_core.delivery _core.options _core.policy _core.tables _core.telemetry _core.waiting "
        "_core.writes abc errors events"
    ),
    "_core.sharing": (
        "_core.backing _core.delivery _core.ledger _core.measures _core.options _core.policy "
        "_core.tables _core.telemetry _core.waiting _core.writes abc errors events"
    ),
    "_core.buffer": (
        "_core.backing _core.sharing _core.delivery _core.ledger _core.options _core.policy "
        "_core.tables _core.telemetry _core.waiting _core.writes abc errors"
    ),
    "_threads": "_core abc errors",
    "_tasks": "_core abc errors",
    "__init__": "_core _tasks _threads abc errors",
    "dead_letters": "_core.tables errors",
    "storage": "abc errors events",
    "sinks": "__init__ abc errors",
    "testing": "__init__ _core.tables abc events storage",
    "instrumentation": "__init__ _core.buffer _core.delivery _core.options _core.telemetry",
    "integrations": "__init__ abc errors events",
    "cli.text": "storage",
    "cli.names": "errors",
    "cli.giving": "__init__ _core cli.names cli.text errors storage",
    "dashboard": "__init__ _core _tasks cli.giving dead_letters errors storage",
    "cli": "__init__ _core abc dashboard dead_letters errors events storage",
    "__main__": "cli",
}

PUBLIC = [
    "AsyncMap",
    "AsyncQueue",
    "BatchId",
    "BufferAlreadyRunning",
    "BufferFull",
    "BufferNotFound",
    "BufferNotRunning",
    "Durations",
    "Entry",
    "Failure",
    "InvalidOption",
    "Map",
    "Outage",
    "PartialFailure",
    "PartitionStats",
    "PartitionedBufferError",
    "Queue",
    "Rates",
    "Reject",
    "Retry",
    "RetryAfter",
    "SharedStats",
    "Split",
    "Stats",
    "StopReport",
    "StorageAway",
    "StorageBusy",
    "StorageError",
    "StorageFull",
    "StorageRefused",
    "Undecodable",
    "Undelivered",
    "UnknownOption",
    "WrongThread",
    "batch_id",
    "by_content",
    "fencing_token",
    "get",
    "running",
    "subscribe",
]


def module(path: Path) -> str:
    """Return the dotted name of *path* within the package; a package's own is its folder's."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def within(name: str, room: str) -> bool:
    return name == room or name.startswith(f"{room}.")


def room_of(name: str) -> str | None:
    return max((room for room in ROOMS if within(name, room)), key=len, default=None)


def imports(path: Path) -> set[str]:
    """Return what of the package *path* imports."""
    package, found = path.relative_to(SOURCE).parent.parts, set[str]()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            found.add(".".join([*base, *([node.module] if node.module else [])]) or "__init__")
        assert not (isinstance(node, ast.Import) and "partitioned_buffer" in ast.unparse(node))
    return found


IMPORTS = {module(path): imports(path) for path in FILES if path.read_text()}


@pytest.mark.parametrize("name", IMPORTS)
def test_modules_import_only_what_their_room_may(name: str) -> None:
    room = room_of(name)
    assert room is not None, "no room of the table"
    for other in IMPORTS[name]:
        allowed = [room, *ROOMS[room].split()]
        assert any(within(other, one) for one in allowed), f"{room} must not import {other}"


def test_arrows_between_rooms_go_up_in_their_table() -> None:
    above: list[str] = []
    for room, allowed in ROOMS.items():
        for one in allowed.split():
            assert any(within(other, one) for other in above), (room, one)
        above.append(room)


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    list(
        TopologicalSorter({name: found - {name} for name, found in IMPORTS.items()}).static_order()
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_files_are_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 300


@pytest.mark.parametrize("path", sorted((ROOT / "tests").rglob("*.py")), ids=lambda p: p.stem)
def test_files_of_tests_have_one_matter(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 500


def test_files_of_tests_have_names_of_their_own() -> None:  # pytest imports them by those
    names = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_functions_fit_a_screen(path: Path) -> None:
    source = path.read_text()
    steps = zones(source)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            first, last = body[0].lineno if body else 0, body[-1].end_lineno or 0 if body else 0
            step = sum(len(zone) for zone in steps if first <= zone.start <= last)
            most = 60 if 2 * step >= last - first else 30  # what is one step cannot be parted
            assert last - first < most, f"{path.name}: {node.name} has {last - first + 1} lines"


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
    words = set((partitioned_buffer.__doc__ or "").replace(":", " ").replace(";", " ").split())
    for path in FILES:
        if path.name != "__init__.py":
            assert path.name in {word.strip("(),") for word in words}, path


COMPILED = sorted([*SOURCE.rglob("*.c"), *SOURCE.rglob("*.h")])


@pytest.mark.parametrize("path", COMPILED, ids=lambda path: path.name)
def test_what_is_compiled_is_short(path: Path) -> None:
    lines, start = path.read_text().splitlines(), 0
    assert len(lines) <= 500
    for number, line in enumerate(lines, 1):
        assert len(line) <= 100, f"line {number}"
        if line == "{":
            start = number
        elif line == "}" and start:
            most = 60 if any("STEP(" in each for each in lines[start : number - 1]) else 45
            assert number - start - 1 <= most, f"{lines[start - 2]}: {number - start - 1} lines"
            start = 0


FOLDERS = sorted({path.parent for path in FILES})


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_folders_hold_few_modules(folder: Path) -> None:
    headers = {path for path in folder.iterdir() if path.is_dir() and not any(path.glob("*.py"))}
    names = {path.name.partition(".")[0] for path in {*folder.iterdir()} - headers}
    assert len(names - {"__init__", "py"}) <= (15 if folder == SOURCE else 14), names


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


def named_files(page: str) -> list[str]:
    return re.findall(r"`([\w./]*\w\.(?:py|pyi|c|h))`", page)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_files_that_pages_name_are_there(page: Path) -> None:
    names = [name for name in named_files(page.read_text()) if "/" in name]
    assert names
    for name in names:
        assert any((base / name).exists() for base in (SOURCE, ROOT)), name


def test_every_file_of_the_core_is_named_by_the_page_of_its_folder() -> None:
    for path in FILES:
        folder = path.relative_to(SOURCE).parts[:-1]
        if folder[:1] == ("_core",) and len(folder) == 2 and path.name != "__init__.py":
            page = ROOT / "docs" / "design" / f"{folder[1]}.md"
            assert "/".join([*folder, path.name]) in named_files(page.read_text()), path


def test_newcomers_questions_are_answered_by_one_file_each() -> None:
    table = (ROOT / "CONTRIBUTING.md").read_text().partition("| Question | File |\n|---|---|\n")[2]
    rows = [row.split(" | ") for row in table.partition("\n\n")[0].splitlines()]
    assert len(rows) >= 20
    for question, answer in rows:
        (name,) = named_files(answer)
        assert question.endswith("?")
        assert (SOURCE / name).is_file(), name


@pytest.mark.parametrize(
    ("kind", "most"), [("Queue", 7), ("Map", 7), ("AsyncQueue", 8), ("AsyncMap", 8)]
)
def test_a_kind_is_composed_of_few_classes(kind: str, most: int) -> None:
    classes = getattr(partitioned_buffer, kind).__mro__
    ours = [each for each in classes if each.__module__.startswith("partitioned_buffer")]
    assert len(ours) <= most, ours
